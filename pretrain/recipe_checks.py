"""What is wrong with a training recipe is said before anything is compiled: its numbers, then how they fit the devices."""

from collections.abc import Mapping

import jax

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.recipe_fields import check_limits, flag
from pretrain.devices.sharding import ROWS
from pretrain.input.schedule import stretches
from pretrain.models.core.attention import refuse_large_scores
from pretrain.recipe import TrainingRecipe

ANY_DEVICE = ""
"""In place of a device's kind, where it is not known."""


def check(recipe: TrainingRecipe) -> None:
    """Raises InputError, naming the field, for the first number beyond the limit that its dataclass declares, in phases' settings too."""
    _check_limits(recipe)
    if any(phase.settings for phase in recipe.phases):
        # The last first: the others are evaluated as it is.
        for number, stretch in reversed(list(enumerate(stretches(recipe)))):
            _check_limits(stretch.recipe, f"phases.{number}.settings: ")


def _check_limits(recipe: TrainingRecipe, where: str = "") -> None:
    check_limits(recipe, lambda name: f"{where}{name}" if where else flag("training", name))


def check_sizes(recipe: TrainingRecipe, mesh: jax.sharding.Mesh) -> int:
    """The step at which to stop. Raises InputError for steps, heads, batch sizes and attention that this mesh cannot have."""
    return check_shape(recipe, mesh.shape, mesh.devices.flat[0].device_kind)


def check_shape(recipe: TrainingRecipe, shape: Mapping[str, int], device_kind: str) -> int:
    """As `check_sizes`, of devices that need not be there.

    - `shape`: axis -> devices along it. - `device_kind`: JAX's name of one.
    """
    check_attention(recipe, device_kind)
    tensor = shape["tensor"]
    splits = shape["data"] * shape["fsdp"]
    for number, stretch in enumerate(stretches(recipe)):
        rows, accumulation = stretch.recipe.global_batch_size, stretch.recipe.accumulation
        where = f" in phases.{number}" if recipe.phases else ""
        for part, model in stretch.recipe.objective.models(stretch.recipe.model).items():
            for field, value in model.tensor_divides().items():
                if value % tensor:
                    own = model == stretch.recipe.model
                    named = flag("training", f"model.{field}") if own else f"the {part}'s {field}"
                    raise InputError(
                        f"{named} {value}: cannot be divided over --training.mesh.tensor {tensor}{where}; choose one that divides it"
                    )
        if rows % (accumulation * splits):
            raise InputError(
                f"--training.global-batch-size {rows}: cannot be divided by --training.accumulation {accumulation} x {splits} devices "
                f"that split rows ({' x '.join(f'--training.mesh.{axis} {shape[axis]}' for axis in ROWS)}){where}; "
                f"make it a multiple of {accumulation * splits}"
            )
    if recipe.stop_at_step is None:
        return recipe.max_steps
    if not 1 <= recipe.stop_at_step <= recipe.max_steps:
        raise InputError(
            f"--training.stop-at-step {recipe.stop_at_step}: must be 1 to --training.max-steps {recipe.max_steps}"
        )
    return recipe.stop_at_step


def check_attention(recipe: TrainingRecipe, device_kind: str) -> None:
    """Raises InputError for a kernel that is not known, or not made for this device, and for rows of a phase that are too long for it.

    - `device_kind`: JAX's name of a device, or ANY_DEVICE.
    """
    made_for = {
        "auto": ("every device", True),
        "xla": ("every device", True),
        "cudnn": ("NVIDIA GPUs", device_kind.startswith("NVIDIA")),
        "pallas": ("TPUs", device_kind.startswith("TPU")),
        # Compiled for a v3, JAX's kernel fails in bfloat16.
        "splash": (
            "TPUs from v4 on",
            device_kind.startswith("TPU") and not device_kind.startswith(("TPU v2", "TPU v3")),
        ),
    }
    if recipe.attention not in made_for:
        raise InputError(f"--training.attention {recipe.attention}: must be {', '.join(made_for)}")
    devices, fits = made_for[recipe.attention]
    if device_kind == ANY_DEVICE:
        return
    if not fits:
        raise InputError(
            f"--training.attention {recipe.attention}: is made for {devices}, and this is {device_kind}; use xla"
        )
    # A later phase would be told only when its turn comes. Where mesh.tensor takes what is left, it is.
    for stretch in stretches(recipe) if recipe.mesh.tensor > 0 else ():
        for model in stretch.recipe.objective.models(stretch.recipe.model).values():
            heads = max(model.tensor_divides().values(), default=0)
            refuse_large_scores((stretch.length or 0) ** 2, heads, device_kind, recipe.mesh.tensor)
