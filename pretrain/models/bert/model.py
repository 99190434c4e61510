"""BERT for pretraining (Devlin et al. 2019, arXiv 1810.04805): a parameter tree with Hugging Face's names, and functions of it."""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flax import nnx

from data_pipeline.contract.errors import InputError
from pretrain.models.bert.config import BertConfig
from pretrain.models.core.attention import attention
from pretrain.models.core.dropout import dropout
from pretrain.models.core.layers import (
    Draw,
    Embedding,
    LayerNorm,
    Linear,
    Parameters,
    embed,
    embed_few,
    fold_key,
    gelu,
    layer_norm,
    linear,
    normal,
    parameters,
    split_rows,
    table_logits,
    truncated_normal,
    wide_einsum,
)
from pretrain.models.core.remat import check_remat, recomputed, rematerialised_layer
from pretrain.models.protocols import Compute, Inputs

HEADS = frozenset({"vocabulary", "pair"})
"""All heads that a BERT may have."""

ROW_MULTIPLE = 128
"""The word table has a multiple of this many rows, so that any vocabulary can be split over devices (128: a TPU's lane width)."""

PADDED_LOGIT = -1e30
"""Logit of the rows that are only padding: far below any other, yet finite in float32 and bfloat16."""


def drawn_as(config: BertConfig) -> Draw:
    """How kernels and tables are drawn."""
    return {"normal": normal, "truncated_normal": truncated_normal}[config.initializer](config.initializer_range)


class Embeddings(nnx.Module):
    """Word, position and token type tables."""

    def __init__(self, config: BertConfig, vocab_size: int, rngs: nnx.Rngs) -> None:
        width, draw = config.hidden_size, drawn_as(config)
        self.word_embeddings = Embedding(
            vocab_size, width, padding_rows=-vocab_size % ROW_MULTIPLE, draw=draw, rngs=rngs
        )
        self.position_embeddings = Embedding(config.max_position_embeddings, width, draw=draw, rngs=rngs)
        self.token_type_embeddings = Embedding(config.type_vocab_size, width, draw=draw, rngs=rngs)
        self.LayerNorm = LayerNorm(width)


class Dense(nnx.Module):
    """A linear map under the name `dense`, and, where `normalised`, a LayerNorm behind it."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        config: BertConfig,
        rngs: nnx.Rngs,
        *,
        stack: tuple[int, ...] = (),
        normalised: bool = False,
    ) -> None:
        self.dense = Linear(inputs, outputs, draw=drawn_as(config), rngs=rngs, stack=stack)
        if normalised:
            self.LayerNorm = LayerNorm(outputs, stack=stack)


class SelfAttention(nnx.Module):
    """Query, key and value projections of all layers."""

    def __init__(self, config: BertConfig, rngs: nnx.Rngs, stack: tuple[int, ...]) -> None:
        for name in ("query", "key", "value"):
            projection = Linear(
                config.hidden_size,
                config.hidden_size,
                draw=drawn_as(config),
                rngs=rngs,
                stack=stack,
            )
            setattr(self, name, projection)


class Attention(nnx.Module):
    """Self-attention and its output projection, of all layers."""

    def __init__(self, config: BertConfig, rngs: nnx.Rngs, stack: tuple[int, ...]) -> None:
        self.self = SelfAttention(config, rngs, stack)
        self.output = Dense(config.hidden_size, config.hidden_size, config, rngs, stack=stack, normalised=True)


class Layers(nnx.Module):
    """All encoder layers, stacked: every parameter has a leading axis of num_hidden_layers."""

    def __init__(self, config: BertConfig, rngs: nnx.Rngs) -> None:
        hidden, inner, stack = config.hidden_size, config.intermediate_size, (config.num_hidden_layers,)
        self.attention = Attention(config, rngs, stack)
        self.intermediate = Dense(hidden, inner, config, rngs, stack=stack)
        self.output = Dense(inner, hidden, config, rngs, stack=stack, normalised=True)


class Encoder(nnx.Module):
    """The stack of layers under Hugging Face's name `layer`."""

    def __init__(self, config: BertConfig, rngs: nnx.Rngs) -> None:
        self.layer = Layers(config, rngs)


