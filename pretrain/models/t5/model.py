"""T5 (Raffel et al. 2019, arXiv 1910.10683): a parameter tree, and functions of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx

from pretrain.models.config import check_config
from pretrain.models.core.attention import attention
from pretrain.models.core.dropout import dropout
from pretrain.models.core.layers import (
    Embedding,
    Matrix,
    Parameters,
    RMSNorm,
    embed,
    fold_key,
    gelu_tanh,
    mapped,
    normal,
    parameters,
    rms_norm,
    split_rows,
)
from pretrain.models.core.remat import check_remat, recomputed, rematerialised_layer
from pretrain.models.core.vocabulary import padding_rows, vocabulary_scores
from pretrain.models.protocols import Compute, Inputs, OutputTable
from pretrain.models.t5.config import T5Config
from pretrain.models.t5.relative_positions import position_bias

HEADS = frozenset({"target"})
"""All heads that a T5 may have."""


class T5Attention(nnx.Module):
    """Attention's maps and the normalisation before them. Queries begin smaller by the root of d_kv: nothing scales the scores."""

    def __init__(self, config: T5Config, rngs: nnx.Rngs, stack: tuple[int, ...]) -> None:
        width, inner, factor = config.d_model, config.attention_width, config.initializer_factor
        self.layer_norm = RMSNorm(width, stack=stack)
        self.q = Matrix(width, inner, draw=normal(factor * (width * config.d_kv) ** -0.5), rngs=rngs, stack=stack)
        self.k = Matrix(width, inner, draw=normal(factor * width**-0.5), rngs=rngs, stack=stack)
        self.v = Matrix(width, inner, draw=normal(factor * width**-0.5), rngs=rngs, stack=stack)
        self.o = Matrix(inner, width, draw=normal(factor * inner**-0.5), rngs=rngs, stack=stack)


class T5FeedForward(nnx.Module):
    """The feed-forward maps under Hugging Face's names and the normalisation before them."""

    def __init__(self, config: T5Config, rngs: nnx.Rngs, stack: tuple[int, ...]) -> None:
        width, inner, factor = config.d_model, config.d_ff, config.initializer_factor
        self.layer_norm = RMSNorm(width, stack=stack)
        for name in ("wi_0", "wi_1") if config.is_gated else ("wi",):
            setattr(self, name, Matrix(width, inner, draw=normal(factor * width**-0.5), rngs=rngs, stack=stack))
        self.wo = Matrix(inner, width, draw=normal(factor * inner**-0.5), rngs=rngs, stack=stack)


class T5Blocks(nnx.Module):
    """All layers of a stack, along a leading axis."""

    def __init__(self, config: T5Config, layers: int, crosses: bool, rngs: nnx.Rngs) -> None:
        self.self_attention = T5Attention(config, rngs, (layers,))
        if crosses:
            self.cross_attention = T5Attention(config, rngs, (layers,))
        self.feed_forward = T5FeedForward(config, rngs, (layers,))


class T5Stack(nnx.Module):
    """The encoder or the decoder: its one table of relative positions, its layers, its last normalisation."""

    def __init__(self, config: T5Config, layers: int, crosses: bool, rngs: nnx.Rngs) -> None:
        draw = normal(config.initializer_factor * config.d_model**-0.5)
        rows = config.relative_attention_num_buckets
        self.relative_attention_bias = Embedding(rows, config.num_heads, draw=draw, rngs=rngs)
        self.block = T5Blocks(config, layers, crosses, rngs)
        self.final_layer_norm = RMSNorm(config.d_model)


class T5Tree(nnx.Module):
    """The tree; a tied head is `shared`."""

    def __init__(self, config: T5Config, vocab_size: int, heads: frozenset[str], rngs: nnx.Rngs) -> None:
        rows = padding_rows(vocab_size)
        table = partial(Embedding, vocab_size, config.d_model, padding_rows=rows, rngs=rngs)
        factor = config.initializer_factor
        self.shared = table(draw=normal(factor))
        self.encoder = T5Stack(config, config.num_layers, False, rngs)
        self.decoder = T5Stack(config, config.num_decoder_layers, True, rngs)
        if "target" in heads and not config.tie_word_embeddings:
            # As mesh_tensorflow's dense layers; transformers' deviation of 1 makes a first loss of several times ln V.
            self.lm_head = table(draw=normal(factor * config.d_model**-0.5))


