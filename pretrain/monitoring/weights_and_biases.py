"""Weights & Biases, for those who watch their runs there; `wandb_project` switches it on."""

import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

from data_pipeline.contract.packages import needed
from data_pipeline.contract.recipe_file import plain
from data_pipeline.contract.run_folder import RunFolder
from data_pipeline.contract.storage import read_json, write_json
from pretrain.recipe import TrainingRecipe

ID_FILE = "wandb.json"


class WandbRun:
    """One run there for one run folder, however often it is started: its id is kept in the metrics folder.

    - `recipe`: shown as the run's config.

    W&B takes each step once and in order: steps that a killed start had sent already are not sent again. Raises InputError
    where the package is not installed.
    """

    def __init__(self, project: str, folder: Path, name: str, recipe: dict[str, Any]) -> None:
        wandb = needed("wandb", "--training.wandb-project", extra="wandb")
        known = read_json(folder / ID_FILE)
        if known is None:
            known = {"id": uuid.uuid4().hex[:12]}
            write_json(folder / ID_FILE, known)
        self._run = wandb.init(
            project=project, id=known["id"], name=name, config=recipe, resume="allow", dir=str(folder)
        )

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Sends the values of one step."""
        if step >= self._run.step:
            self._run.log(dict(values), step=step)

    def close(self) -> None:
        """Sends what is waiting, and says that the run has ended."""
        self._run.finish()


def wandb_runs(run_folder: RunFolder, recipe: TrainingRecipe) -> list[WandbRun]:
    """The run at Weights & Biases, where the recipe wants one; the first process sends to it."""
    if recipe.wandb_project is None or jax.process_index():
        return []
    return [WandbRun(recipe.wandb_project, run_folder.metrics, run_folder.path.resolve().name, plain(recipe))]
