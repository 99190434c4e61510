"""AdamW as BERT is trained with it: clipping, decoupled weight decay, linear warmup and linear decay."""

import re
from typing import Any

import jax
import optax

from data_pipeline.contract.errors import InputError
from pretrain.recipe import TrainingRecipe
from pretrain.sharding import path_name

NOT_DECAYED = r"(^|/)(bias|LayerNorm/scale)$"
"""Parameters without weight decay (google-research/bert, optimization.py: LayerNorm, layer_norm, bias)."""


def learning_rate(recipe: TrainingRecipe) -> optax.Schedule:
    """The learning rate of each step, counted from 0: linear from 0 to the peak at warmup_steps, linear to 0 at max_steps.

    Raises InputError where the warmup does not end before the run does.
    """
    peak, warmup = recipe.optimizer.learning_rate, recipe.optimizer.warmup_steps
    if not 0 <= warmup < recipe.max_steps:
        raise InputError(
            f"optimizer.warmup_steps {warmup} must be below max_steps {recipe.max_steps}; "
            "change one of them, or use stop_at_step to stop a run early"
        )
    rise = optax.linear_schedule(0.0, peak, warmup)
    fall = optax.linear_schedule(peak, 0.0, recipe.max_steps - warmup)
    return optax.join_schedules([rise, fall], [warmup])


def make_optimizer(recipe: TrainingRecipe) -> optax.GradientTransformation:
    """The optax chain: clip by global norm, Adam, decay of all but biases and LayerNorm, learning rate (arXiv 1711.05101)."""
    settings = recipe.optimizer
    return optax.chain(
        optax.clip_by_global_norm(settings.clip_norm) if settings.clip_norm else optax.identity(),
        optax.scale_by_adam(settings.beta1, settings.beta2, settings.epsilon),
        optax.add_decayed_weights(settings.weight_decay, mask=is_decayed),
        optax.scale_by_learning_rate(learning_rate(recipe)),
    )


def is_decayed(params: Any) -> Any:
    """A tree like the parameters' that says of each whether weight decay pulls at it."""
    return jax.tree.map_with_path(lambda path, _: not re.search(NOT_DECAYED, path_name(path)), params)
