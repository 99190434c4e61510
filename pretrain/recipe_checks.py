"""What is wrong with a training recipe is said before anything is compiled: its numbers, then how they fit the devices."""

from collections.abc import Callable
from typing import Any

import jax

from data_pipeline.contract.errors import InputError
from pretrain.devices.sharding import ROWS
from pretrain.input.schedule import stretches
from pretrain.recipe import TrainingRecipe

INFINITY = float("inf")
LIMITS: tuple[tuple[str, Callable[[float], bool], tuple[str, ...]], ...] = (
    (
        "1 or more",
        lambda value: 1 <= value < INFINITY,
        (
            "model.num_hidden_layers",
            "model.hidden_size",
            "model.num_attention_heads",
            "model.intermediate_size",
            "model.max_position_embeddings",
            "model.type_vocab_size",
            "masking.max_predictions",
            "masking.static_masks",
            "global_batch_size",
            "accumulation",
            "max_steps",
            "log_every_steps",
            "scan_unroll",
            "checkpoints.keep",
        ),
    ),
    (
        "0 or more",
        lambda value: 0 <= value < INFINITY,
        (
            "model.initializer_range",
            "optimizer.learning_rate",
            "optimizer.warmup_steps",
            "optimizer.weight_decay",
            "optimizer.clip_norm",
            "batch_warmup.first_rows",
            "batch_warmup.steps",
            "checkpoints.every_steps",
            "checkpoints.every_minutes",
            "checkpoints.milestone_every_steps",
            "max_rejected_updates",
            "evaluation.every_steps",
            "evaluation.rows",
        ),
    ),
    (
        "above 0",
        lambda value: 0 < value < INFINITY,
        ("model.layer_norm_eps", "optimizer.epsilon", "peak_tflops_per_device", "stop_after_minutes"),
    ),
    ("above 0 and at most 1", lambda value: 0 < value <= 1, ("masking.rate",)),
    ("0 to 1", lambda value: 0 <= value <= 1, ("masking.mask_share", "masking.random_share", "optimizer.final_share")),
    (
        "0 or more and below 1",
        lambda value: 0 <= value < 1,
        (
            "model.hidden_dropout_prob",
            "model.attention_probs_dropout_prob",
            "optimizer.beta1",
            "optimizer.beta2",
            "optimizer.momentum",
        ),
    ),
)
"""What a number must be, in words and as a test that NaN fails, and the fields that must be so."""


def check(recipe: TrainingRecipe) -> None:
    """Raises InputError, naming the field, for the first number that no recipe can hold."""
    for words, holds, fields in LIMITS:
        for field in fields:
            value = value_of(recipe, field)
            if value is not None and not holds(value):
                raise InputError(f"{field} {value}: must be {words}")
    if not 0 <= recipe.seed < 2**32:
        raise InputError(f"seed {recipe.seed}: must be 0 to {2**32 - 1}")


def check_sizes(recipe: TrainingRecipe, mesh: jax.sharding.Mesh) -> int:
    """The step at which to stop. Raises InputError for steps, heads, batch sizes and attention that this mesh cannot have."""
    check_attention(recipe, mesh.devices.flat[0].device_kind)
    heads, tensor = recipe.model.num_attention_heads, mesh.shape["tensor"]
    if heads % tensor:
        raise InputError(
            f"model.num_attention_heads {heads} cannot be divided over mesh.tensor {tensor}; choose one that divides it"
        )
    splits = mesh.shape["data"] * mesh.shape["fsdp"]
    for number, stretch in enumerate(stretches(recipe)):
        rows, accumulation = stretch.recipe.global_batch_size, stretch.recipe.accumulation
        where = f" in phases.{number}" if recipe.phases else ""
        if rows % (accumulation * splits):
            raise InputError(
                f"global_batch_size {rows} cannot be divided by accumulation {accumulation} x {splits} devices that split "
                f"rows ({' x '.join(f'mesh.{axis} {mesh.shape[axis]}' for axis in ROWS)}){where}; "
                f"make it a multiple of {accumulation * splits}"
            )
    if recipe.stop_at_step is None:
        return recipe.max_steps
    if not 1 <= recipe.stop_at_step <= recipe.max_steps:
        raise InputError(f"stop_at_step {recipe.stop_at_step}: must be 1 to max_steps {recipe.max_steps}")
    return recipe.stop_at_step


def check_attention(recipe: TrainingRecipe, device_kind: str) -> None:
    """Raises InputError for a kernel that is not known, or not made for this device."""
    made_for = {
        "xla": ("every device", True),
        "cudnn": ("NVIDIA GPUs", device_kind.startswith("NVIDIA")),
        # Compiled for a v3, Pallas kernels fail in bfloat16.
        "splash": (
            "TPUs from v4 on",
            device_kind.startswith("TPU") and not device_kind.startswith(("TPU v2", "TPU v3")),
        ),
    }
    if recipe.attention not in made_for:
        raise InputError(f"attention {recipe.attention}: must be {', '.join(made_for)}")
    devices, fits = made_for[recipe.attention]
    if not fits:
        raise InputError(f"attention {recipe.attention}: is made for {devices}, and this is {device_kind}; use xla")


def value_of(recipe: Any, field: str) -> Any:
    """The value of a field with dots in its name; None where this recipe has none (another family of models)."""
    for name in field.split("."):
        recipe = getattr(recipe, name, None)
    return recipe
