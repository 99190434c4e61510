"""What shortens a row between Funnel's blocks, and brings it back to its length (Dai et al. 2020, arXiv 2006.03236, section 2.2)."""

import jax
import jax.numpy as jnp


def neighbours(array: jax.Array) -> jax.Array:
    """Positions in the pairs that are pooled: [B, L, ...] to [B, (L + 1) // 2, 2, ...].

    [CLS], the first, makes the first pair with itself, and the last position has no place. Where that leaves one over it is a pair
    with itself as well.
    """
    single = [array[:, -2:-1]] if array.shape[1] % 2 else []
    row = jnp.concatenate([array[:, :1], array[:, :-1], *single], axis=1)
    return row.reshape(len(array), -1, 2, *array.shape[2:])


def mean_of_neighbours(hidden: jax.Array) -> jax.Array:
    """Hidden states [B, L, H] pooled to [B, (L + 1) // 2, H], in their type."""
    return neighbours(hidden).mean(axis=2, dtype=jnp.float32).astype(hidden.dtype)


def upsampled(hidden: jax.Array, stride: int, length: int) -> jax.Array:
    """Pooled hidden states [B, P, H] as [B, length, H]: each but the first `stride` times, zeros where the last tokens were left out."""
    if stride == 1:
        return hidden
    rest = jnp.pad(jnp.repeat(hidden[:, 1:], stride, axis=1), ((0, 0), (0, stride - 1), (0, 0)))
    return jnp.concatenate([hidden[:, :1], rest[:, : length - 1]], axis=1)
