"""python -m pretrain train RECIPE."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from data_pipeline.contract.command_line import parse_command_line
from pretrain.api import train
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
    train(command.training, command.run_dir or Path("runs") / name, name=name, profile=command.profile or "")
