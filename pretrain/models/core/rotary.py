"""Rotary positions (Su et al. 2021, arXiv 2104.09864): queries and keys are turned by angles that grow with their position, so that their
products tell how far apart they are."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from pretrain.models.core.remat import recomputed_elementwise


class Turns(NamedTuple):
    """Cosines and sines of the angles, float32 [B, L, 1, D / 2]."""

    cosines: jax.Array
    sines: jax.Array


def turns_of(positions: jax.Array, width: int, base: float) -> Turns:
    """The angles at positions.

    - `positions`: integers [B, L].
    - `width`: of a head, D, even; value i and value i + D / 2 are turned together, by base^(-2 i / D) a position.
    """
    frequencies = base ** -(jnp.arange(0, width, 2, dtype=jnp.float32) / width)
    angles = positions[..., None, None].astype(jnp.float32) * frequencies
    return Turns(jnp.cos(angles), jnp.sin(angles))


def turned(heads: jax.Array, turns: Turns) -> jax.Array:
    """Queries or keys [B, L, N, D], turned in float32, in their own type."""

    def turn(heads: jax.Array, cosines: jax.Array, sines: jax.Array) -> jax.Array:
        first, second = jnp.split(heads.astype(jnp.float32), 2, axis=-1)
        both = (first * cosines - second * sines, second * cosines + first * sines)
        return jnp.concatenate(both, axis=-1).astype(heads.dtype)

    return recomputed_elementwise(turn)(heads, *turns)
