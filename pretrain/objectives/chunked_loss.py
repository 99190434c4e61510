"""Cross-entropy of the next token, a chunk of positions at a time, so that the scores of a whole row never exist."""

import functools
from typing import Any

import jax
import jax.numpy as jnp

from pretrain.models.core.vocabulary import PADDED_LOGIT

Chunk = tuple[jax.Array, jax.Array, jax.Array]
"""Hidden states [B, C, H], labels and weights [B, C]."""
Gradients = tuple[jax.Array, jax.Array, jax.Array | None]
"""By the hidden states, the table and the bias."""


def next_token_sums(
    hidden: jax.Array,
    table: jax.Array,
    labels: jax.Array,
    weights: jax.Array,
    *,
    vocab_size: int,
    chunk: int,
    bias: jax.Array | None = None,
    label_smoothing: float = 0.0,
) -> dict[str, jax.Array]:
    """Sums of cross-entropy, right answers and weights; the caller divides once, over all microbatches and devices.

    - `hidden`: [B, L, H] in the compute type.
    - `table`: [V, H] in the parameters' type; its rows at and beyond `vocab_size` are padding.
    - `labels`: int32 [B, L], 0 to vocab_size - 1; `weights`: float32 [B, L], 0 where nothing is predicted.
    - `chunk`: positions of each row whose scores, float32 [B, chunk, V], exist at once.
    - `bias`: [V], added to the scores.
    - `label_smoothing`: share of each label that is spread over the whole vocabulary (Szegedy et al. 2016, arXiv 1512.00567,
      section 7); the loss is then to these.

    The gradients are made in the forward pass, where the scores are: made in the backward pass they would take the product with
    the table once more. The table's adds up over the chunks in float32.

    Returns float32 scalars: `loss_sum` (nats), `correct_sum` (no score is larger than the label's), `weight_sum`.
    """
    loss_sum, correct_sum = _sums(hidden, table, bias, labels, weights, vocab_size, chunk, label_smoothing)
    return {"loss_sum": loss_sum, "correct_sum": correct_sum, "weight_sum": weights.sum()}


@functools.partial(jax.custom_vjp, nondiff_argnums=(5, 6, 7))
def _sums(
    hidden: jax.Array,
    table: jax.Array,
    bias: jax.Array | None,
    labels: jax.Array,
    weights: jax.Array,
    vocab_size: int,
    chunk: int,
    smoothing: float,
) -> tuple[jax.Array, jax.Array]:
    narrow = table.astype(hidden.dtype)

    def add(so_far: tuple[jax.Array, jax.Array], turn: Chunk) -> tuple[tuple[jax.Array, jax.Array], None]:
        loss, correct, _ = _scored(turn, narrow, bias, vocab_size, smoothing)
        return (so_far[0] + loss, so_far[1] + correct), None

    zero = jnp.float32(0)
    sums, _ = jax.lax.scan(add, (zero, zero), _chunks(chunk, hidden, labels, weights))
    return sums


def _forward(
    hidden: jax.Array,
    table: jax.Array,
    bias: jax.Array | None,
    labels: jax.Array,
    weights: jax.Array,
    vocab_size: int,
    chunk: int,
    smoothing: float,
) -> tuple[tuple[jax.Array, jax.Array], Gradients]:
    narrow = table.astype(hidden.dtype)

    def add(so_far: Any, turn: Chunk) -> tuple[Any, jax.Array]:
        rows = turn[0].reshape(-1, hidden.shape[-1])
        loss, correct, of_scores = _scored(turn, narrow, bias, vocab_size, smoothing)
        of_hidden = jnp.einsum("bcv,vh->bch", of_scores, narrow)
        # As [H, V]: the gradient of the scores, by far the largest array, is then read as it lies.
        of_table = jnp.einsum("rh,rv->hv", rows, of_scores.reshape(len(rows), -1), preferred_element_type=jnp.float32)
        of_bias = None if bias is None else so_far[3] + of_scores.sum((0, 1), dtype=jnp.float32)
        return (so_far[0] + loss, so_far[1] + correct, so_far[2] + of_table, of_bias), of_hidden

    zero = jnp.float32(0)
    of_bias = None if bias is None else jnp.zeros(bias.shape, jnp.float32)
    begin = (zero, zero, jnp.zeros(table.shape[::-1], jnp.float32), of_bias)
    (loss, correct, of_table, of_bias), of_hidden = jax.lax.scan(add, begin, _chunks(chunk, hidden, labels, weights))
    of_hidden = of_hidden.swapaxes(0, 1).reshape(len(hidden), -1, hidden.shape[-1])[:, : hidden.shape[1]]
    if bias is not None and of_bias is not None:
        of_bias = of_bias.astype(bias.dtype)
    return (loss, correct), (of_hidden, of_table.T.astype(table.dtype), of_bias)


def _backward(
    vocab_size: int, chunk: int, smoothing: float, saved: Gradients, gradients: tuple[jax.Array, jax.Array]
) -> tuple[jax.Array, jax.Array, jax.Array | None, None, None]:
    def scaled(array: jax.Array) -> jax.Array:
        return (gradients[0] * array.astype(jnp.float32)).astype(array.dtype)

    of_hidden, of_table, of_bias = saved
    return scaled(of_hidden), scaled(of_table), None if of_bias is None else scaled(of_bias), None, None


_sums.defvjp(_forward, _backward)


def _scored(
    turn: Chunk, table: jax.Array, bias: jax.Array | None, vocab_size: int, smoothing: float
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Of one chunk: loss and right answers, summed, and the loss' gradient by the scores, [B, C, V] in the type of `hidden`."""
    hidden, labels, weights = turn
    scores = jnp.einsum("bch,vh->bcv", hidden, table, preferred_element_type=jnp.float32)
    entries = jnp.arange(table.shape[0])
    learnt = 0.0 if bias is None else bias.astype(jnp.float32)
    scores = scores + jnp.where(entries < vocab_size, learnt, PADDED_LOGIT)
    largest = scores.max(axis=-1)
    normaliser = jnp.log(jnp.exp(scores - largest[..., None]).sum(axis=-1)) + largest
    of_label = wanted = jnp.take_along_axis(scores, labels[..., None], axis=-1)[..., 0]
    is_label = entries == labels[..., None]
    if smoothing:
        real = entries < vocab_size
        wanted = (1 - smoothing) * of_label + smoothing / vocab_size * jnp.where(real, scores, 0.0).sum(axis=-1)
        is_label = (1 - smoothing) * is_label + smoothing / vocab_size * real
    of_scores = (jnp.exp(scores - normaliser[..., None]) - is_label) * weights[..., None]
    loss, correct = ((normaliser - wanted) * weights).sum(), ((of_label >= largest) * weights).sum()
    return loss, correct, of_scores.astype(hidden.dtype)


def _chunks(chunk: int, hidden: jax.Array, labels: jax.Array, weights: jax.Array) -> Chunk:
    """All chunks along a leading axis, the last filled up with zeros, which weigh nothing."""
    length = hidden.shape[1]
    chunk = min(chunk, length)

    def cut(array: jax.Array) -> jax.Array:
        filled = jnp.pad(array, [(0, 0), (0, -length % chunk)] + [(0, 0)] * (array.ndim - 2))
        return filled.reshape(len(array), -1, chunk, *array.shape[2:]).swapaxes(0, 1)

    return cut(hidden), cut(labels), cut(weights)
