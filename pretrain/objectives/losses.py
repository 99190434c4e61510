"""The loss as sums over sums, so that accumulation, devices and hosts cannot change it."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp

from pretrain.objectives.protocols import Sums


def sum_of_losses(sums: Sums, totals: Mapping[str, jax.Array], weights: Mapping[str, float]) -> jax.Array:
    """Each loss over its total weight, times its weight in the sum, added up. A total of 0 counts as 1: nothing to predict is no loss.

    - `weights`: `Objective.weights`.
    """
    return sum(
        (_weighted(sums[name]["loss_sum"] / jnp.maximum(totals[name], 1.0), weights[name]) for name in totals),
        jnp.float32(0),
    )


def _weighted(loss: jax.Array, weight: float) -> jax.Array:
    return loss if weight == 1.0 else weight * loss
