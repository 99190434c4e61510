"""BERT for pretraining (Devlin et al. 2019, arXiv 1810.04805): a parameter tree with Hugging Face's names, and functions of it."""

import functools
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from data_pipeline.contract.errors import InputError
from pretrain.models.bert.config import BertConfig
from pretrain.models.core.attention import attention
from pretrain.models.core.layers import (
    Embedding,
    LayerNorm,
    Linear,
    Parameters,
    dropout,
    embed,
    embed_few,
    fold_key,
    gelu,
    layer_norm,
    linear,
    parameters,
    split_rows,
    wide_einsum,
)

SHARDING_RULES: tuple[tuple[str, tuple[str | tuple[str, ...] | None, ...]], ...] = (
    (r"word_embeddings/embedding$", (("tensor", "fsdp"),)),
    (r"layer/.*(query|key|value|intermediate/dense)/kernel$", (None, "fsdp", "tensor")),
    (r"layer/.*(query|key|value|intermediate/dense)/bias$", (None, "tensor")),
    (r"layer/.*output/dense/kernel$", (None, "tensor", "fsdp")),
    (r"(pooler|transform)/dense/kernel$", ("fsdp",)),
    (r"cls/predictions/bias$", ("tensor",)),
    (r"(position|token_type)_embeddings/embedding$", ()),
    (r"(LayerNorm/(scale|bias)|dense/bias|seq_relationship/(kernel|bias))$", ()),
)
"""Regular expression on a parameter's path ("bert/encoder/layer/attention/self/query/kernel") -> mesh axis of each dimension.

The first rule that re.search finds counts; dimensions beyond the tuple are not split. An encoder layer's first dimension is the
stack of layers. Heads and the feed-forward width are split over "tensor", so that each block ends in one sum over it. The word
table is split by rows: split by width, XLA gathers twice the bytes. The small tables are not worth a gather.
"""

ROW_MULTIPLE = 128
"""The word table has a multiple of this many rows, so that any vocabulary can be split over devices (128: a TPU's lane width)."""

PADDED_LOGIT = -1e30
"""Logit of the rows that are only padding: far below any other, yet finite in float32 and bfloat16."""

REMAT: tuple[Literal["none", "attention", "dots", "full"], ...] = ("none", "attention", "dots", "full")
"""What the backward pass keeps of a layer: everything; all but attention scores (Korthikanti et al. 2022, arXiv 2205.05198, section
5); its products with weights; its input only."""


class Embeddings(nnx.Module):
    """Word, position and token type tables."""

    def __init__(self, config: BertConfig, vocab_size: int, rngs: nnx.Rngs) -> None:
        width, deviation = config.hidden_size, config.initializer_range
        self.word_embeddings = Embedding(
            vocab_size, width, padding_rows=-vocab_size % ROW_MULTIPLE, initializer_range=deviation, rngs=rngs
        )
        self.position_embeddings = Embedding(
            config.max_position_embeddings, width, initializer_range=deviation, rngs=rngs
        )
        self.token_type_embeddings = Embedding(config.type_vocab_size, width, initializer_range=deviation, rngs=rngs)
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
        self.dense = Linear(inputs, outputs, initializer_range=config.initializer_range, rngs=rngs, stack=stack)
        if normalised:
            self.LayerNorm = LayerNorm(outputs, stack=stack)