@dataclass(frozen=True)
class T5:
    """T5 with its head `target`: the word table, or in version 1.1 a table of its own.

    - `config`: the sizes.
    - `vocab_size`: entries of the vocabulary; tables are padded to a multiple of 128 (`pretrain.models.core.vocabulary`).
    - `heads`: `target`, or none.
    - `compute`: how it is computed. Normalisations, softmax and logits are float32 whatever the types.

    Raises InputError for sizes or names that do not fit. All methods are pure and may run under jax.jit.
    """

    config: T5Config
    vocab_size: int
    heads: frozenset[str]
    compute: Compute

    def __post_init__(self) -> None:
        check_config(self.config, self.vocab_size)
        check_remat(self.compute.remat)

    def init(self, key: jax.Array) -> Parameters:
        """Draws the parameters as mesh_tensorflow does, and but for a head of its own transformers' T5PreTrainedModel: normal, scales
        1."""
        tree = T5Tree(self.config, self.vocab_size, self.heads, nnx.Rngs(params=key))
        return jax.tree.map(lambda parameter: parameter.astype(self.compute.parameter_dtype), parameters(tree))

    def encode(self, params: Parameters, inputs: Inputs, *, dropout_key: jax.Array | None = None) -> jax.Array:
        """Runs the encoder over sources: as `pretrain.models.protocols.Model.encode`. It has no token types, and positions come from
        the distance of two tokens alone."""

        def run_layer(bias: jax.Array, layer: Parameters, hidden: jax.Array, key: jax.Array | None) -> jax.Array:
            keys = [fold_key(key, number) for number in range(4)]
            hidden = self._attended(
                layer["self_attention"], hidden, None, keys[:2], bias=bias, segments=inputs.segments
            )
            return self._fed_forward(layer["feed_forward"], hidden, keys[2:])

        return self._through_stack(params, "encoder", inputs.tokens, run_layer, dropout_key)

    def decode(
        self,
        params: Parameters,
        target: Inputs,
        source: jax.Array,
        source_segments: jax.Array,
        *,
        dropout_key: jax.Array | None = None,
    ) -> jax.Array:
        """Runs the decoder (`pretrain.models.protocols.Decoder`)."""

        def run_layer(bias: jax.Array, layer: Parameters, hidden: jax.Array, key: jax.Array | None) -> jax.Array:
            keys = [fold_key(key, number) for number in range(6)]
            hidden = self._attended(
                layer["self_attention"], hidden, None, keys[:2], bias=bias, causal=True, segments=target.segments
            )
            hidden = self._attended(
                layer["cross_attention"],
                hidden,
                source,
                keys[2:4],
                segments=target.segments,
                key_segments=source_segments,
            )
            return self._fed_forward(layer["feed_forward"], hidden, keys[4:])

        return self._through_stack(params, "decoder", target.tokens, run_layer, dropout_key)

    def output_table(self, params: Parameters, hidden: jax.Array) -> OutputTable:
        """What scores the target's tokens (`pretrain.models.protocols.Decoder`)."""
        if self.config.tie_word_embeddings:
            return OutputTable(hidden * self.config.d_model**-0.5, params["shared"]["embedding"], None)
        return OutputTable(hidden, params["lm_head"]["embedding"], None)

    def target_logits(self, params: Parameters, hidden: jax.Array) -> jax.Array:
        """Scores of the token that follows in the target, float32 [..., V] with V padded, for the decoder's states [..., H]."""
        return vocabulary_scores(*self.output_table(params, hidden), self.vocab_size)

    def _through_stack(
        self,
        params: Parameters,
        name: str,
        tokens: jax.Array,
        run: Callable[[jax.Array, Parameters, jax.Array, jax.Array | None], jax.Array],
        key: jax.Array | None,
    ) -> jax.Array:
        """The normalised last hidden states [B, L, H] of a stack, "encoder" or "decoder".

        - `run`: (bias of relative positions, parameters of one layer, hidden states, its dropout key) -> hidden states.
        """
        stack, config = params[name], self.config
        drop = partial(dropout, rate=config.dropout_rate)
        hidden = split_rows(embed(params["shared"], tokens)).astype(self.compute.compute_dtype)
        hidden, layers_key = drop(hidden, key=fold_key(key, 0)), fold_key(key, 1)
        # Once for all layers, which add up its gradient in float32.
        bias = position_bias(
            stack["relative_attention_bias"],
            tokens.shape[1],
            both_ways=name == "encoder",
            longest=config.relative_attention_max_distance,
        )

        def run_layer(hidden: jax.Array, turn: tuple[Parameters, jax.Array]) -> tuple[jax.Array, None]:
            layer, index = turn
            return split_rows(run(bias, layer, hidden, fold_key(layers_key, index))), None

        count = stack["block"]["self_attention"]["q"]["kernel"].shape[0]
        unrolled = self.compute.scan_unroll >= count
        run_layer = rematerialised_layer(run_layer, self.compute.remat, unrolled=unrolled)
        turns = (stack["block"], jnp.arange(count))
        hidden, _ = jax.lax.scan(run_layer, hidden, turns, unroll=min(self.compute.scan_unroll, count))
        return drop(self._norm(stack["final_layer_norm"], hidden), key=fold_key(key, 2))

    def _attended(
        self,
        params: Parameters,
        hidden: jax.Array,
        read: jax.Array | None,
        keys: Sequence[jax.Array | None],
        *,
        bias: jax.Array | None = None,
        causal: bool = False,
        **segments: jax.Array,
    ) -> jax.Array:
        """Attention before its residual sum: [B, L, H] to [B, L, H].

        - `read`: [B, K, H], what keys and values are made of; None: of what queries are.
        - `keys`: for dropout on the probabilities, and behind the output.
        - `segments`: as `attention` takes them.
        """
        config, dtype, width = self.config, self.compute.compute_dtype, hidden.shape[-1]
        normed = self._norm(params["layer_norm"], hidden).reshape(-1, width)
        read = normed if read is None else read.reshape(-1, width)
        heads = (len(hidden), -1, config.num_heads, config.d_kv)
        q, k, v = (
            mapped(params[name], rows, dtype).reshape(heads) for name, rows in (("q", normed), ("k", read), ("v", read))
        )
        attend: Callable[..., jax.Array] = partial(
            attention,
            causal=causal,
            scale=1.0,
            implementation=self.compute.attention,
            dropout_rate=config.dropout_rate,
        )
        if self.compute.remat == "attention":
            attend = recomputed(attend, unrolled=self.compute.scan_unroll >= config.num_layers)
        mixed = attend(q, k, v, bias=bias, dropout_key=keys[0], **segments)
        out = mapped(params["o"], mixed.reshape(-1, config.attention_width), dtype)
        return hidden + dropout(out, config.dropout_rate, keys[1]).reshape(hidden.shape)

    def _fed_forward(self, params: Parameters, hidden: jax.Array, keys: Sequence[jax.Array | None]) -> jax.Array:
        """The feed-forward layer before its residual sum: [B, L, H] to [B, L, H].

        - `keys`: for dropout between the maps, and behind them.
        """
        rate, dtype = self.config.dropout_rate, self.compute.compute_dtype
        rows = self._norm(params["layer_norm"], hidden).reshape(-1, hidden.shape[-1])
        if self.config.is_gated:
            inner = gelu_tanh(mapped(params["wi_0"], rows, dtype)) * mapped(params["wi_1"], rows, dtype)
        else:
            inner = jax.nn.relu(mapped(params["wi"], rows, dtype))
        out = mapped(params["wo"], dropout(inner, rate, keys[0]), dtype)
        return hidden + dropout(out, rate, keys[1]).reshape(hidden.shape)

    def _norm(self, params: Parameters, inputs: jax.Array) -> jax.Array:
        return rms_norm(params, inputs, epsilon=self.config.layer_norm_epsilon, dtype=self.compute.compute_dtype)
