"""Attention to a window as blocks: of a row of L tokens, O(L x window) scores are made instead of L x L."""

from typing import NamedTuple

import jax
import jax.numpy as jnp


class WindowBlocks(NamedTuple):
    """A row's queries in blocks of 2 x window, each with the keys that any of its queries sees: its own and half of either
    neighbour's. The blocks of a row follow one another along the first axis, C of them.

    - `q`: [B x C, 2 window, N, D]; `k`, `v`: [B x C, 4 window, N, D].
    - `visible`: booleans [B x C, 1, 2 window, 4 window], queries before keys.
    """

    q: jax.Array
    k: jax.Array
    v: jax.Array
    visible: jax.Array


def in_blocks(q: jax.Array, k: jax.Array, v: jax.Array, segments: jax.Array, window: int) -> WindowBlocks:
    """Lays queries and keys of self-attention out in blocks.

    - `q`, `k`, `v`: [B, L, N, D]; `segments`: integers [B, L].
    - `window`: positions that a query sees to each side, 1 or more.
    """
    length, block = q.shape[1], 2 * window
    count = -(-length // block)
    beyond = count * block - length

    def of_queries(array: jax.Array) -> jax.Array:
        return _padded(array, 0, beyond).reshape(-1, block, *array.shape[2:])

    def of_keys(array: jax.Array) -> jax.Array:
        # Moved by half a block, two blocks in turn are the keys of one block of queries.
        moved = _padded(array, window, beyond + window).reshape(-1, count + 1, block, *array.shape[2:])
        return jnp.concatenate([moved[:, :-1], moved[:, 1:]], axis=2).reshape(-1, 2 * block, *array.shape[2:])

    place = jnp.arange(2 * block) - window
    near = jnp.abs(place - jnp.arange(block)[:, None]) <= window
    position = jnp.arange(count)[:, None, None] * block + place
    near = near & (position >= 0) & (position < length)
    same = of_queries(segments)[:, :, None] == of_keys(segments)[:, None, :]
    visible = same & jnp.tile(near, (len(q), 1, 1))
    return WindowBlocks(of_queries(q), of_keys(k), of_keys(v), visible[:, None])


def out_of_blocks(mixed: jax.Array, length: int) -> jax.Array:
    """What attention gives for the blocks of rows, [B x C, 2 window, N, D], as rows [B, L, N, D]."""
    block = mixed.shape[1]
    count = -(-length // block)
    return mixed.reshape(-1, count * block, *mixed.shape[2:])[:, :length]


def _padded(array: jax.Array, before: int, after: int) -> jax.Array:
    """[B, L, ...] with zeros before and after along its second axis."""
    return jnp.pad(array, ((0, 0), (before, after), *((0, 0),) * (array.ndim - 2)))
