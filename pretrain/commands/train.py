"""python -m pretrain train RECIPE."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from data_pipeline.contract.command_line import parse_command_line
from data_pipeline.contract.run_folder import existing_run_folder
from pretrain.commands.recipe_argument import recipe_argument
from pretrain.recipe import TrainingRecipe


@dataclass(frozen=True)
class Train:
    """Records to checkpoints. Starts, or resumes from the newest valid checkpoint."""

    recipe: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="RECIPE")]
    """configs/NAME.py or NAME; the first argument."""
    training: TrainingRecipe
    run_dir: str | None = None
    """Folder of the run, prepared before, or its URL (gs://BUCKET/FOLDER/NAME); None means runs/NAME."""
    profile: str | None = None
    """FIRST:LAST, steps to trace for TensorBoard's profiler, as 10:15."""


def run(arguments: list[str]) -> None:
    name, recipe = recipe_argument(arguments, "train")
    command = parse_command_line(Train(name, recipe), arguments, "python -m pretrain train")
    from pretrain.checkpoints.store import tell_failed_saves_once
    from pretrain.devices.processes import join_processes
    from pretrain.monitoring.profiling import steps_to_profile
    from pretrain.remote.fetched import is_url
    from pretrain.remote.in_bucket import run_in_bucket
    from pretrain.train import train

    tell_failed_saves_once()
    profile = steps_to_profile(command.profile) if command.profile else range(0)
    if command.run_dir and is_url(command.run_dir):
        join_processes()
        with run_in_bucket(command.run_dir.rstrip("/"), command.training) as run_folder:
            train(run_folder, name, command.training, profile)
        return
    run_folder = existing_run_folder(command.run_dir or Path("runs") / name)
    join_processes()
    train(run_folder, name, command.training, profile)
