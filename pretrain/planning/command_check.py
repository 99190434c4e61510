"""What can be said of a training command before there are records and devices: `train --check`."""

import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.packages import needed
from data_pipeline.contract.records import RecordsHeader
from pretrain.devices.sharding import AXES, mesh_shape
from pretrain.input.schedule import stretches
from pretrain.job import make_job
from pretrain.optimization.learning_rate import learning_rate
from pretrain.planning.machines import Machine
from pretrain.planning.plan import planned_header
from pretrain.recipe import Mesh, TrainingRecipe
from pretrain.recipe_checks import ANY_DEVICE, check, check_shape


def check_command(
    recipe: TrainingRecipe, records: Sequence[RecordsHeader], machine: Machine | None, categories: bool = True
) -> None:
    """Raises InputError for what `train` would refuse of its recipe, whatever has to be there for it; compiles nothing.

    - `recipe`: with the sizes of the model that it starts from.
    - `records`: headers of the records, one for each length. - `categories`: whether their rows can be weighed by category.
    - `machine`: whose devices they are; None where that is not known: then only what is wrong with every number of devices.
    """
    check_sizes_on(recipe, machine)
    by_length = {header.length: header for header in records}
    headers = []
    for number, stretch in enumerate(stretches(recipe)):
        length = records[0].length if stretch.length is None else stretch.length
        if length not in by_length:
            prepared = ", ".join(map(str, by_length))
            raise InputError(
                f"phases.{number}.length {length}: the records have rows of {prepared} tokens; prepare with --data.other-lengths"
            )
        headers.append(by_length[length])
        if recipe.phases and recipe.phases[number].category_weights and not categories:
            raise InputError(
                f"phases.{number}.category_weights: the records do not know categories; prepare with --data.rows-by-category"
            )
    learning_rate(make_job(recipe, headers).recipe)
    if recipe.wandb_project is not None:
        needed("wandb", "wandb_project", extra="wandb")


def check_sizes_on(recipe: TrainingRecipe, machine: Machine | None) -> None:
    """Raises InputError for what of a recipe's numbers cannot be, whatever the records are; arguments as of `check_command`."""
    check(recipe)
    check_shape(recipe, _shape(recipe.mesh, machine), machine.device_kind if machine else ANY_DEVICE)


def planned_headers(data: Any) -> list[RecordsHeader]:
    """The headers that records of a data recipe will have, see `planned_header`: of its length, then of its other lengths."""
    first = planned_header(data)
    return [first, *(replace(first, length=length) for length in data.other_lengths)]


def _shape(mesh: Mesh, machine: Machine | None) -> dict[str, int]:
    """The mesh on a machine; on one that is not known, the fewest devices that there can be."""
    fixed = {axis: size for axis, size in asdict(mesh).items() if size > 0}
    return mesh_shape(mesh, machine.devices if machine else math.prod(fixed.get(axis, 1) for axis in AXES))
