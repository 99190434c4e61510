"""python -m pretrain train RECIPE."""

import logging
import os
from dataclasses import dataclass, make_dataclass
from pathlib import Path
from typing import Annotated

import tyro

from data_pipeline.contract.command_line import parse_command_line
from data_pipeline.contract.errors import InputError
from data_pipeline.contract.recipe_file import load_recipe
from data_pipeline.contract.run_folder import existing_run_folder
from pretrain.api import train
from pretrain.commands.recipe_argument import recipe_argument
from pretrain.planning.machines import Machine, machine_named
from pretrain.recipe import TrainingRecipe

log = logging.getLogger("pretrain")


PROGRAM = "python -m pretrain train"
HERE = "here"
"""The machine of --on that this one is."""


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
    check: bool = False
    """Only check the command, without any work: exit code 0, or 2 and what is wrong. With --run-dir against the records there; without, against
    those that the recipe's data will make, to which the flags --data.X of `prepare` may be given here too."""
    on: str | None = None
    """With --check: against the devices of this machine, one that `plan --on` takes, or `here`; None means what holds for any."""


def run(arguments: list[str]) -> None:
    name, recipe = recipe_argument(arguments, "train")
    if "--check" in arguments:
        _check(name, recipe, arguments)
        return
    command = parse_command_line(Train(name, recipe), arguments, PROGRAM)
    if command.on is not None:
        raise InputError(f"--on {command.on}: goes with --check; add it, or leave --on out")
    train(command.training, command.run_dir or Path("runs") / name, name=name, profile=command.profile or "")


def _check(name: str, recipe: TrainingRecipe, arguments: list[str]) -> None:
    """--check: raises InputError for what is wrong with the command, as far as that is known without records and devices."""
    data = load_recipe(arguments[0], "data", object)[1]
    # The data side's flags are fields of an object that its own class describes; it is not imported here.
    kind = make_dataclass("Check", [("data", type(data))], bases=(Train,), frozen=True, kw_only=True)
    command = parse_command_line(kind(recipe=name, training=recipe, data=data), arguments, PROGRAM)
    if command.on != HERE:
        os.environ["JAX_PLATFORMS"] = "cpu"  # before jax is imported: the devices that are here may be busy
    from data_pipeline.contract.records import folder_of_length, read_header
    from pretrain.monitoring.profiling import steps_to_profile
    from pretrain.planning.command_check import check_command, planned_headers
    from pretrain.start.places import with_sizes_of_start

    if command.profile:
        steps_to_profile(command.profile)
    machine, recipe = _machine(command.on), with_sizes_of_start(command.training)
    if command.run_dir:
        examples = existing_run_folder(command.run_dir).examples
        headers = [read_header(examples)]
        lengths = {phase.length for phase in command.training.phases} - {headers[0].length}
        headers += [read_header(folder_of_length(examples, length)) for length in sorted(lengths)]
        check_command(recipe, headers, machine)
    else:
        check_command(recipe, planned_headers(command.data), machine, command.data.rows_by_category)
    log.info("%s: nothing is wrong with the command", name)


def _machine(on: str | None) -> Machine | None:
    if on != HERE:
        return machine_named(on) if on else None
    from pretrain.devices.available import available_devices
    from pretrain.devices.processes import join_processes

    join_processes()
    devices = available_devices()
    return Machine(devices[0].device_kind, len(devices), len(devices), None)
