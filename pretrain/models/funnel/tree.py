"""The parameters of a Funnel, as Hugging Face names them: a tree of containers that only draw."""

import jax.numpy as jnp
from flax import nnx

from pretrain.models.core.layers import Draw, Embedding, LayerNorm, Linear
from pretrain.models.core.vocabulary import padding_rows
from pretrain.models.funnel.config import FunnelConfig, has_decoder


class UnbiasedMap(nnx.Module):
    """Parameters of a linear map without bias: `kernel` [*stack, inputs, outputs]."""

    def __init__(self, inputs: int, outputs: int, draw: Draw, rngs: nnx.Rngs, stack: tuple[int, ...]) -> None:
        self.kernel = nnx.Param(draw(rngs.params(), (*stack, inputs, outputs)))


class RelativeAttention(nnx.Module):
    """Attention's maps, and what is added to queries beside keys (w), distances (r) and types (s).

    `seg_embed` has a vector for keys of another type than the query's and one for those of the same.
    """

    def __init__(self, config: FunnelConfig, draw: Draw, rngs: nnx.Rngs, stack: tuple[int, ...]) -> None:
        width, across, heads = config.d_model, config.attention_width, (config.n_head, config.d_head)
        self.q_head = UnbiasedMap(width, across, draw, rngs, stack)
        self.k_head = Linear(width, across, draw=draw, rngs=rngs, stack=stack)
        self.v_head = Linear(width, across, draw=draw, rngs=rngs, stack=stack)
        self.r_kernel = nnx.Param(draw(rngs.params(), (*stack, width, across)))
        for name in ("r_w_bias", "r_r_bias", "r_s_bias"):
            setattr(self, name, nnx.Param(draw(rngs.params(), (*stack, *heads))))
        self.seg_embed = nnx.Param(draw(rngs.params(), (*stack, 2, *heads)))
        self.post_proj = Linear(across, width, draw=draw, rngs=rngs, stack=stack)
        self.layer_norm = LayerNorm(width, stack=stack)


class FunnelFeedForward(nnx.Module):
    """The feed-forward maps and the LayerNorm behind them."""

    def __init__(self, config: FunnelConfig, draw: Draw, rngs: nnx.Rngs, stack: tuple[int, ...]) -> None:
        self.linear_1 = Linear(config.d_model, config.d_inner, draw=draw, rngs=rngs, stack=stack)
        self.linear_2 = Linear(config.d_inner, config.d_model, draw=draw, rngs=rngs, stack=stack)
        self.layer_norm = LayerNorm(config.d_model, stack=stack)


class FunnelLayers(nnx.Module):
    """The layers of a block or of the decoder, along a leading axis."""

    def __init__(self, config: FunnelConfig, count: int, draw: Draw, rngs: nnx.Rngs) -> None:
        self.attention = RelativeAttention(config, draw, rngs, (count,))
        self.ffn = FunnelFeedForward(config, draw, rngs, (count,))


class FunnelEmbeddings(nnx.Module):
    """The word table and the LayerNorm behind it. The row of [PAD] is zero (`Family.zero_padding`): pooling shows it to the last token."""

    def __init__(self, config: FunnelConfig, vocab_size: int, draw: Draw, rngs: nnx.Rngs) -> None:
        rows = padding_rows(vocab_size)
        self.word_embeddings = Embedding(vocab_size, config.d_model, padding_rows=rows, draw=draw, rngs=rngs)
        if config.pad_token_id is not None:
            table = self.word_embeddings.embedding
            table[...] = table[...].at[config.pad_token_id].set(0.0)
        self.layer_norm = LayerNorm(config.d_model)


class FunnelBlocks(nnx.Module):
    """The blocks."""

    def __init__(self, config: FunnelConfig, draw: Draw, rngs: nnx.Rngs) -> None:
        for block, count in enumerate(config.block_sizes):
            setattr(self, f"block_{block}", FunnelLayers(config, count, draw, rngs))


class FunnelDecoder(nnx.Module):
    """The layers behind the blocks."""

    def __init__(self, config: FunnelConfig, draw: Draw, rngs: nnx.Rngs) -> None:
        self.layers = FunnelLayers(config, config.num_decoder_layers, draw, rngs)


class FunnelBody(nnx.Module):
    """Embeddings, blocks, and the decoder where there is one."""

    def __init__(
        self, config: FunnelConfig, vocab_size: int, heads: frozenset[str], draw: Draw, rngs: nnx.Rngs
    ) -> None:
        self.embeddings = FunnelEmbeddings(config, vocab_size, draw, rngs)
        self.encoder = FunnelBlocks(config, draw, rngs)
        if has_decoder(heads):
            self.decoder = FunnelDecoder(config, draw, rngs)


class ReplacedTokenHead(nnx.Module):
    """The head that tells replaced tokens."""

    def __init__(self, width: int, draw: Draw, rngs: nnx.Rngs) -> None:
        self.dense = Linear(width, width, draw=draw, rngs=rngs)
        self.dense_prediction = Linear(width, 1, draw=draw, rngs=rngs)


class FunnelOutputBias(nnx.Module):
    """The bias of the masked-LM head, whose table is the word embeddings'."""

    def __init__(self, vocab_size: int) -> None:
        self.bias = nnx.Param(jnp.zeros(vocab_size + padding_rows(vocab_size)))


class FunnelClassifier(nnx.Module):
    """The classifier of rows."""

    def __init__(self, width: int, outputs: int, draw: Draw, rngs: nnx.Rngs) -> None:
        self.linear_hidden = Linear(width, width, draw=draw, rngs=rngs)
        self.linear_out = Linear(width, outputs, draw=draw, rngs=rngs)


class FunnelTree(nnx.Module):
    """The whole tree: the body, and heads as far as wanted."""

    def __init__(self, config: FunnelConfig, vocab_size: int, heads: frozenset[str], draw: Draw, rngs: nnx.Rngs):
        self.funnel = FunnelBody(config, vocab_size, heads, draw, rngs)
        if "replaced" in heads:
            self.discriminator_predictions = ReplacedTokenHead(config.d_model, draw, rngs)
        if "vocabulary" in heads:
            self.lm_head = FunnelOutputBias(vocab_size)
