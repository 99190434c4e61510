"""What a discriminator's scores are worth: the loss as sums, and histograms of which any number add up to one AUC."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp

LARGEST_SCORE = 10.0
"""Scores beyond, a probability of 0.00005 or 0.99995, share the outermost bins."""
BINS = 320
"""Bins of a histogram of scores, 1 / 16 wide each; half of them below 0, so that precision and recall at 0 are exact."""


def replaced_token_sums(scores: jax.Array, replaced: jax.Array, weights: jax.Array) -> dict[str, jax.Array]:
    """Sums of sigmoid cross-entropy over tokens; the caller divides once, over all microbatches and devices.

    - `scores`: float [...], log-odds that a token is not the original.
    - `replaced`: bool [...].
    - `weights`: float32 [...], 0 for padding.

    Returns float32 `loss_sum` (nats), `correct_sum` (a score above 0 for a replaced token, at most 0 for an original),
    `weight_sum`, and `originals` and `replacements` [BINS], weights by score.
    """
    scores = scores.astype(jnp.float32)
    losses = jax.nn.softplus(jnp.where(replaced, -scores, scores))
    return {
        "loss_sum": jnp.sum(losses * weights),
        "correct_sum": jnp.sum(((scores > 0) == replaced) * weights),
        "weight_sum": jnp.sum(weights),
        "originals": _histogram(scores, jnp.where(replaced, 0.0, weights)),
        "replacements": _histogram(scores, jnp.where(replaced, weights, 0.0)),
    }


def _histogram(scores: jax.Array, weights: jax.Array) -> jax.Array:
    """float32 [BINS]: the weights in each bin, which holds its upper edge and not its lower."""
    place = jnp.ceil((scores + LARGEST_SCORE) * (BINS / (2 * LARGEST_SCORE))) - 1
    bins = jnp.clip(place, 0, BINS - 1).astype(jnp.int32)
    # Compared with each bin in one fused sum: a scatter runs one by one on a TPU.
    return jnp.where(bins.reshape(-1, 1) == jnp.arange(BINS), weights.reshape(-1, 1), 0.0).sum(0)


def detection(sums: Mapping[str, jax.Array]) -> dict[str, jax.Array]:
    """`auc`, `precision` and `recall` of what `replaced_token_sums` found, float32 scalars.

    The AUC is the share of pairs of a replaced and an original token in which the first has the higher score. Pairs in one bin count
    half, so that it is off by at most half their share: below 0.001 for scores that spread over a few units, as those of a
    discriminator that has learnt anything. 0.5 where there is no pair; precision and recall are 0 where they divide by nothing.
    """
    originals, replacements = sums["originals"], sums["replacements"]
    of_originals, of_replacements = originals.sum(), replacements.sum()
    below = jnp.cumsum(originals) - originals / 2
    pairs = of_originals * of_replacements
    found, suspected = replacements[BINS // 2 :].sum(), originals[BINS // 2 :].sum()
    return {
        "auc": jnp.where(pairs > 0, (replacements * below).sum() / jnp.maximum(pairs, 1.0), 0.5),
        "precision": found / jnp.maximum(found + suspected, 1.0),
        "recall": found / jnp.maximum(of_replacements, 1.0),
    }
