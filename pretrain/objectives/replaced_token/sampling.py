"""Tokens drawn from what a generator says, and put into the row where it was hidden."""

import jax
import jax.numpy as jnp


def sample_tokens(logits: jax.Array, key_data: jax.Array, temperature: float) -> jax.Array:
    """Draws a token for each position from the softmax of its logits, by the Gumbel maximum (Gumbel 1954).

    - `logits`: float32 [B, K, V].
    - `key_data`: uint32 [B, 2], a threefry key for each row; a row's draws depend on it and on its logits alone.
    - `temperature`: divides the logits.

    Returns int32 [B, K]. No gradient passes. In float32 a token whose probability is below about 1e-7 is never drawn.
    """

    def of_row(logits: jax.Array, key_data: jax.Array) -> jax.Array:
        key = jax.random.wrap_key_data(key_data, impl="threefry2x32")
        noise = jax.random.gumbel(key, logits.shape, jnp.float32)
        return jnp.argmax(logits / temperature + noise, axis=-1).astype(jnp.int32)

    return jax.vmap(of_row)(jax.lax.stop_gradient(logits), key_data)


def put_at(tokens: jax.Array, positions: jax.Array, chosen: jax.Array, weights: jax.Array) -> jax.Array:
    """The rows with other tokens at some positions.

    - `tokens`: int32 [B, L].
    - `positions`, `chosen`: int32 [B, K], where and what; `weights`: float32 [B, K], 0 in empty slots.
    """
    # Compared with each slot, where a scatter runs one by one on a TPU. No two slots have one position.
    is_slot = (positions[:, None, :] == jnp.arange(tokens.shape[-1])[:, None]) & (weights > 0)[:, None, :]
    return jnp.where(is_slot.any(-1), jnp.where(is_slot, chosen[:, None, :], 0).sum(-1), tokens)
