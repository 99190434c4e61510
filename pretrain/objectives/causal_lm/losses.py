"""Cross-entropy of the next token, a chunk of positions at a time, so that the scores of a whole row never exist."""

import functools

import jax
import jax.numpy as jnp

from pretrain.models.core.vocabulary import PADDED_LOGIT

Chunk = tuple[jax.Array, jax.Array, jax.Array]
"""Hidden states [B, C, H], labels and weights [B, C]."""


def next_token_sums(
    hidden: jax.Array, table: jax.Array, labels: jax.Array, weights: jax.Array, *, vocab_size: int, chunk: int
) -> dict[str, jax.Array]:
    """Sums of cross-entropy, right answers and weights; the caller divides once, over all microbatches and devices.

    - `hidden`: [B, L, H] in the compute type.
    - `table`: [V, H] in the parameters' type; its rows at and beyond `vocab_size` are padding.
    - `labels`: int32 [B, L], 0 to vocab_size - 1; `weights`: float32 [B, L], 0 where nothing is predicted.
    - `chunk`: positions of each row whose scores, float32 [B, chunk, V], exist at once.

    The gradients are made in the forward pass, where the scores are: made in the backward pass they would take the product with
    the table once more. The table's adds up over the chunks in float32.

    Returns float32 scalars: `loss_sum` (nats), `correct_sum` (no score is larger than the label's), `weight_sum`.
    """
    loss_sum, correct_sum = _sums(hidden, table, labels, weights, vocab_size, chunk)
    return {"loss_sum": loss_sum, "correct_sum": correct_sum, "weight_sum": weights.sum()}


@functools.partial(jax.custom_vjp, nondiff_argnums=(4, 5))
def _sums(
    hidden: jax.Array, table: jax.Array, labels: jax.Array, weights: jax.Array, vocab_size: int, chunk: int
) -> tuple[jax.Array, jax.Array]:
    narrow = table.astype(hidden.dtype)

    def add(so_far: tuple[jax.Array, jax.Array], turn: Chunk) -> tuple[tuple[jax.Array, jax.Array], None]:
        loss, correct, _ = _scored(turn, narrow, vocab_size)
        return (so_far[0] + loss, so_far[1] + correct), None

    zero = jnp.float32(0)
    sums, _ = jax.lax.scan(add, (zero, zero), _chunks(chunk, hidden, labels, weights))
    return sums


def _forward(
    hidden: jax.Array, table: jax.Array, labels: jax.Array, weights: jax.Array, vocab_size: int, chunk: int
) -> tuple[tuple[jax.Array, jax.Array], tuple[jax.Array, jax.Array]]:
    narrow = table.astype(hidden.dtype)

    def add(so_far: Chunk, turn: Chunk) -> tuple[Chunk, jax.Array]:
        rows = turn[0].reshape(-1, hidden.shape[-1])
        loss, correct, of_scores = _scored(turn, narrow, vocab_size)
        of_hidden = jnp.einsum("bcv,vh->bch", of_scores, narrow)
        # As [H, V]: the gradient of the scores, by far the largest array, is then read as it lies.
        of_table = jnp.einsum("rh,rv->hv", rows, of_scores.reshape(len(rows), -1), preferred_element_type=jnp.float32)
        return (so_far[0] + loss, so_far[1] + correct, so_far[2] + of_table), of_hidden

    zero = jnp.float32(0)
    begin = (zero, zero, jnp.zeros(table.shape[::-1], jnp.float32))
    (loss, correct, of_table), of_hidden = jax.lax.scan(add, begin, _chunks(chunk, hidden, labels, weights))
    of_hidden = of_hidden.swapaxes(0, 1).reshape(len(hidden), -1, hidden.shape[-1])[:, : hidden.shape[1]]
    return (loss, correct), (of_hidden, of_table.T.astype(table.dtype))


def _backward(
    vocab_size: int, chunk: int, saved: tuple[jax.Array, jax.Array], gradients: tuple[jax.Array, jax.Array]
) -> tuple[jax.Array, jax.Array, None, None]:
    of_hidden, of_table = ((gradients[0] * array.astype(jnp.float32)).astype(array.dtype) for array in saved)
    return of_hidden, of_table, None, None


_sums.defvjp(_forward, _backward)


def _scored(turn: Chunk, table: jax.Array, vocab_size: int) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Of one chunk: loss and right answers, summed, and the loss' gradient by the scores, [B, C, V] in the type of `hidden`."""
    hidden, labels, weights = turn
    scores = jnp.einsum("bch,vh->bcv", hidden, table, preferred_element_type=jnp.float32)
    entries = jnp.arange(table.shape[0])
    scores = scores + jnp.where(entries < vocab_size, 0.0, PADDED_LOGIT)
    largest = scores.max(axis=-1)
    normaliser = jnp.log(jnp.exp(scores - largest[..., None]).sum(axis=-1)) + largest
    of_label = jnp.take_along_axis(scores, labels[..., None], axis=-1)[..., 0]
    of_scores = (jnp.exp(scores - normaliser[..., None]) - (entries == labels[..., None])) * weights[..., None]
    loss, correct = ((normaliser - of_label) * weights).sum(), ((of_label >= largest) * weights).sum()
    return loss, correct, of_scores.astype(hidden.dtype)


def _chunks(chunk: int, hidden: jax.Array, labels: jax.Array, weights: jax.Array) -> Chunk:
    """All chunks along a leading axis, the last filled up with zeros, which weigh nothing."""
    length = hidden.shape[1]
    chunk = min(chunk, length)

    def cut(array: jax.Array) -> jax.Array:
        filled = jnp.pad(array, [(0, 0), (0, -length % chunk)] + [(0, 0)] * (array.ndim - 2))
        return filled.reshape(len(array), -1, chunk, *array.shape[2:]).swapaxes(0, 1)

    return cut(hidden), cut(labels), cut(weights)
