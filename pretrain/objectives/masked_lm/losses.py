"""Masked language modelling: the head sees the predicted positions only, and the loss leaves as sums."""

import jax
import jax.numpy as jnp


def gather_positions(hidden: jax.Array, positions: jax.Array) -> jax.Array:
    """The hidden states at the predicted positions.

    - `hidden`: float [B, L, H].
    - `positions`: int32 [B, K], each below L (NaN comes back for others).

    Returns [B, K, H] in the type of `hidden`; rows stay on their devices, forward and backward.
    """
    # A gather and, backward, a scatter of K rows of H numbers. The product with a one-hot [K, L] is estimated by XLA's
    # cost model for a TPU v3 core (16 rows, 512, 768) at 0.08 ms against 0.12 ms, both nothing beside a step, but takes
    # 2 to 5 times as long on a CPU and is exact in float32 only at the highest precision.
    return jnp.take_along_axis(hidden, positions[..., None], axis=-2)


def masked_lm_sums(logits: jax.Array, labels: jax.Array, weights: jax.Array) -> dict[str, jax.Array]:
    """Sums of cross-entropy, right answers and weights; the caller divides once, over all microbatches and devices.

    - `logits`: float [..., K, V]; reduced in float32 whatever their type.
    - `labels`: int [..., K], 0 to V - 1.
    - `weights`: float32 [..., K], 0 in empty slots.

    Returns float32 scalars: `loss_sum` (nats), `correct_sum` (the first of the largest logits is the label), `weight_sum`.
    """
    logits = logits.astype(jnp.float32)
    label_logits = jnp.take_along_axis(logits, labels[..., None], axis=-1)[..., 0]
    losses = jax.nn.logsumexp(logits, axis=-1) - label_logits
    correct = jnp.argmax(logits, axis=-1) == labels
    return {
        "loss_sum": jnp.sum(losses * weights),
        "correct_sum": jnp.sum(correct * weights),
        "weight_sum": jnp.sum(weights),
    }
