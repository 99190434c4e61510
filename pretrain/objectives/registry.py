"""The objectives: every package of `pretrain.objectives` with a `recipe.py` and an `objective.py`, and any other that was imported."""

from data_pipeline.contract.records import RecordsHeader
from pretrain.models.config import ModelConfig
from pretrain.models.protocols import Compute
from pretrain.objectives.config import ObjectiveRecipe
from pretrain.objectives.protocols import Keys, Objective
from pretrain.open_union import companion


def make_objective(
    recipe: ObjectiveRecipe, config: ModelConfig, header: RecordsHeader, compute: Compute, keys: Keys, steps: range
) -> Objective:
    """The objective of a recipe: `make` in the `objective.py` beside it.

    - `steps`: those over which what changes with the step changes: of the whole run, or of its phase (`Stretch.scheduled`).

    Raises InputError where recipe, model and records contradict each other.
    """
    made: Objective = companion(type(recipe), "objective").make(recipe, config, header, compute, keys, steps)
    return made
