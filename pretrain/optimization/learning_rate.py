"""The learning rate of each step: linear warmup, then one of three ways down."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from data_pipeline.contract.errors import InputError
from pretrain.recipe import Optimizer, TrainingRecipe

DECAY_SHARE = 10
"""The decay of warmup_stable_decay is this part of the run where decay_steps is not given (Hägele et al. 2024, section 3: 10 to 20 %)."""


def learning_rate(recipe: TrainingRecipe) -> optax.Schedule:
    """The learning rate of each step, counted from 0: linear from 0 to the peak at warmup_steps, then down until max_steps.

    With `decay_from` start the way down counts from step 0 and takes over at warmup_steps, below the peak
    (google-research/bert, optimization.py: polynomial_decay of the global step).

    Raises InputError where warmup and decay do not fit into the run.
    """
    optimizer, steps = recipe.optimizer, recipe.max_steps
    warmup = optimizer.warmup_steps
    if not 0 <= warmup < steps:
        raise InputError(
            f"--training.optimizer.warmup-steps {warmup}: must be below --training.max-steps {steps}; "
            "change one of them, or use --training.stop-at-step to stop a run early"
        )
    rise = optax.linear_schedule(0.0, optimizer.learning_rate, warmup)
    if optimizer.decay_from == "start":
        if optimizer.schedule not in COUNTED_FROM_START:
            raise InputError(
                f"--training.optimizer.decay-from start: goes with the schedules {' and '.join(COUNTED_FROM_START)}, not with "
                f"{optimizer.schedule}; set it to warmup"
            )
        down = DOWN[optimizer.schedule](optimizer, steps)
        return lambda step: jnp.where(step < warmup, rise(step), down(step))
    return optax.join_schedules([rise, DOWN[optimizer.schedule](optimizer, steps - warmup)], [warmup])


def _linear(optimizer: Optimizer, steps: int) -> optax.Schedule:
    peak = optimizer.learning_rate
    return optax.linear_schedule(peak, peak * optimizer.final_share, steps)


def _cosine(optimizer: Optimizer, steps: int) -> optax.Schedule:
    """Half a cosine (Loshchilov and Hutter 2017, arXiv 1608.03983, equation 5)."""
    return optax.cosine_decay_schedule(optimizer.learning_rate, steps, alpha=optimizer.final_share)


def _warmup_stable_decay(optimizer: Optimizer, steps: int) -> optax.Schedule:
    """The peak until decay_steps before the end, then 1 - sqrt of the share of the decay (Hägele et al. 2024, arXiv
    2405.18392, equation 1)."""
    decay = max(1, steps // DECAY_SHARE) if optimizer.decay_steps is None else optimizer.decay_steps
    if not 1 <= decay <= steps:
        raise InputError(
            f"--training.optimizer.decay-steps {decay}: must be 1 or more and fit between --training.optimizer.warmup-steps and "
            f"--training.max-steps ({steps} steps)"
        )
    peak, last = optimizer.learning_rate, optimizer.final_share

    def fall(step: jax.typing.ArrayLike) -> jax.Array:
        share = jnp.clip((step - (steps - decay)) / decay, 0.0, 1.0)
        return peak * (last + (1 - last) * (1 - jnp.sqrt(share)))

    return fall


DOWN: dict[str, Callable[[Optimizer, int], optax.Schedule]] = {
    "linear": _linear,
    "cosine": _cosine,
    "warmup_stable_decay": _warmup_stable_decay,
}
"""Schedule by name: (optimizer, steps after the warmup) -> learning rate of each step after it."""
COUNTED_FROM_START = ("linear", "cosine")
"""Schedules that may count from step 0; the decay of warmup_stable_decay counts back from the end."""
