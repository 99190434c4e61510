"""python -m pretrain plan RECIPE."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from data_pipeline.contract.command_line import parse_command_line
from data_pipeline.contract.recipe_file import load_recipe
from data_pipeline.contract.run_folder import existing_run_folder
from pretrain.commands.recipe_argument import recipe_argument
from pretrain.planning.machines import machine_named
from pretrain.recipe import TrainingRecipe


@dataclass(frozen=True)
class Plan:
    """Compiles the train step for a machine that is not there, and prints memory, traffic, a roofline, days and chip-hours."""

    recipe: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="RECIPE")]
    """configs/NAME.py or NAME; the first argument."""
    training: TrainingRecipe
    on: str = "v3-8"
    """Machine: v2-8, v3-8, v3-32, v4-8, v4-32, v5e-1, v5e-4, v5e-8, v5e-16, v5e-32, v5p-8, v5p-16, v6e-1, v6e-8, v6e-16, tpu7x-8,
    h100, h100-8, h200, h200-8 or cpu."""
    mfu: float = 0.45
    """Model FLOPs utilisation to assume, 0 to 1."""
    run_dir: Path | None = None
    """A prepared run whose records to plan for; None means those that the recipe's data will make."""


def run(arguments: list[str]) -> None:
    name, recipe = recipe_argument(arguments, "plan")
    command = parse_command_line(Plan(name, recipe), arguments, "python -m pretrain plan")
    machine = machine_named(command.on)
    os.environ["JAX_PLATFORMS"] = (
        "cpu"  # before jax is imported: the machine is not here, and the devices that are may be busy
    )
    from data_pipeline.contract.records import read_header
    from pretrain.planning.plan import planned_header, print_plan
    from pretrain.start.places import with_sizes_of_start

    examples = existing_run_folder(command.run_dir).examples if command.run_dir else None
    header = read_header(examples) if examples else planned_header(load_recipe(command.recipe, "data", object)[1])
    print_plan(name, with_sizes_of_start(command.training), header, command.on, machine, command.mfu, examples)
