"""Sums of the losses of a task, for the caller to divide once; float32."""

import jax
import jax.numpy as jnp

from pretrain.objectives.losses import masked_lm_sums


def class_sums(logits: jax.Array, labels: jax.Array, weights: jax.Array) -> dict[str, jax.Array]:
    """Cross-entropy of classes or tags: `loss_sum` (nats), `correct_sum`, `weight_sum`.

    - `logits`: float [..., n]; `labels`: int [...], below 0 where there is none.
    - `weights`: float32 [...], 0 for what only fills up a batch.
    """
    return masked_lm_sums(logits, jnp.maximum(labels, 0), weights * (labels >= 0))


def score_sums(logits: jax.Array, scores: jax.Array, weights: jax.Array) -> dict[str, jax.Array]:
    """Squared error of scores (KLUE-baseline, STS): `loss_sum`, `weight_sum`, and a `correct_sum` of 0, for nothing is right or wrong.

    - `logits`: float [B, 1]; `scores`, `weights`: float32 [B].
    """
    errors = jnp.square(logits[:, 0] - scores)
    return {
        "loss_sum": jnp.sum(errors * weights),
        "correct_sum": jnp.zeros((), jnp.float32),
        "weight_sum": jnp.sum(weights),
    }


def place_sums(logits: jax.Array, places: jax.Array, real: jax.Array, weights: jax.Array) -> dict[str, jax.Array]:
    """Cross-entropy of a place in each row, as for `class_sums`.

    - `logits`: float [B, L]; `places`: int [B].
    - `real`: bool [B, L]. Padding can be no answer; transformers' loss counts it, and would change with the length of the batch.
    """
    return class_sums(jnp.where(real, logits, jnp.finfo(logits.dtype).min), places, weights)


def value_sums(losses: jax.Array, tokens: jax.Array, wanted: jax.Array, weights: jax.Array) -> dict[str, jax.Array]:
    """Sums as of `class_sums` over generated tokens, each of which counts the same, whether a slot has a value or "none".

    - `losses`: float32 [B, J, T]; `tokens`, `wanted`: int32 [B, J, T], what was generated and what should be, below 0 where nothing.
    - `weights`: float32 [B, 1, 1].
    """
    counted = weights * (wanted >= 0)
    return {
        "loss_sum": jnp.sum(losses * counted),
        "correct_sum": jnp.sum((tokens == wanted) * counted),
        "weight_sum": jnp.sum(counted),
    }