class Body(nnx.Module):
    """Embeddings, encoder and, for sentence pairs, the pooler."""

    def __init__(self, config: BertConfig, vocab_size: int, pair: bool, rngs: nnx.Rngs) -> None:
        self.embeddings = Embeddings(config, vocab_size, rngs)
        self.encoder = Encoder(config, rngs)
        if pair:
            self.pooler = Dense(config.hidden_size, config.hidden_size, config, rngs)


class Predictions(nnx.Module):
    """The masked-LM head without its table, which is the word embeddings'."""

    def __init__(self, config: BertConfig, vocab_size: int, rngs: nnx.Rngs) -> None:
        self.transform = Dense(config.hidden_size, config.hidden_size, config, rngs, normalised=True)
        self.bias = nnx.Param(jnp.zeros(vocab_size + -vocab_size % ROW_MULTIPLE))


class Heads(nnx.Module):
    """The masked-LM head and the classifier of pairs, as far as wanted."""

    def __init__(self, config: BertConfig, vocab_size: int, heads: frozenset[str], rngs: nnx.Rngs) -> None:
        if "vocabulary" in heads:
            self.predictions = Predictions(config, vocab_size, rngs)
        if "pair" in heads:
            self.seq_relationship = Linear(config.hidden_size, 2, draw=drawn_as(config), rngs=rngs)


class Tree(nnx.Module):
    """The whole tree: `bert` and, with heads, `cls`."""

    def __init__(self, config: BertConfig, vocab_size: int, heads: frozenset[str], rngs: nnx.Rngs) -> None:
        self.bert = Body(config, vocab_size, "pair" in heads, rngs)
        if heads:
            self.cls = Heads(config, vocab_size, heads, rngs)


