"""Spikes: steps whose gradient norm is far above its running mean, which the state keeps where `TrainingRecipe.spikes` wants it."""

from typing import Any

import jax
import jax.numpy as jnp

from pretrain.recipe import SpikeGuard

SPIKES = "spikes"
"""The name of the running mean in the state, which is not there where spikes are not guarded against."""


def first_mean() -> dict[str, jax.Array]:
    """The running mean before the first step: `weighted_sum`, float32, and `steps`, int32: those accepted so far."""
    return {"weighted_sum": jnp.zeros((), jnp.float32), "steps": jnp.zeros((), jnp.int32)}


def spike_limit(mean: dict[str, jax.Array], guard: SpikeGuard) -> jax.Array:
    """The gradient norm above which a step is a spike, float32 scalar; infinity before `guard.mean_steps` steps were accepted."""
    unbiased = mean["weighted_sum"] / (1 - _decay(guard) ** mean["steps"].astype(jnp.float32))
    return jnp.where(mean["steps"] >= guard.mean_steps, guard.threshold * unbiased, jnp.inf)


def mean_after(
    mean: dict[str, jax.Array], grad_norm: jax.Array, accepted: jax.Array, guard: SpikeGuard
) -> dict[str, jax.Array]:
    """The running mean after a step; a step that is not accepted does not move it."""
    decay = _decay(guard)
    moved = {
        "weighted_sum": decay * mean["weighted_sum"] + (1 - decay) * grad_norm,
        "steps": mean["steps"] + 1,
    }
    return jax.tree.map(lambda new, old: jnp.where(accepted, new, old), moved, mean)


def _decay(guard: SpikeGuard) -> float:
    return 1 - 1 / guard.mean_steps


def as_saved(abstract: dict[str, Any], guarded: bool) -> dict[str, Any]:
    """The abstract state of a checkpoint, which may have been saved without the guard that is wanted now, or with one.

    - `abstract`: of `CompiledSteps`; `guarded`: whether the checkpoint has a running mean.
    """
    others = {name: tree for name, tree in abstract.items() if name != SPIKES}
    if not guarded:
        return others
    scalar = abstract["step"].sharding
    shapes = jax.eval_shape(first_mean)
    return {**others, SPIKES: jax.tree.map(lambda leaf: leaf.update(sharding=scalar), shapes)}


def as_wanted(state: dict[str, Any], abstract: dict[str, Any]) -> dict[str, Any]:
    """A restored state with a running mean where `abstract` has one, which begins there if the checkpoint had none."""
    kept = {name: tree for name, tree in state.items() if name in abstract}
    if SPIKES in abstract and SPIKES not in kept:
        kept[SPIKES] = jax.jit(first_mean, out_shardings=abstract["step"].sharding)()
    return kept
