"""The parameters of a ModernBERT: their names, shapes and initial values."""

import jax
import jax.numpy as jnp
from flax import nnx

from pretrain.models.core.layers import Draw, Embedding, LayerNorm, Matrix, truncated_normal
from pretrain.models.core.vocabulary import padding_rows
from pretrain.models.modernbert.config import ModernBertConfig

HEADS = frozenset({"vocabulary"})
"""All heads that a ModernBERT may be pretrained with."""
BEHIND_HEAD = frozenset({"vocabulary", "classifier", "tags", "span"})
"""What looks through the head's dense layer; all but the parser and the generator, which transformers has not."""
QKV = ("query", "key", "value")
"""Hugging Face keeps the three as one, in this order. Apart, each splits over mesh.tensor by heads."""
GATED = ("input", "gate")
"""Hugging Face keeps the two as one, in this order; the first goes through the activation."""


class NamedMaps(nnx.Module):
    """Several linear maps of one shape, by name."""

    def __init__(
        self, names: tuple[str, ...], inputs: int, outputs: int, *, draw: Draw, rngs: nnx.Rngs, stack: tuple[int, ...]
    ) -> None:
        for name in names:
            setattr(self, name, Matrix(inputs, outputs, draw=draw, rngs=rngs, stack=stack))


class ModernBertAttention(nnx.Module):
    """Attention's maps under Hugging Face's names."""

    def __init__(self, config: ModernBertConfig, rngs: nnx.Rngs, stack: tuple[int, ...]) -> None:
        width = config.hidden_size
        self.Wqkv = NamedMaps(QKV, width, width, draw=draws(config), rngs=rngs, stack=stack)
        self.Wo = Matrix(width, width, draw=draws(config, writes=True), rngs=rngs, stack=stack)
        if config.attention_gate:
            self.Wg = Matrix(width, width, draw=draws(config), rngs=rngs, stack=stack)


class GatedFeedForward(nnx.Module):
    """The feed-forward maps under Hugging Face's names."""

    def __init__(self, config: ModernBertConfig, rngs: nnx.Rngs, stack: tuple[int, ...]) -> None:
        width, inner = config.hidden_size, config.intermediate_size
        into, out = (draws(config, writes=writes, feeds_forward=True) for writes in (False, True))
        self.Wi = NamedMaps(GATED, width, inner, draw=into, rngs=rngs, stack=stack)
        self.Wo = Matrix(inner, width, draw=out, rngs=rngs, stack=stack)


class ModernBertLayers(nnx.Module):
    """The first layer, alone and without a norm before its attention, or all others, stacked along a leading axis."""

    def __init__(self, config: ModernBertConfig, rngs: nnx.Rngs, stack: tuple[int, ...] = ()) -> None:
        if stack:
            self.attn_norm = LayerNorm(config.hidden_size, stack=stack, biased=False)
        self.attn = ModernBertAttention(config, rngs, stack)
        self.mlp_norm = LayerNorm(config.hidden_size, stack=stack, biased=False)
        self.mlp = GatedFeedForward(config, rngs, stack)


class ModernBertEmbeddings(nnx.Module):
    """The word table and the norm behind it."""

    def __init__(self, config: ModernBertConfig, vocab_size: int, rngs: nnx.Rngs) -> None:
        width, rows = config.hidden_size, padding_rows(vocab_size)
        self.tok_embeddings = Embedding(vocab_size, width, padding_rows=rows, draw=draws(config), rngs=rngs)
        self.norm = LayerNorm(width, biased=False)


class ModernBertBody(nnx.Module):
    """Embeddings, layers and the last norm."""

    def __init__(self, config: ModernBertConfig, vocab_size: int, rngs: nnx.Rngs) -> None:
        self.embeddings = ModernBertEmbeddings(config, vocab_size, rngs)
        self.first_layer = ModernBertLayers(config, rngs)
        if config.num_hidden_layers > 1:
            self.layers = ModernBertLayers(config, rngs, (config.num_hidden_layers - 1,))
        self.final_norm = LayerNorm(config.hidden_size, biased=False)
        if config.relative_buckets:
            self.relative_positions = Embedding(config.buckets, config.hidden_size, draw=draws(config), rngs=rngs)
            self.relative_norm = LayerNorm(config.hidden_size, biased=False)


class ModernBertHead(nnx.Module):
    """The dense layer that scores of the vocabulary and of labels look through."""

    def __init__(self, config: ModernBertConfig, rngs: nnx.Rngs) -> None:
        width = config.hidden_size
        self.dense = Matrix(width, width, draw=draws(config, writes=True), rngs=rngs)
        self.norm = LayerNorm(width, biased=False)


class ModernBertDecoder(nnx.Module):
    """The bias of the vocabulary's scores, whose table is that of the words."""

    def __init__(self, vocab_size: int) -> None:
        self.bias = nnx.Param(jnp.zeros(vocab_size + padding_rows(vocab_size)))


class ModernBertTree(nnx.Module):
    """The whole tree: `model` and, as far as wanted, its heads."""

    def __init__(self, config: ModernBertConfig, vocab_size: int, heads: frozenset[str], rngs: nnx.Rngs) -> None:
        self.model = ModernBertBody(config, vocab_size, rngs)
        if heads & BEHIND_HEAD:
            self.head = ModernBertHead(config, rngs)
        if "vocabulary" in heads:
            self.decoder = ModernBertDecoder(vocab_size)


def draws(config: ModernBertConfig, *, writes: bool = False, feeds_forward: bool = False) -> Draw:
    """How kernels and tables are drawn, as transformers' ModernBertPreTrainedModel does, or ltgoslo/ltg-bert (model.py, initialize).

    - `writes`: of a kernel that writes to the residual sum, and of the head's; `feeds_forward`: of one in a feed-forward layer.
    """
    if config.initializer == "modernbert":
        share = (2 * config.num_hidden_layers) ** -0.5 if writes else 1.0
        return truncated_normal(config.initializer_range * share)
    drawn = truncated_normal((2 / (5 * config.hidden_size)) ** 0.5)
    if not feeds_forward:
        return drawn

    def by_layer(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
        # A matrix is the first layer's, a stack that of the others.
        number = 1 if len(shape) == 2 else 2 + jnp.arange(shape[0])[:, None, None]
        return drawn(key, shape) * (2 * number) ** -0.5

    return by_layer
