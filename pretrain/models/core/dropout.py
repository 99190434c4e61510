"""Dropout whose bits belong to a row's own key, drawn as one elementwise function of the position."""

import math

import jax
import jax.numpy as jnp

from pretrain.models.core.remat import recomputed_elementwise

LEVELS = 2**16
"""A value is dropped or kept by comparing one of so many equally likely numbers with `kept_levels`."""
ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
"""Of Threefry-2x32, in turn four rounds each (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", table 2)."""
PARITY = 0x1BD11BDA
"""Of Threefry's key schedule for words of 32 bits (the same, section 4.2)."""


def dropout(inputs: jax.Array, rate: float, key: jax.Array | None) -> jax.Array:
    """Zeroes a share `rate` of the inputs and scales the rest by 1 / (1 - rate); without a key the inputs come back as they are.

    - `inputs`: [R, ..., W].
    - `key`: one key, or keys [B] where B divides R: each draws for R / B of the first axis in turn, so that what a row of the
      batch drops depends on its own key only.

    The key's own implementation (threefry or rbg) draws the bits, 16 for each input: the share is rate to within 2^-17.
    """
    kept = kept_levels(rate)
    if key is None or kept == LEVELS:
        return inputs
    words = dropout_words(key, inputs.shape)
    # Compared, then joined: XLA for a TPU would write joined words to memory, four bytes for each decision.
    halves = [(words & (LEVELS - 1)) < kept, (words >> 16) < kept]
    keep = jnp.concatenate(halves, axis=-1)[..., : inputs.shape[-1]]

    def apply(keep: jax.Array, inputs: jax.Array) -> jax.Array:
        # Scaled in float32: 0.9 is 0.898 in bfloat16.
        return jnp.where(keep, inputs.astype(jnp.float32) * (LEVELS / kept), 0.0).astype(inputs.dtype)

    return recomputed_elementwise(apply)(keep, inputs)


def kept_levels(rate: float) -> int:
    """How many of LEVELS mean that a value is kept."""
    return max(1, round((1.0 - rate) * LEVELS))


def dropout_words(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """uint32 [..., (W + 1) // 2] for values [..., W]: the low half of word i decides on value i, its high half on value (W + 1) // 2 + i.

    The generators draw words of 32 bits, and drawing is most of what dropout costs on a CPU: a word serves two values.

    - `key`: as in `dropout`.
    """
    drawn = (*shape[:-1], (shape[-1] + 1) // 2)
    bits = _threefry_bits if str(jax.random.key_impl(key)) == "threefry2x32" else jax.random.bits
    if not key.ndim:
        return bits(key, drawn)
    of_one = (drawn[0] // key.shape[0], *drawn[1:])
    return jax.vmap(lambda key: bits(key, of_one))(key).reshape(drawn)


def _threefry_bits(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """What `jax.random.bits(key, shape, uint32)` draws, as one elementwise function of the position.

    XLA fuses it with what uses the bits, where JAX has a loop over rounds on a CPU, each of which writes and reads all words.
    """
    size = math.prod(shape)
    assert size < 2**32  # the high word of the counter is then 0
    first, second = jax.random.key_data(key)
    schedule = (first, second, first ^ second ^ PARITY)
    left = jnp.full(shape, first)
    right = jnp.arange(size, dtype=jnp.uint32).reshape(shape) + second
    for group in range(5):
        for rotation in ROTATIONS[group % 2]:
            left = left + right
            right = left ^ (right << rotation | right >> (32 - rotation))
        left = left + schedule[(group + 1) % 3]
        right = right + schedule[(group + 2) % 3] + jnp.uint32(group + 1)
    return left ^ right
