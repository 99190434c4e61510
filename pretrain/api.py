"""What a notebook needs of training and export; the commands call the same.

from pretrain.api import export, train

train("quickstart", "runs/quickstart")
print(export("runs/quickstart").place)
"""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from data_pipeline.contract.recipe_file import load_recipe
from data_pipeline.contract.run_folder import RunFolder, existing_run_folder
from pretrain.recipe import TrainingRecipe

if TYPE_CHECKING:
    from pretrain.exporting.formats.format import FormatName


class Exported(NamedTuple):
    """A folder that was written: where, of which run (the copy, of one that was fetched), and of which step."""

    place: Path
    run: RunFolder
    step: int


def train(recipe: str | TrainingRecipe, run_dir: str | Path, *, name: str = "", profile: str = "") -> None:
    """Records to checkpoints, as `python -m pretrain train`. Starts, or resumes from the newest valid checkpoint.

    - `recipe`: configs/NAME.py, NAME, or a recipe; `name`: what the run says that it was made by, where it is a recipe.
    - `run_dir`: folder of the run, prepared before, or its URL (gs://BUCKET/FOLDER/NAME).
    - `profile`: FIRST:LAST, steps to trace for TensorBoard's profiler.

    Raises InputError for what is wrong with the recipe or the run, WorkError where the machine fails, and UnfinishedError (the command's
    exit code 75) after SIGTERM, Ctrl-C, a closed terminal or stop_after_minutes, when all is saved.
    """
    name, training = load_recipe(recipe, "training", TrainingRecipe) if isinstance(recipe, str) else (name, recipe)
    # Here, not above: these import JAX, and recipes need none.
    from pretrain.checkpoints.store import tell_failed_saves_once
    from pretrain.devices.processes import join_processes
    from pretrain.monitoring.profiling import steps_to_profile
    from pretrain.remote.fetched import is_url
    from pretrain.remote.in_bucket import run_in_bucket
    from pretrain.train import train as run

    tell_failed_saves_once()
    steps = steps_to_profile(profile) if profile else range(0)
    if is_url(str(run_dir)):
        join_processes()
        with run_in_bucket(str(run_dir).rstrip("/"), training) as folder:
            run(folder, name or "recipe", training, steps)
        return
    folder = existing_run_folder(run_dir)
    join_processes()
    run(folder, name or "recipe", training, steps)


def export(
    run_dir: str | Path,
    to: str | Path | None = None,
    *,
    step: int | None = None,
    formats: "tuple[FormatName, ...]" = (),
    base_model: str = "",
    base_licence: str = "",
) -> Exported:
    """A checkpoint as a Hugging Face folder, proven, as `python -m pretrain export`.

    - `run_dir`: folder of the run, or its URL: then what is needed of it is fetched.
    - `to`: folder to write; None means RUN_DIR/export, and runs/NAME/export for a URL.
    - `step`: of the checkpoint; None means the newest valid one. `formats`: onnx, savedmodel.
    - `base_model`, `base_licence`: of the model that the run began with its id on the hub and its licence, where its folder did not tell.

    Raises InputError where there is no such checkpoint or `to` holds something else, WorkError where the proof fails.
    """
    from pretrain.checkpoints.base_model import BaseModel
    from pretrain.exporting.export import export as write
    from pretrain.remote.fetched import fetch_run, is_url

    told = BaseModel(base_model, base_licence)
    remote = is_url(str(run_dir))
    folder = fetch_run(str(run_dir), step) if remote else existing_run_folder(run_dir)
    place = Path(to) if to else home_of(run_dir, folder) / "export"
    return Exported(place, folder, write(folder, step, place, formats, told))


def home_of(run_dir: str | Path, folder: RunFolder) -> Path:
    """Where a user looks for a run's exports: the run, or runs/NAME of one that was fetched to `folder`."""
    from pretrain.remote.fetched import is_url

    return Path("runs") / folder.path.name if is_url(str(run_dir)) else folder.path
