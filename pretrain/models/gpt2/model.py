"""GPT-2 (Radford et al. 2019): a parameter tree with Hugging Face's names, and functions of it."""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import jax
import jax.numpy as jnp
from flax import nnx

from pretrain.models.config import check_config
from pretrain.models.core.attention import attention
from pretrain.models.core.dropout import dropout
from pretrain.models.core.layers import (
    Draw,
    Embedding,
    LayerNorm,
    Linear,
    Matrix,
    Parameters,
    embed,
    fold_key,
    gelu_tanh,
    layer_norm,
    linear,
    normal,
    parameters,
    split_rows,
)
from pretrain.models.core.remat import check_remat, recomputed, rematerialised_layer
from pretrain.models.core.task_scores import OF_TOKENS, add_token_head, label_scores, token_scores
from pretrain.models.core.vocabulary import padding_rows, vocabulary_scores
from pretrain.models.gpt2.config import GPT2Config
from pretrain.models.protocols import Compute, Inputs
from pretrain.models.task_heads import TaskHead

HEADS = frozenset({"next_token"})
"""All heads that a GPT-2 may be pretrained with."""
SCORE = "score"
"""What transformers calls the map from the last token to classes."""
TAGS_DROPOUT = 0.1
"""Before the map to tags where config.json has no classifier_dropout (transformers, GPT2ForTokenClassification)."""
QKV = ("query", "key", "value")
"""Hugging Face keeps the three as one, in this order. Apart, each splits over mesh.tensor by heads."""


class QueryKeyValue(nnx.Module):
    """The three maps into attention."""

    def __init__(self, width: int, *, draw: Draw, rngs: nnx.Rngs, stack: tuple[int, ...]) -> None:
        for name in QKV:
            setattr(self, name, Linear(width, width, draw=draw, rngs=rngs, stack=stack))


class CausalAttention(nnx.Module):
    """Attention's maps under Hugging Face's names."""

    def __init__(self, width: int, *, draw: Draw, draw_output: Draw, rngs: nnx.Rngs, stack: tuple[int, ...]) -> None:
        self.c_attn = QueryKeyValue(width, draw=draw, rngs=rngs, stack=stack)
        self.c_proj = Linear(width, width, draw=draw_output, rngs=rngs, stack=stack)


class FeedForward(nnx.Module):
    """The feed-forward maps under Hugging Face's names."""

    def __init__(
        self, width: int, inner: int, *, draw: Draw, draw_output: Draw, rngs: nnx.Rngs, stack: tuple[int, ...]
    ) -> None:
        self.c_fc = Linear(width, inner, draw=draw, rngs=rngs, stack=stack)
        self.c_proj = Linear(inner, width, draw=draw_output, rngs=rngs, stack=stack)


class Blocks(nnx.Module):
    """All layers, stacked along a leading axis."""

    def __init__(self, config: GPT2Config, rngs: nnx.Rngs) -> None:
        width, stack, deviation = config.n_embd, (config.n_layer,), config.initializer_range
        draws = {"draw": normal(deviation), "draw_output": normal(deviation / math.sqrt(2 * config.n_layer))}
        self.ln_1 = LayerNorm(width, stack=stack)
        self.attn = CausalAttention(width, **draws, rngs=rngs, stack=stack)
        self.ln_2 = LayerNorm(width, stack=stack)
        self.mlp = FeedForward(width, config.inner_width, **draws, rngs=rngs, stack=stack)


class Transformer(nnx.Module):
    """Tables, layers and the last LayerNorm."""

    def __init__(self, config: GPT2Config, vocab_size: int, rngs: nnx.Rngs) -> None:
        width, draw = config.n_embd, normal(config.initializer_range)
        self.wte = Embedding(vocab_size, width, padding_rows=padding_rows(vocab_size), draw=draw, rngs=rngs)
        self.wpe = Embedding(config.n_positions, width, draw=draw, rngs=rngs)
        self.h = Blocks(config, rngs)
        self.ln_f = LayerNorm(width)


class WholeTree(nnx.Module):
    """The tree; the head is `wte`."""

    def __init__(self, config: GPT2Config, vocab_size: int, rngs: nnx.Rngs) -> None:
        self.transformer = Transformer(config, vocab_size, rngs)


