"""Funnel (Dai et al. 2020, arXiv 2006.03236): a parameter tree with Hugging Face's names, and functions of it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, Self

import jax
import jax.numpy as jnp
from flax import nnx

from pretrain.models.config import check_config
from pretrain.models.core.attention import attention
from pretrain.models.core.dropout import dropout
from pretrain.models.core.layers import (
    Parameters,
    embed,
    fold_key,
    gelu_tanh,
    layer_norm,
    linear,
    parameters,
    split_rows,
    truncated_normal,
    wide_einsum,
)
from pretrain.models.core.remat import check_remat, recomputed, rematerialised_layer
from pretrain.models.core.task_scores import OF_TOKENS, add_token_head, label_scores, token_scores
from pretrain.models.core.vocabulary import vocabulary_scores
from pretrain.models.funnel.config import FunnelConfig
from pretrain.models.funnel.pooling import mean_of_neighbours, neighbours, upsampled
from pretrain.models.funnel.relative_positions import Distances
from pretrain.models.funnel.tree import FunnelClassifier, FunnelTree
from pretrain.models.protocols import Compute, Inputs
from pretrain.models.task_heads import TaskHead

HEADS = frozenset({"replaced", "vocabulary"})
"""All heads that a Funnel may have: a discriminator has the first, a generator the second."""
CLASSIFIER = "classifier"
"""What transformers calls the classifier of rows."""


class TokensSeen(NamedTuple):
    """What attention asks of the tokens of a block.

    - `types`: token types, int32 [B, L].
    - `real`: 1 where a token may be attended to, else 0, int32 [B, L].
    """

    types: jax.Array
    real: jax.Array

    def pooled(self) -> "TokensSeen":
        """Of the next block: the type of a pair is its first token's, and it is real where both are."""
        return TokensSeen(neighbours(self.types)[:, :, 0], neighbours(self.real).min(axis=2))


class Seen(NamedTuple):
    """How the queries of a layer see its keys.

    - `distances`: of them; `sinusoids`: theirs, float32 [distances, d_model].
    - `same_type`: bool [B, 1, Q, K]; `real`: of the keys, int32 [B, K].
    """

    distances: Distances
    sinusoids: jax.Array
    same_type: jax.Array
    real: jax.Array


