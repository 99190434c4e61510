"""ModernBERT (Warner et al. 2024, arXiv 2412.13663): a parameter tree with Hugging Face's names, and functions of it."""

import functools
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from pretrain.models.config import check_config
from pretrain.models.core.attention import attention
from pretrain.models.core.dropout import dropout
from pretrain.models.core.layers import (
    Linear,
    Parameters,
    embed,
    fold_key,
    gelu,
    layer_norm,
    mapped,
    parameters,
    split_rows,
    truncated_normal,
)
from pretrain.models.core.remat import check_remat, recomputed, rematerialised_layer
from pretrain.models.core.rotary import Turns, turned, turns_of
from pretrain.models.core.task_scores import OF_TOKENS, add_token_head, label_scores
from pretrain.models.core.vocabulary import vocabulary_scores
from pretrain.models.modernbert.config import ModernBertConfig
from pretrain.models.modernbert.relative_positions import distance_scores, log_buckets
from pretrain.models.modernbert.tree import BEHIND_HEAD, GATED, QKV, ModernBertTree
from pretrain.models.protocols import Compute, Inputs
from pretrain.models.task_heads import TaskHead

CLASSIFIER = "classifier"
"""What transformers calls the last map of every task."""


@dataclass(frozen=True)
class ModernBert:
    """ModernBERT with its head `vocabulary` (masked LM).

    - `config`: the sizes.
    - `vocab_size`: entries of the vocabulary; the word table is padded to a multiple of 128 (`pretrain.models.core.vocabulary`).
    - `heads`: `vocabulary`, the kind of `task` alone, or none.
    - `compute`: how it is computed. LayerNorm, rotations, softmax and logits are float32 whatever the types.
    - `task`: the head of a fine-tuned model.

    Raises InputError for sizes or names that do not fit. All methods are pure and may run under jax.jit.
    """

    config: ModernBertConfig
    vocab_size: int
    heads: frozenset[str]
    compute: Compute
    task: TaskHead | None = None

    @classmethod
    def for_task(cls, config: ModernBertConfig, vocab_size: int, task: TaskHead, compute: Compute) -> Self:
        """The encoder with the head of a task and no other."""
        return cls(config, vocab_size, frozenset({task.kind}), compute, task)

    def __post_init__(self) -> None:
        check_config(self.config, self.vocab_size)
        check_remat(self.compute.remat)

    def init(self, key: jax.Array) -> Parameters:
        """Draws the parameters as transformers' ModernBertPreTrainedModel does: truncated normal, biases 0, scales 1."""
        rngs = nnx.Rngs(params=key)
        tree = ModernBertTree(self.config, self.vocab_size, self.heads, rngs)
        if self.task:
            self._add_task(tree, self.task, rngs)
        drawn = parameters(tree)
        return jax.tree.map(lambda parameter: parameter.astype(self.compute.parameter_dtype), drawn)

    def encode(self, params: Parameters, inputs: Inputs, *, dropout_key: jax.Array | None = None) -> jax.Array:
        """Runs the encoder. It has no token types.

        - `inputs`: integers [B, L].
        - `dropout_key`: one key, or a key [B] for each row; switches dropout on; its implementation draws the bits.

        Returns the normalised last hidden states [B, L, H] in compute_dtype. An id beyond the table gives NaN.
        """
        config, body = self.config, params["model"]
        embeddings_key, layers_key = fold_key(dropout_key, 0), fold_key(dropout_key, 1)
        table, norm = body["embeddings"]["tok_embeddings"], body["embeddings"]["norm"]
        hidden = split_rows(embed(table, inputs.tokens, without_gradient=config.pad_token_id))
        hidden = dropout(self._norm(norm, hidden), config.embedding_dropout, embeddings_key)
        positions = self._positions(body, inputs.positions)

        def run_layer(
            of_layer: Parameters, hidden: jax.Array, number: jax.Array | int, is_global: bool, unrolled: bool
        ) -> jax.Array:
            window = None if is_global else config.window
            attend = functools.partial(
                self._attend, segments=inputs.segments, positions=positions[is_global], window=window
            )
            layer = rematerialised_layer(
                functools.partial(self._layer, attend=attend, unrolled=unrolled), self.compute.remat, unrolled=unrolled
            )
            return split_rows(layer(of_layer, hidden, fold_key(layers_key, number)))

        hidden = run_layer(body["first_layer"], hidden, 0, True, True)
        if "layers" in body:
            hidden = self._through_layers(body["layers"], run_layer, hidden)
        return self._norm(body["final_norm"], hidden)

    def _positions(self, body: Parameters, positions: jax.Array) -> dict[bool, Turns | jax.Array]:
        """What tells attention the distances of tokens, of layers that see all and of the others: the turns of rotary positions, or the
        vectors of all buckets, [P, H]."""
        config = self.config
        if config.relative_buckets:
            table = body["relative_positions"]["embedding"]
            return dict.fromkeys((True, False), self._norm(body["relative_norm"], table))
        bases = {True: config.global_rope_theta, False: config.local_rope_theta}
        return {kind: turns_of(positions, config.head_width, base) for kind, base in bases.items()}

    def _through_layers(self, layers: Parameters, run_layer: Callable[..., jax.Array], hidden: jax.Array) -> jax.Array:
        """Hidden states [B, L, H] after all layers but the first: a scan over periods, each of layers with a window and one that
        sees all, and what is left of a period.

        - `layers`: stacked; `run_layer`: (of one layer, hidden states, its number, whether it sees all, whether no loop is around it).
        """
        config, period = self.config, self.config.global_attn_every_n_layers
        count, left = divmod(config.num_hidden_layers - 1, period)

        def run(
            hidden: jax.Array, of_period: Parameters, first: jax.Array | int, places: int, unrolled: bool
        ) -> jax.Array:
            for place in range(places):
                layer = jax.tree.map(operator.itemgetter(place), of_period)
                hidden = run_layer(layer, hidden, first + place, config.is_global(1 + place), unrolled)
            return hidden

        def run_period(hidden: jax.Array, turn: tuple[Parameters, jax.Array]) -> tuple[jax.Array, None]:
            return run(hidden, *turn, period, unroll >= count), None

        unroll = max(1, self.compute.scan_unroll // period)
        if count:
            of_periods = jax.tree.map(
                lambda stacked: stacked[: count * period].reshape(count, period, *stacked.shape[1:]), layers
            )
            turns = (of_periods, 1 + period * jnp.arange(count))
            hidden, _ = jax.lax.scan(run_period, hidden, turns, unroll=min(unroll, count))
        last = jax.tree.map(lambda stacked: stacked[count * period :], layers)
        return run(hidden, last, 1 + count * period, left, True)

    def vocabulary_logits(self, params: Parameters, hidden: jax.Array) -> jax.Array:
        """Scores the vocabulary at hidden states [..., H]: those of the masked positions while training.

        Returns float32 [..., V] with V the padded vocabulary (`pretrain.models.core.vocabulary.vocabulary_scores`).
        """
        hidden = self._through_head(params["head"], hidden)
        return vocabulary_scores(hidden, self.word_table(params), params["decoder"]["bias"], self.vocab_size)

    def task_logits(
        self, params: Parameters, hidden: jax.Array, inputs: Inputs, *, dropout_key: jax.Array | None = None
    ) -> jax.Array:
        """What the head of the task says (`pretrain.models.protocols.TaskModel`)."""
        assert self.task
        if self.task.kind == "classifier":
            hidden = self.summary(hidden, inputs.segments)
        rate = 0.0 if self.task.kind == "span" else self.task_dropout  # as every span's head here
        through_head = self._through_head(params["head"], hidden)
        return label_scores(params[CLASSIFIER], dropout(through_head, rate, fold_key(dropout_key, 2)))

    @property
    def task_dropout(self) -> float:
        """Of the task's head: none, as transformers, unless the head names another."""
        chosen = self.task.dropout if self.task else None
        return 0.0 if chosen is None else chosen

    def word_table(self, params: Parameters) -> jax.Array:
        """The word table [V, W], V padded."""
        table: jax.Array = params["model"]["embeddings"]["tok_embeddings"]["embedding"]
        return table

    def summary(self, hidden: jax.Array, segments: jax.Array) -> jax.Array:
        """The hidden states [B, H] of the first tokens, or the mean of each row's, as `classifier_pooling` says."""
        if self.config.classifier_pooling == "cls":
            return hidden[:, 0]
        real = (segments > 0)[..., None]
        total = jnp.where(real, hidden, 0).sum(axis=1, dtype=jnp.float32)
        # A row of padding, which fills a batch, gives 0: as a loss of weight 0 it must be finite.
        return (total / jnp.maximum(real.sum(axis=1), 1)).astype(hidden.dtype)

    def _add_task(self, tree: nnx.Module, task: TaskHead, rngs: nnx.Rngs) -> None:
        width, draw = self.config.hidden_size, truncated_normal(self.config.hidden_size**-0.5)
        if task.kind in BEHIND_HEAD:
            setattr(tree, CLASSIFIER, Linear(width, task.outputs, draw=draw, rngs=rngs))
        else:
            assert task.kind in OF_TOKENS
            add_token_head(tree, task, width, width, draw=draw, rngs=rngs)

    def _layer(
        self,
        params: Parameters,
        hidden: jax.Array,
        key: jax.Array | None,
        *,
        attend: Callable[..., jax.Array],
        unrolled: bool,
    ) -> jax.Array:
        """One layer with LayerNorm before each block: [B, L, H] to [B, L, H].

        - `attend`: (attention's parameters, queries, keys, values [B, L, N, D], dropout key) -> [B, L, N, D].
        """
        config, dtype = self.config, self.compute.compute_dtype
        rows = hidden.reshape(-1, config.hidden_size)  # one axis of rows outside attention, as in the encoder
        keys = [fold_key(key, number) for number in range(3)]
        heads = (*hidden.shape[:-1], config.num_attention_heads, config.head_width)
        normed = self._norm(params["attn_norm"], rows) if "attn_norm" in params else rows
        q, k, v = (mapped(params["attn"]["Wqkv"][name], normed, dtype).reshape(heads) for name in QKV)
        if self.compute.remat == "attention":
            attend = recomputed(attend, unrolled=unrolled)
        mixed = attend(params["attn"]["Wqkv"], q, k, v, keys[0]).reshape(rows.shape)
        if config.attention_gate:
            mixed = mixed * gelu(mapped(params["attn"]["Wg"], normed, dtype))
        rows = rows + dropout(mapped(params["attn"]["Wo"], mixed, dtype), config.attention_out_dropout, keys[1])
        normed = self._norm(params["mlp_norm"], rows)
        into, gate = (mapped(params["mlp"]["Wi"][name], normed, dtype) for name in GATED)
        inner = dropout(gelu(into) * gate, config.mlp_dropout, keys[2])
        return (rows + mapped(params["mlp"]["Wo"], inner, dtype)).reshape(hidden.shape)

    def _attend(
        self,
        maps: Parameters,
        q: jax.Array,
        k: jax.Array,
        v: jax.Array,
        key: jax.Array | None,
        *,
        segments: jax.Array,
        positions: Turns | jax.Array,
        window: int | None,
    ) -> jax.Array:
        scale = bias = None
        if isinstance(positions, Turns):
            q, k = turned(q, positions), turned(k, positions)
        else:
            scale = (3 * self.config.head_width) ** -0.5  # of three products
            bias = scale * self._distance_scores(maps, positions, q, k)
        return attention(
            q,
            k,
            v,
            segments=segments,
            window=window,
            scale=scale,
            bias=bias,
            implementation=self.compute.attention,
            dropout_rate=self.config.attention_dropout,
            dropout_key=key,
        )

    def _distance_scores(self, maps: Parameters, vectors: jax.Array, q: jax.Array, k: jax.Array) -> jax.Array:
        """What distances add to the scores, unscaled (`pretrain.models.modernbert.relative_positions.distance_scores`).

        - `maps`: into queries and keys, which take the `vectors` of buckets [P, H], too.
        """
        config, place = self.config, np.arange(q.shape[1])
        buckets = log_buckets(place[:, None] - place, config.relative_buckets, config.max_position_embeddings)
        q_of_buckets, k_of_buckets = (
            mapped(maps[name], vectors, self.compute.compute_dtype).reshape(-1, *q.shape[2:]) for name in QKV[:2]
        )
        return distance_scores(q, k, q_of_buckets, k_of_buckets, buckets)

    def _through_head(self, params: Parameters, hidden: jax.Array) -> jax.Array:
        return self._norm(params["norm"], gelu(mapped(params["dense"], hidden, self.compute.compute_dtype)))

    def _norm(self, params: Parameters, inputs: jax.Array) -> jax.Array:
        return layer_norm(params, inputs, epsilon=self.config.norm_eps, dtype=self.compute.compute_dtype)