@dataclass(frozen=True)
class GPT2:
    """GPT-2 with its head `next_token`, which is the word table.

    - `config`: the sizes.
    - `vocab_size`: entries of the vocabulary; the word table is padded to a multiple of 128 (`pretrain.models.core.vocabulary`).
    - `heads`: `next_token`, the kind of `task` alone, or none.
    - `compute`: how it is computed. LayerNorm, softmax and logits are float32 whatever the types.
    - `task`: the head of a fine-tuned model.

    Raises InputError for sizes or names that do not fit. All methods are pure and may run under jax.jit.
    """

    config: GPT2Config
    vocab_size: int
    heads: frozenset[str]
    compute: Compute
    task: TaskHead | None = None

    @classmethod
    def for_task(cls, config: GPT2Config, vocab_size: int, task: TaskHead, compute: Compute) -> Self:
        """The decoder with the head of a task and no other."""
        return cls(config, vocab_size, frozenset({task.kind}), compute, task)

    def __post_init__(self) -> None:
        check_config(self.config, self.vocab_size)
        check_remat(self.compute.remat)

    def init(self, key: jax.Array) -> Parameters:
        """Draws the parameters as transformers' GPT2PreTrainedModel does: normal, biases 0, scales 1."""
        rngs = nnx.Rngs(params=key)
        tree = WholeTree(self.config, self.vocab_size, rngs)
        if self.task:
            self._add_task(tree, self.task, rngs)
        drawn = parameters(tree)
        return jax.tree.map(lambda parameter: parameter.astype(self.compute.parameter_dtype), drawn)

    def encode(self, params: Parameters, inputs: Inputs, *, dropout_key: jax.Array | None = None) -> jax.Array:
        """Runs the decoder: a position sees itself and the earlier ones of its segment. It has no token types.

        - `inputs`: integers [B, L].
        - `dropout_key`: one key, or a key [B] for each row; switches dropout on; its implementation draws the bits.

        Returns the normalised last hidden states [B, L, H] in compute_dtype. An id beyond a table gives NaN.
        """
        config, body = self.config, params["transformer"]
        embeddings_key, layers_key = fold_key(dropout_key, 0), fold_key(dropout_key, 1)
        hidden = split_rows(embed(body["wte"], inputs.tokens) + embed(body["wpe"], inputs.positions))
        hidden = dropout(hidden.astype(self.compute.compute_dtype), config.embd_pdrop, embeddings_key)

        def run_layer(hidden: jax.Array, layer: tuple[Parameters, jax.Array]) -> tuple[jax.Array, None]:
            layer_params, index = layer
            return split_rows(self._layer(layer_params, hidden, inputs.segments, fold_key(layers_key, index))), None

        run_layer = rematerialised_layer(run_layer, self.compute.remat, unrolled=self._unrolled)
        layers = (body["h"], jnp.arange(config.n_layer))
        hidden, _ = jax.lax.scan(run_layer, hidden, layers, unroll=self.compute.scan_unroll)
        return self._layer_norm(body["ln_f"], hidden)

    def next_token_table(self, params: Parameters) -> jax.Array:
        """The word table [V, H] in the parameters' type, V padded: its products with hidden states score the next token."""
        table: jax.Array = params["transformer"]["wte"]["embedding"]
        return table

    def next_token_logits(self, params: Parameters, hidden: jax.Array) -> jax.Array:
        """Scores of the token that follows, float32 [..., V] with V padded, for hidden states [..., H]."""
        return vocabulary_scores(hidden, self.next_token_table(params), None, self.vocab_size)

    def task_logits(
        self, params: Parameters, hidden: jax.Array, inputs: Inputs, *, dropout_key: jax.Array | None = None
    ) -> jax.Array:
        """What the head of the task says (`pretrain.models.protocols.TaskModel`); a row's class is told by its last token, which
        alone has seen all others."""
        assert self.task
        key = fold_key(dropout_key, 2)
        if self.task.kind in OF_TOKENS:
            return token_scores(params, hidden, self.task, self.task_dropout, key)
        of_last = self.summary(hidden, inputs.segments)
        return label_scores(params[SCORE], dropout(of_last, self.task_dropout, key))

    @property
    def task_dropout(self) -> float:
        """Of the task's head: transformers', unless the head names another."""
        assert self.task
        of_kind = {"tags": TAGS_DROPOUT, "slots": self.config.resid_pdrop}.get(self.task.kind, 0.0)
        return of_kind if self.task.dropout is None else self.task.dropout

    def word_table(self, params: Parameters) -> jax.Array:
        """The word table [V, W], V padded."""
        return self.next_token_table(params)

    def summary(self, hidden: jax.Array, segments: jax.Array) -> jax.Array:
        """The hidden states [B, H] of the last tokens."""
        last = segments.shape[1] - 1 - jnp.argmax(segments[:, ::-1] > 0, axis=1)
        return jnp.take_along_axis(hidden, last[:, None, None], axis=1)[:, 0]

    def _add_task(self, tree: nnx.Module, task: TaskHead, rngs: nnx.Rngs) -> None:
        width, draw = self.config.n_embd, normal(self.config.initializer_range)
        if task.kind in OF_TOKENS:
            add_token_head(tree, task, width, width, draw=draw, rngs=rngs)
        else:
            setattr(tree, SCORE, Matrix(width, task.outputs, draw=draw, rngs=rngs))

    def _layer(self, params: Parameters, hidden: jax.Array, segments: jax.Array, key: jax.Array | None) -> jax.Array:
        """One layer with LayerNorm before each block: [B, L, H] to [B, L, H]."""
        config, dtype = self.config, self.compute.compute_dtype
        rows = hidden.reshape(-1, config.n_embd)  # one axis of rows outside attention, as in the encoder
        keys = [fold_key(key, number) for number in range(3)]
        heads = (*hidden.shape[:-1], config.n_head, config.n_embd // config.n_head)
        normed = self._layer_norm(params["ln_1"], rows)
        q, k, v = (linear(params["attn"]["c_attn"][name], normed, dtype).reshape(heads) for name in QKV)
        attend: Callable[..., jax.Array] = functools.partial(
            attention, causal=True, implementation=self.compute.attention, dropout_rate=config.attn_pdrop
        )
        if self.compute.remat == "attention":
            attend = recomputed(attend, unrolled=self._unrolled)
        mixed = attend(q, k, v, segments=segments, dropout_key=keys[0]).reshape(rows.shape)
        rows = rows + dropout(linear(params["attn"]["c_proj"], mixed, dtype), config.resid_pdrop, keys[1])
        inner = gelu_tanh(linear(params["mlp"]["c_fc"], self._layer_norm(params["ln_2"], rows), dtype))
        rows = rows + dropout(linear(params["mlp"]["c_proj"], inner, dtype), config.resid_pdrop, keys[2])
        return rows.reshape(hidden.shape)

    @property
    def _unrolled(self) -> bool:
        return self.compute.scan_unroll >= self.config.n_layer

    def _layer_norm(self, params: Parameters, inputs: jax.Array) -> jax.Array:
        return layer_norm(params, inputs, epsilon=self.config.layer_norm_epsilon, dtype=self.compute.compute_dtype)