@dataclass(frozen=True)
class Funnel:
    """Funnel with the head `replaced` (a discriminator's) or `vocabulary` (a generator's). A row is one text.

    - `config`: the sizes.
    - `vocab_size`: entries of the vocabulary; the word table is padded to a multiple of 128 (`pretrain.models.core.vocabulary`).
    - `heads`: of the family's, or the kind of `task` alone.
    - `compute`: how it is computed. LayerNorm, softmax and logits are float32 whatever the types.
    - `task`: the head of a fine-tuned model.

    Raises InputError for sizes or names that do not fit. All methods are pure and may run under jax.jit.
    """

    config: FunnelConfig
    vocab_size: int
    heads: frozenset[str]
    compute: Compute
    task: TaskHead | None = None

    @classmethod
    def for_task(cls, config: FunnelConfig, vocab_size: int, task: TaskHead, compute: Compute) -> Self:
        """The model with the head of a task and no other: of a classifier of rows it is the blocks alone."""
        return cls(config, vocab_size, frozenset({task.kind}), compute, task)

    def __post_init__(self) -> None:
        check_config(self.config, self.vocab_size)
        check_remat(self.compute.remat)

    def init(self, key: jax.Array) -> Parameters:
        """Draws the parameters (`FunnelConfig.init_std`)."""
        rngs, draw = nnx.Rngs(params=key), truncated_normal(self.config.init_std)
        tree = FunnelTree(self.config, self.vocab_size, self.heads, draw, rngs)
        if self.task and self.task.kind in OF_TOKENS:
            add_token_head(tree, self.task, self.config.d_model, self.config.d_model, draw=draw, rngs=rngs)
        elif self.task:
            setattr(tree, CLASSIFIER, FunnelClassifier(self.config.d_model, self.task.outputs, draw, rngs))
        return jax.tree.map(lambda parameter: parameter.astype(self.compute.parameter_dtype), parameters(tree))

    def encode(self, params: Parameters, inputs: Inputs, *, dropout_key: jax.Array | None = None) -> jax.Array:
        """Runs blocks and decoder.

        - `inputs`: integers [B, L]; one text a row, whose segment is above 0, and padding of segment 0. Positions are not read.
        - `dropout_key`: one key, or a key [B] for each row; switches dropout on; its implementation draws the bits.

        Returns the last hidden states [B, L, H] in compute_dtype; without a decoder those of the last block, each for all tokens that
        it was pooled from. An id beyond the word table gives NaN.
        """
        body, sizes = params["funnel"], self.config.block_sizes
        embeddings_key, layers_key = fold_key(dropout_key, 0), fold_key(dropout_key, 1)
        hidden = self._embed(body["embeddings"], inputs.tokens, embeddings_key)
        row = whole_row = TokensSeen(inputs.token_types, (inputs.segments > 0).astype(jnp.int32))
        after_first_block = hidden
        for block, count in enumerate(sizes):
            layers, number = body["encoder"][f"block_{block}"], sum(sizes[:block])
            if block and hidden.shape[1] > 2:
                seen, row = self._seen(row.pooled(), row, block), row.pooled()
                hidden = self._pooling_layer(_at(layers, 0), seen, hidden, fold_key(layers_key, number))
                layers, number, count = _at(layers, slice(1, None)), number + 1, count - 1
            hidden = self._through_layers(layers, number, count, self._seen(row, row, block), hidden, layers_key)
            if block == 0:
                after_first_block = hidden
        hidden = upsampled(hidden, 2 ** (len(sizes) - 1), inputs.tokens.shape[1])
        if "decoder" not in body:
            return hidden
        layers, seen = body["decoder"]["layers"], self._seen(whole_row, whole_row, 0)
        count = self.config.num_decoder_layers
        return self._through_layers(layers, sum(sizes), count, seen, hidden + after_first_block, layers_key)

    def replaced_logits(self, params: Parameters, hidden: jax.Array) -> jax.Array:
        """Scores each of [..., H], float32 [...]: above 0 where the token is rather a replacement than the original."""
        head = params["discriminator_predictions"]
        hidden = gelu_tanh(linear(head["dense"], hidden, self.compute.compute_dtype))
        scores = wide_einsum("...h,ho->...o", hidden, head["dense_prediction"]["kernel"].astype(hidden.dtype))
        return (scores + head["dense_prediction"]["bias"])[..., 0]

    def vocabulary_logits(self, params: Parameters, hidden: jax.Array) -> jax.Array:
        """Scores the vocabulary at hidden states [..., H]: those of the masked positions while training.

        Returns float32 [..., V] with V the padded vocabulary (`pretrain.models.core.vocabulary.vocabulary_scores`). The score of [PAD] is
        its bias: a gradient would move its row from zero.
        """
        table, padding = self.word_table(params), self.config.pad_token_id
        if padding is not None:
            table = jnp.where(jnp.arange(len(table))[:, None] == padding, 0.0, table)
        return vocabulary_scores(hidden, table, params["lm_head"]["bias"], self.vocab_size)

    def task_logits(
        self, params: Parameters, hidden: jax.Array, inputs: Inputs, *, dropout_key: jax.Array | None = None
    ) -> jax.Array:
        """What the head of the task says (`pretrain.models.protocols.TaskModel`)."""
        assert self.task
        key = fold_key(dropout_key, 2)  # 0 and 1 are the encoder's
        if self.task.kind in OF_TOKENS:
            return token_scores(params, hidden, self.task, self.task_dropout, key)
        head, first = params[CLASSIFIER], self.summary(hidden, inputs.segments)
        told = jnp.tanh(linear(head["linear_hidden"], first, self.compute.compute_dtype))
        return label_scores(head["linear_out"], dropout(told, self.task_dropout, key))

    @property
    def task_dropout(self) -> float:
        """Of the task's head: the model's own, unless the head names another."""
        chosen = self.task.dropout if self.task else None
        return self.config.hidden_dropout if chosen is None else chosen

    def word_table(self, params: Parameters) -> jax.Array:
        """The word table [V, W], V padded."""
        table: jax.Array = params["funnel"]["embeddings"]["word_embeddings"]["embedding"]
        return table

    def summary(self, hidden: jax.Array, segments: jax.Array) -> jax.Array:
        """The hidden states [B, H] of the first tokens."""
        return hidden[:, 0]

    def _embed(self, params: Parameters, tokens: jax.Array, key: jax.Array | None) -> jax.Array:
        words = embed(params["word_embeddings"], tokens, without_gradient=self.config.pad_token_id)
        return dropout(self._layer_norm(params["layer_norm"], split_rows(words)), self.config.hidden_dropout, key)

    def _seen(self, queries: TokensSeen, keys: TokensSeen, block: int) -> Seen:
        """How a layer of a block sees its keys, which are those of the block before where its queries are pooled."""
        counts = queries.types.shape[1], keys.types.shape[1]
        if queries is keys:
            distances = Distances(*counts, stride=2**block)
        else:
            # A pair's place is its first token's; [CLS] moves to where the pair before the first would be.
            stride = 2 ** (block - 1)
            distances = Distances(*counts, stride=stride, step=2, offset=-stride)
        same_type = queries.types[:, None, :, None] == keys.types[:, None, None, :]
        return Seen(distances, distances.sinusoids(self.config.d_model), same_type, keys.real)

    def _pooling_layer(self, params: Parameters, seen: Seen, hidden: jax.Array, key: jax.Array | None) -> jax.Array:
        """The layer that halves the row: [B, L, H] to [B, (L + 1) // 2, H]."""

        def run(params: Parameters, hidden: jax.Array, key: jax.Array | None) -> jax.Array:
            return self._layer(params, mean_of_neighbours(hidden), hidden, seen, key, unrolled=True)

        return split_rows(rematerialised_layer(run, self.compute.remat, unrolled=True)(params, hidden, key))

    def _through_layers(
        self, layers: Parameters, first: int, count: int, seen: Seen, hidden: jax.Array, key: jax.Array | None
    ) -> jax.Array:
        """Hidden states [B, L, H] after layers that have one length.

        - `layers`: their parameters, stacked; `count`: how many they are; `first`: the number of the first among all.
        """
        if not count:
            return hidden
        unrolled = self.compute.scan_unroll >= count

        def run_layer(hidden: jax.Array, turn: tuple[Parameters, jax.Array]) -> tuple[jax.Array, None]:
            params, number = turn
            return split_rows(self._layer(params, hidden, hidden, seen, fold_key(key, number), unrolled=unrolled)), None

        run_layer = rematerialised_layer(run_layer, self.compute.remat, unrolled=unrolled)
        turns = (layers, jnp.arange(first, first + count))
        return jax.lax.scan(run_layer, hidden, turns, unroll=min(self.compute.scan_unroll, count))[0]

    def _layer(
        self,
        params: Parameters,
        hidden: jax.Array,
        read: jax.Array,
        seen: Seen,
        key: jax.Array | None,
        *,
        unrolled: bool,
    ) -> jax.Array:
        """One layer with LayerNorm after each residual sum, [B, Q, H] to [B, Q, H].

        - `hidden`: what queries are made of, and what is added; `read`: [B, K, H], what keys and values are made of.
        """
        config, dtype = self.config, self.compute.compute_dtype
        keys = [fold_key(key, number) for number in range(4)]
        rows, read = hidden.reshape(-1, config.d_model), read.reshape(-1, config.d_model)  # as in the encoder
        heads, maps = (len(hidden), -1, config.n_head, config.d_head), params["attention"]
        q = rows @ maps["q_head"]["kernel"].astype(dtype)
        k, v = (linear(maps[name], read, dtype).reshape(heads) for name in ("k_head", "v_head"))
        attend: Callable[..., jax.Array] = partial(self._attend, seen)
        if self.compute.remat == "attention":
            attend = recomputed(attend, unrolled=unrolled)
        mixed = attend(maps, q.reshape(heads), k, v, keys[0]).reshape(-1, config.attention_width)
        rows = self._add_and_norm(maps["post_proj"], maps["layer_norm"], mixed, rows, keys[1])
        ffn = params["ffn"]
        inner = dropout(gelu_tanh(linear(ffn["linear_1"], rows, dtype)), config.activation_dropout, keys[2])
        return self._add_and_norm(ffn["linear_2"], ffn["layer_norm"], inner, rows, keys[3]).reshape(hidden.shape)

    def _attend(
        self, seen: Seen, params: Parameters, q: jax.Array, k: jax.Array, v: jax.Array, key: jax.Array | None
    ) -> jax.Array:
        """Attention to content, distances and types: [B, Q, N, D]."""
        across, dtype = (-1, self.config.n_head, self.config.d_head), self.compute.compute_dtype
        by_distance = (seen.sinusoids.astype(dtype) @ params["r_kernel"].astype(dtype)).reshape(across)
        of_distances = seen.distances.scores(q, by_distance, params["r_r_bias"].astype(jnp.float32))
        of_types = self._type_scores(params, q)
        bias = of_distances + jnp.where(seen.same_type, of_types[..., 1:], of_types[..., :1])
        # Nothing but content beside [CLS], on either side.
        after_first = [jnp.arange(count) > 0 for count in bias.shape[2:]]
        bias = jnp.where(after_first[0][:, None] & after_first[1], bias * self.config.d_head**-0.5, 0.0)
        return attention(
            (q.astype(jnp.float32) + params["r_w_bias"]).astype(dtype),
            k,
            v,
            segments=jnp.ones(q.shape[:2], jnp.int32),
            key_segments=seen.real,
            bias=bias,
            implementation=self.compute.attention,
            dropout_rate=self.config.attention_dropout,
            dropout_key=key,
        )

    def _type_scores(self, params: Parameters, q: jax.Array) -> jax.Array:
        """The score of a key of another type, and of the same, float32 [B, N, Q, 2]."""
        of_query = wide_einsum("bqnd,snd->bnqs", q, params["seg_embed"].astype(q.dtype))
        of_bias = jnp.einsum("nd,snd->ns", params["r_s_bias"], params["seg_embed"])
        return of_query + of_bias[:, None].astype(jnp.float32)

    def _add_and_norm(
        self, affine: Parameters, norm: Parameters, inputs: jax.Array, residual: jax.Array, key: jax.Array | None
    ) -> jax.Array:
        outputs = dropout(linear(affine, inputs, self.compute.compute_dtype), self.config.hidden_dropout, key)
        return self._layer_norm(norm, residual, outputs)

    def _layer_norm(self, params: Parameters, *inputs: jax.Array) -> jax.Array:
        return layer_norm(params, *inputs, epsilon=self.config.layer_norm_eps, dtype=self.compute.compute_dtype)


def _at(layers: Parameters, place: int | slice) -> Parameters:
    """One of the stacked layers, or several."""
    found: Parameters = jax.tree.map(lambda leaf: leaf[place], layers)
    return found