@dataclass(frozen=True)
class Bert:
    """BERT with its heads: `vocabulary` (masked LM) and `pair` (next sentence or sentence order, with the pooler).

    - `config`: the sizes.
    - `vocab_size`: entries of the vocabulary; the word table is padded to a multiple of ROW_MULTIPLE.
    - `heads`: a subset of HEADS.
    - `compute`: how it is computed. LayerNorm, softmax and logits are float32 whatever the types.

    Raises InputError for sizes or names that do not fit. All methods are pure and may run under jax.jit.
    """

    config: BertConfig
    vocab_size: int
    heads: frozenset[str]
    compute: Compute

    def __post_init__(self) -> None:
        config = self.config
        if config.hidden_size % config.num_attention_heads:
            raise InputError(
                f"model.hidden_size {config.hidden_size} is not a multiple of "
                f"model.num_attention_heads {config.num_attention_heads}; change one of them"
            )
        if config.vocab_size not in (None, self.vocab_size):
            raise InputError(
                f"model.vocab_size is {config.vocab_size} but the vocabulary has {self.vocab_size} rows; "
                "leave model.vocab_size unset"
            )
        check_remat(self.compute.remat, self.compute.scan_unroll)

    def init(self, key: jax.Array) -> Parameters:
        """Draws the parameters: kernels and tables as `config.initializer` says, biases 0, scales 1.

        The row of [PAD] is drawn like any other (torch sets it to zero): no other token sees a padding position, and as an
        output the row is a class like the rest.
        """
        drawn = parameters(Tree(self.config, self.vocab_size, self.heads, nnx.Rngs(params=key)))
        return jax.tree.map(lambda parameter: parameter.astype(self.compute.parameter_dtype), drawn)

    def encode(self, params: Parameters, inputs: Inputs, *, dropout_key: jax.Array | None = None) -> jax.Array:
        """Runs the encoder.

        - `inputs`: integers [B, L]; positions are rows of the position table.
        - `dropout_key`: one key, or a key [B] for each row; switches dropout on; its implementation draws the bits.

        Returns the last hidden states [B, L, H] in compute_dtype. An id beyond the word or position table gives NaN.
        """
        config = self.config
        embeddings_key, layers_key = fold_key(dropout_key, 0), fold_key(dropout_key, 1)
        hidden = self._embed(params["bert"]["embeddings"], inputs, embeddings_key)

        def run_layer(hidden: jax.Array, layer: tuple[Parameters, jax.Array]) -> tuple[jax.Array, None]:
            layer_params, index = layer
            return split_rows(self._layer(layer_params, hidden, inputs.segments, fold_key(layers_key, index))), None

        run_layer = rematerialised_layer(run_layer, self.compute.remat, unrolled=self._unrolled)
        layers = (params["bert"]["encoder"]["layer"], jnp.arange(config.num_hidden_layers))
        hidden, _ = jax.lax.scan(run_layer, hidden, layers, unroll=self.compute.scan_unroll)
        return hidden

    def vocabulary_logits(self, params: Parameters, hidden: jax.Array) -> jax.Array:
        """Scores the vocabulary at hidden states [..., H]: those of the masked positions while training.

        Returns float32 [..., V] with V the padded vocabulary. Rows at and beyond vocab_size hold PADDED_LOGIT: the mask is part
        of the bias, which is added anyway, so it costs nothing; slicing would give sharded logits uneven shards. A softmax
        gives these rows exactly 0 and no gradient, and they are never the largest.
        """
        head = params["cls"]["predictions"]
        table = params["bert"]["embeddings"]["word_embeddings"]["embedding"]
        hidden = gelu(linear(head["transform"]["dense"], hidden, self.compute.compute_dtype))
        hidden = self._layer_norm(head["transform"]["LayerNorm"], hidden)
        bias = jnp.where(jnp.arange(table.shape[0]) < self.vocab_size, head["bias"].astype(jnp.float32), PADDED_LOGIT)
        return table_logits(hidden, table.astype(self.compute.compute_dtype), bias)

    def pair_logits(self, params: Parameters, hidden: jax.Array) -> jax.Array:
        """Classifies rows [B, L, H] by their first position: float32 [B, 2], index 0 meaning that the second part follows."""
        pooled = jnp.tanh(linear(params["bert"]["pooler"]["dense"], hidden[:, 0], self.compute.compute_dtype))
        classifier = params["cls"]["seq_relationship"]
        return wide_einsum("bh,hc->bc", pooled, classifier["kernel"].astype(pooled.dtype)) + classifier["bias"]

    def _embed(self, params: Parameters, inputs: Inputs, key: jax.Array | None) -> jax.Array:
        total = embed(params["word_embeddings"], inputs.tokens) + embed(params["position_embeddings"], inputs.positions)
        total = split_rows(total + embed_few(params["token_type_embeddings"], inputs.token_types))
        return dropout(self._layer_norm(params["LayerNorm"], total), self.config.hidden_dropout_prob, key)

    def _layer(self, params: Parameters, hidden: jax.Array, segments: jax.Array, key: jax.Array | None) -> jax.Array:
        """One encoder layer with LayerNorm after each residual sum, as in the original: [B, L, H] to [B, L, H]."""
        config, dtype = self.config, self.compute.compute_dtype
        # One axis of rows outside attention: products of two matrices, whose gradients sum over one axis, take a CPU a
        # twentieth less time for a step. Reshaped once: the backward pass keeps each shape that a product gets.
        rows = hidden.reshape(-1, config.hidden_size)
        keys = [fold_key(key, number) for number in range(3)]
        heads = (*hidden.shape[:-1], config.num_attention_heads, config.hidden_size // config.num_attention_heads)
        q, k, v = (
            linear(params["attention"]["self"][name], rows, dtype).reshape(heads) for name in ("query", "key", "value")
        )
        attend: Callable[..., jax.Array] = functools.partial(
            attention, implementation=self.compute.attention, dropout_rate=config.attention_probs_dropout_prob
        )
        if self.compute.remat == "attention":
            attend = recomputed(attend, unrolled=self._unrolled)
        mixed = attend(q, k, v, segments=segments, dropout_key=keys[0]).reshape(rows.shape)
        rows = self._add_and_norm(params["attention"]["output"], mixed, rows, keys[1])
        inner = gelu(linear(params["intermediate"]["dense"], rows, dtype))
        return self._add_and_norm(params["output"], inner, rows, keys[2]).reshape(hidden.shape)

    @property
    def _unrolled(self) -> bool:
        return self.compute.scan_unroll >= self.config.num_hidden_layers

    def _add_and_norm(
        self, params: Parameters, inputs: jax.Array, residual: jax.Array, key: jax.Array | None
    ) -> jax.Array:
        outputs = dropout(
            linear(params["dense"], inputs, self.compute.compute_dtype), self.config.hidden_dropout_prob, key
        )
        return self._layer_norm(params["LayerNorm"], residual, outputs)

    def _layer_norm(self, params: Parameters, *inputs: jax.Array) -> jax.Array:
        return layer_norm(params, *inputs, epsilon=self.config.layer_norm_eps, dtype=self.compute.compute_dtype)