class SelfAttention(nnx.Module):
    """Query, key and value projections of all layers."""

    def __init__(self, config: BertConfig, rngs: nnx.Rngs, stack: tuple[int, ...]) -> None:
        for name in ("query", "key", "value"):
            projection = Linear(
                config.hidden_size,
                config.hidden_size,
                initializer_range=config.initializer_range,
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

    def __init__(self, config: BertConfig, vocab_size: int, next_sentence: bool, rngs: nnx.Rngs) -> None:
        self.embeddings = Embeddings(config, vocab_size, rngs)
        self.encoder = Encoder(config, rngs)
        if next_sentence:
            self.pooler = Dense(config.hidden_size, config.hidden_size, config, rngs)


class Predictions(nnx.Module):
    """The masked-LM head without its table, which is the word embeddings'."""

    def __init__(self, config: BertConfig, vocab_size: int, rngs: nnx.Rngs) -> None:
        self.transform = Dense(config.hidden_size, config.hidden_size, config, rngs, normalised=True)
        self.bias = nnx.Param(jnp.zeros(vocab_size + -vocab_size % ROW_MULTIPLE))


class Heads(nnx.Module):
    """The masked-LM head and, for sentence pairs, the next-sentence classifier."""

    def __init__(self, config: BertConfig, vocab_size: int, next_sentence: bool, rngs: nnx.Rngs) -> None:
        self.predictions = Predictions(config, vocab_size, rngs)
        if next_sentence:
            self.seq_relationship = Linear(config.hidden_size, 2, initializer_range=config.initializer_range, rngs=rngs)


class Model(nnx.Module):
    """The whole tree: `bert` and `cls`."""

    def __init__(self, config: BertConfig, vocab_size: int, next_sentence: bool, rngs: nnx.Rngs) -> None:
        self.bert = Body(config, vocab_size, next_sentence, rngs)
        self.cls = Heads(config, vocab_size, next_sentence, rngs)


@dataclass(frozen=True)
class BertForPreTraining:
    """BERT with the masked-LM head and, where wanted, the next-sentence head.

    - `config`: the sizes.
    - `vocab_size`: rows of the vocabulary; the word table is padded to a multiple of ROW_MULTIPLE.
    - `next_sentence`: whether there are a pooler and a next-sentence classifier.
    - `compute_dtype`: type of activations and matrix products. LayerNorm, softmax and logits are float32.
    - `parameter_dtype`: type in which parameters are drawn and kept.
    - `remat`: one of REMAT; changes memory and time, never results.
    - `scan_unroll`: layers unrolled in each turn of the scan; changes neither parameters nor results.
    - `attention`: one of `pretrain.models.core.attention.IMPLEMENTATIONS`.

    Raises InputError for sizes or names that do not fit. All methods are pure and may run under jax.jit.
    """

    config: BertConfig
    vocab_size: int
    _: KW_ONLY
    next_sentence: bool
    compute_dtype: DTypeLike
    parameter_dtype: DTypeLike = jnp.float32
    remat: str = "none"
    scan_unroll: int = 1
    attention: str = "xla"

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
        if self.remat not in REMAT:
            raise InputError(f'remat "{self.remat}" is not known; use one of: {", ".join(REMAT)}')
        if self.scan_unroll < 1:
            raise InputError(f"scan_unroll is {self.scan_unroll}; it must be 1 or more")

    def init(self, key: jax.Array) -> Parameters:
        """Draws the parameters as Hugging Face does: kernels and tables normal(0, initializer_range), biases 0, scales 1.

        The row of [PAD] is drawn like any other (torch sets it to zero): no other token sees a padding position, and as an
        output the row is a class like the rest.
        """
        drawn = parameters(Model(self.config, self.vocab_size, self.next_sentence, nnx.Rngs(params=key)))
        return jax.tree.map(lambda parameter: parameter.astype(self.parameter_dtype), drawn)

    def encode(
        self,
        params: Parameters,
        token_ids: jax.Array,
        *,
        position_ids: jax.Array,
        token_type_ids: jax.Array,
        segments: jax.Array,
        dropout_key: jax.Array | None = None,
    ) -> jax.Array:
        """Runs the encoder.

        - `token_ids`, `position_ids`, `token_type_ids`: integers [B, L].
        - `segments`: integers [B, L]; a token attends where the segment is its own. Give padding a segment of its own.
        - `dropout_key`: one key, or a key [B] for each row; switches dropout on; its implementation draws the bits.

        Returns the last hidden states [B, L, H] in compute_dtype. An id beyond the word or position table gives NaN.
        """
        config = self.config
        embeddings_key, layers_key = fold_key(dropout_key, 0), fold_key(dropout_key, 1)
        hidden = self._embed(params["bert"]["embeddings"], token_ids, position_ids, token_type_ids, embeddings_key)

        def run_layer(hidden: jax.Array, layer: tuple[Parameters, jax.Array]) -> tuple[jax.Array, None]:
            layer_params, index = layer
            return split_rows(self._layer(layer_params, hidden, segments, fold_key(layers_key, index))), None

        if self.remat in ("dots", "full"):
            # "dots" leaves attention scores, the largest part, to be computed again: they are products with batch axes.
            policy = jax.checkpoint_policies.dots_with_no_batch_dims_saveable if self.remat == "dots" else None
            run_layer = self._recomputed(run_layer, policy)
        layers = (params["bert"]["encoder"]["layer"], jnp.arange(config.num_hidden_layers))
        hidden, _ = jax.lax.scan(run_layer, hidden, layers, unroll=self.scan_unroll)
        return hidden

    def masked_lm_logits(self, params: Parameters, hidden_at_positions: jax.Array) -> jax.Array:
        """Scores the vocabulary at hidden states [..., H] that were gathered at the masked positions.

        Returns float32 [..., V] with V the padded vocabulary. Rows at and beyond vocab_size hold PADDED_LOGIT: the mask is part
        of the bias, which is added anyway, so it costs nothing; slicing would give sharded logits uneven shards. A softmax
        gives these rows exactly 0 and no gradient, and they are never the largest.
        """
        head = params["cls"]["predictions"]
        table = params["bert"]["embeddings"]["word_embeddings"]["embedding"]
        hidden = gelu(linear(head["transform"]["dense"], hidden_at_positions, self.compute_dtype))
        hidden = self._layer_norm(head["transform"]["LayerNorm"], hidden)
        logits = wide_einsum("...h,vh->...v", hidden, table.astype(self.compute_dtype))
        return logits + jnp.where(jnp.arange(table.shape[0]) < self.vocab_size, head["bias"], PADDED_LOGIT)

    def next_sentence_logits(self, params: Parameters, hidden: jax.Array) -> jax.Array:
        """Classifies rows [B, L, H] by their first position: float32 [B, 2], index 0 meaning that the second part follows."""
        pooled = jnp.tanh(linear(params["bert"]["pooler"]["dense"], hidden[:, 0], self.compute_dtype))
        classifier = params["cls"]["seq_relationship"]
        return wide_einsum("bh,hc->bc", pooled, classifier["kernel"].astype(pooled.dtype)) + classifier["bias"]

    def _embed(
        self,
        params: Parameters,
        token_ids: jax.Array,
        position_ids: jax.Array,
        token_type_ids: jax.Array,
        key: jax.Array | None,
    ) -> jax.Array:
        total = embed(params["word_embeddings"], token_ids) + embed(params["position_embeddings"], position_ids)
        total = split_rows(total + embed_few(params["token_type_embeddings"], token_type_ids))
        return dropout(self._layer_norm(params["LayerNorm"], total), self.config.hidden_dropout_prob, key)

    def _layer(self, params: Parameters, hidden: jax.Array, segments: jax.Array, key: jax.Array | None) -> jax.Array:
        """One encoder layer with LayerNorm after each residual sum, as in the original: [B, L, H] to [B, L, H]."""
        config, dtype = self.config, self.compute_dtype
        # One axis of rows outside attention: products of two matrices, whose gradients sum over one axis, take a CPU a
        # twentieth less time for a step. Reshaped once: the backward pass keeps each shape that a product gets.
        rows = hidden.reshape(-1, config.hidden_size)
        keys = [fold_key(key, number) for number in range(3)]
        heads = (*hidden.shape[:-1], config.num_attention_heads, config.hidden_size // config.num_attention_heads)
        q, k, v = (
            linear(params["attention"]["self"][name], rows, dtype).reshape(heads) for name in ("query", "key", "value")
        )
        attend: Callable[..., jax.Array] = functools.partial(
            attention, implementation=self.attention, dropout_rate=config.attention_probs_dropout_prob
        )
        if self.remat == "attention":
            attend = self._recomputed(attend)
        mixed = attend(q, k, v, segments=segments, dropout_key=keys[0]).reshape(rows.shape)
        rows = self._add_and_norm(params["attention"]["output"], mixed, rows, keys[1])
        inner = gelu(linear(params["intermediate"]["dense"], rows, dtype))
        return self._add_and_norm(params["output"], inner, rows, keys[2]).reshape(hidden.shape)

    def _recomputed(
        self, function: Callable[..., Any], policy: Callable[..., bool] | None = None
    ) -> Callable[..., Any]:
        """Lets the backward pass compute again what the policy does not keep; without one, all of it."""
        # Inside the loop over layers XLA cannot merge the second computation with the first; unrolled in full it would.
        unrolled = self.scan_unroll >= self.config.num_hidden_layers
        return jax.checkpoint(function, policy=policy, prevent_cse=unrolled)

    def _add_and_norm(
        self, params: Parameters, inputs: jax.Array, residual: jax.Array, key: jax.Array | None
    ) -> jax.Array:
        outputs = dropout(linear(params["dense"], inputs, self.compute_dtype), self.config.hidden_dropout_prob, key)
        return self._layer_norm(params["LayerNorm"], residual + outputs)

    def _layer_norm(self, params: Parameters, inputs: jax.Array) -> jax.Array:
        return layer_norm(params, inputs, epsilon=self.config.layer_norm_eps, dtype=self.compute_dtype)
