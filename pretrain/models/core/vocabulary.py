"""The word table as a head: how many rows it has, and the scores that it gives."""

import jax
import jax.numpy as jnp

ROW_MULTIPLE = 128
"""The word table has a multiple of this many rows, so that any vocabulary can be split over devices (128: a TPU's lane width)."""

PADDED_LOGIT = -1e30
"""Logit of the rows that are only padding: far below any other, yet finite in float32 and bfloat16."""


def padding_rows(vocab_size: int) -> int:
    """Rows of the word table beyond the vocabulary's."""
    return -vocab_size % ROW_MULTIPLE


def vocabulary_scores(hidden: jax.Array, table: jax.Array, bias: jax.Array | None, vocab_size: int) -> jax.Array:
    """Scores of all rows of a word table: float32 [..., V] with V the padded vocabulary.

    - `hidden`: [..., W] in the compute type; `table`: [V, W], cast to that; `bias`: [V], or None where the head has none.

    Rows at and beyond vocab_size hold PADDED_LOGIT: the mask is part of the bias, which is added anyway, so it costs nothing;
    slicing would give sharded logits uneven shards. A softmax gives these rows exactly 0 and no gradient, and they are never
    the largest.
    """
    learnt = jnp.float32(0) if bias is None else bias.astype(jnp.float32)
    bias = jnp.where(jnp.arange(table.shape[0]) < vocab_size, learnt, PADDED_LOGIT)
    return table_logits(hidden, table.astype(hidden.dtype), bias)


@jax.custom_vjp
def table_logits(hidden: jax.Array, table: jax.Array, bias: jax.Array) -> jax.Array:
    """Scores of a table's rows: float32 [..., V], for hidden states [..., H], a table [V, H] of the same type and a bias, float32 [V].

    Its own derivative: products in the type of the operands, the table's as [H, V], because the gradient of the logits, by far the
    largest array, is then read as it lies, and the bias' as a product with ones, which a CPU does in a third of a sum's time.
    """
    return jnp.einsum("...h,vh->...v", hidden, table, preferred_element_type=jnp.float32) + bias


def _table_logits_forward(
    hidden: jax.Array, table: jax.Array, bias: jax.Array
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return table_logits(hidden, table, bias), (hidden, table)


def _table_logits_backward(
    saved: tuple[jax.Array, jax.Array], gradient: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    hidden, table = saved
    gradient = gradient.astype(hidden.dtype)
    of_hidden = jnp.einsum("...v,vh->...h", gradient, table)
    rows, of_rows = hidden.reshape(-1, hidden.shape[-1]), gradient.reshape(-1, gradient.shape[-1])
    of_table = (rows.T @ of_rows).T
    ones = jnp.ones((1, len(rows)), rows.dtype)
    of_bias = jnp.matmul(ones, of_rows, preferred_element_type=jnp.float32)[0]
    return of_hidden, of_table, of_bias


table_logits.defvjp(_table_logits_forward, _table_logits_backward)
