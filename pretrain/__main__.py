"""python -m pretrain train | plan | inspect | export | fill | compare | reference | bench-input."""

import logging
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from data_pipeline.contract.errors import InputError, end_for_missing_package, run_command

try:
    import tyro

    from data_pipeline.contract.command_line import parse_command_line
    from data_pipeline.contract.recipe_file import load_recipe
    from data_pipeline.contract.run_folder import existing_run_folder
    from pretrain.planning.machines import machine_named
    from pretrain.recipe import TrainingRecipe
except ModuleNotFoundError as error:
    end_for_missing_package(error)


@dataclass(frozen=True)
class Train:
    """Records to checkpoints. Starts, or resumes from the newest valid checkpoint."""

    recipe: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="RECIPE")]
    """configs/NAME.py or NAME; stands first."""
    training: TrainingRecipe
    run_dir: str | None = None
    """Folder of the run, prepared before, or its URL (gs://BUCKET/FOLDER/NAME); None means runs/NAME."""
    profile: str | None = None
    """FIRST:LAST, steps to trace for TensorBoard's profiler, as 10:15."""


@dataclass(frozen=True)
class Plan:
    """Compiles the train step for a machine that is not there, and prints memory, traffic, days and chip-hours."""

    recipe: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="RECIPE")]
    """configs/NAME.py or NAME; stands first."""
    training: TrainingRecipe
    on: str = "v3-8"
    """Machine: v2-8, v3-8, v3-32, v4-8, v5e-1, v5e-4, v5e-8, v5e-16, v5p-8, v6e-1, v6e-8, tpu7x-8, h100, h200 or cpu."""
    mfu: float = 0.45
    """Model FLOPs utilisation to assume, 0 to 1."""
    run_dir: Path | None = None
    """A prepared run whose records to plan for; None means those that the recipe's data will make."""


@dataclass(frozen=True)
class Inspect:
    """Prints the batch of a step with its masks and labels, and the model's predictions where a checkpoint exists."""

    run_dir: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN_DIR")]
    """Folder of the run."""
    step: int | None = None
    """Steps done before the batch; None means the newest checkpoint's."""
    rows: int = 3
    """Rows to print."""


@dataclass(frozen=True)
class Export:
    """Writes a checkpoint as a Hugging Face folder and proves it."""

    run_dir: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="RUN_DIR")]
    """Folder of the run, or its URL (gs://BUCKET/FOLDER/NAME): then what is needed of it is fetched."""
    step: int | None = None
    """Step of the checkpoint; None means the newest valid one."""
    to: Path | None = None
    """Folder to write; None means RUN_DIR/export, and runs/NAME/export for a URL."""
    push_to_hub: str | None = None
    """Repository on the Hugging Face hub, [ORGANISATION/]NAME, that gets the export; a new one is private."""
    public: bool = False
    """Makes a new repository public."""


@dataclass(frozen=True)
class Fill:
    """Prints the likeliest words for [MASK], from a run's export."""

    run_dir: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN_DIR")]
    """Folder of the run, or an exported folder."""
    text: tuple[str, ...] = ()
    """Sentences with [MASK] in them; empty means two examples."""
    top: int = 5
    """Words for each sentence."""


@dataclass(frozen=True)
class Compare:
    """Draws the curves of several runs over each other."""

    run_dirs: Annotated[tyro.conf.Positional[tuple[Path, ...]], tyro.conf.arg(metavar="RUN_DIR ...")]
    """Folders of the runs."""
    to: Path = Path("compare.png")
    """The file to write, .png or .html."""


@dataclass(frozen=True)
class Reference:
    """Writes the reference curve of a recipe, from finished runs that differ in their seeds only."""

    run_dirs: Annotated[tyro.conf.Positional[tuple[Path, ...]], tyro.conf.arg(metavar="RUN_DIR ...")]
    """Folders of the runs, two or more."""
    to: Path
    """The file to write: configs/reference/NAME.json, with which `train NAME` then compares."""


@dataclass(frozen=True)
class BenchInput:
    """Measures how many records a core makes ready, stage by stage, without any accelerator."""

    run_dir: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN_DIR")]
    """Folder of the run, prepared."""
    length: int | None = None
    """Tokens of a row, where the run was prepared with several lengths; None means the recipe's own."""
    rows: int = 256
    """Rows of a batch."""
    seconds: float = 5.0
    """How long to measure."""


def _train(arguments: list[str]) -> None:
    name, recipe = _recipe(arguments, "train")
    command = parse_command_line(Train(name, recipe), arguments, "python -m pretrain train")
    from pretrain.checkpoints import tell_failed_saves_once
    from pretrain.fetched import is_url
    from pretrain.in_bucket import run_in_bucket
    from pretrain.machine.processes import join_processes
    from pretrain.train import train
    from pretrain.watching.profiling import steps_to_profile

    tell_failed_saves_once()
    profile = steps_to_profile(command.profile) if command.profile else range(0)
    if command.run_dir and is_url(command.run_dir):
        join_processes()
        with run_in_bucket(command.run_dir.rstrip("/")) as run_folder:
            train(run_folder, name, command.training, profile)
        return
    run_folder = existing_run_folder(command.run_dir or Path("runs") / name)
    join_processes()
    train(run_folder, name, command.training, profile)


def _plan(arguments: list[str]) -> None:
    name, recipe = _recipe(arguments, "plan")
    command = parse_command_line(Plan(name, recipe), arguments, "python -m pretrain plan")
    machine = machine_named(command.on)
    os.environ["JAX_PLATFORMS"] = (
        "cpu"  # before jax is imported: the machine is not here, and the devices that are may be busy
    )
    from data_pipeline.contract.records import read_header
    from pretrain.planning.plan import planned_header, print_plan

    if command.run_dir:
        header = read_header(existing_run_folder(command.run_dir).examples)
    else:
        header = planned_header(load_recipe(command.recipe, "data", object)[1])
    print_plan(name, command.training, header, command.on, machine, command.mfu)


def _recipe(arguments: list[str], command: str) -> tuple[str, TrainingRecipe]:
    if arguments and arguments[0] in ("-h", "--help"):
        return "RECIPE", TrainingRecipe()
    if not arguments or arguments[0].startswith("-"):
        raise InputError(f"the recipe stands first: python -m pretrain {command} RECIPE ...")
    return load_recipe(arguments[0], "training", TrainingRecipe)


def _inspect(arguments: list[str]) -> None:
    command = parse_command_line(Inspect, arguments, "python -m pretrain inspect")
    from pretrain.inspect import print_batch

    print_batch(existing_run_folder(command.run_dir), command.step, command.rows)


def _compare(arguments: list[str]) -> None:
    command = parse_command_line(Compare, arguments, "python -m pretrain compare")
    if not command.run_dirs:
        raise InputError("compare: name the folders of one run or more: python -m pretrain compare RUN_DIR RUN_DIR ...")
    from pretrain.watching.compare import compare

    compare(command.run_dirs, command.to)


def _reference(arguments: list[str]) -> None:
    command = parse_command_line(Reference, arguments, "python -m pretrain reference")
    from pretrain.watching.reference import write_reference

    write_reference([existing_run_folder(folder) for folder in command.run_dirs], command.to)


def _bench_input(arguments: list[str]) -> None:
    command = parse_command_line(BenchInput, arguments, "python -m pretrain bench-input")
    os.environ["JAX_PLATFORMS"] = "cpu"  # before jax is imported: a busy accelerator is left alone
    from pretrain.input.bench_input import print_speed

    print_speed(existing_run_folder(command.run_dir), command.length, command.rows, command.seconds)


def _export(arguments: list[str]) -> None:
    command = parse_command_line(Export, arguments, "python -m pretrain export")
    from pretrain.exporting.export import export
    from pretrain.exporting.hub import Hub
    from pretrain.fetched import fetch_run, is_url

    if command.public and not command.push_to_hub:
        raise InputError("--public goes with --push-to-hub REPOSITORY")
    hub = Hub(command.push_to_hub, public=command.public) if command.push_to_hub else None
    if is_url(command.run_dir):
        folder = fetch_run(command.run_dir, command.step)
        to = command.to or Path("runs") / folder.path.name / "export"
    else:
        folder = existing_run_folder(command.run_dir)
        to = command.to or folder.export
    step = export(folder, command.step, to)
    if hub:
        address = hub.push(to, f"{folder.path.resolve().name}: step {step}")
        logging.info("%s: on the hub as %s, %s", to, hub.repository, address)


def _fill(arguments: list[str]) -> None:
    command = parse_command_line(Fill, arguments, "python -m pretrain fill")
    from pretrain.exporting.fill import print_fills

    print_fills(command.run_dir, command.text, command.top)


COMMANDS: dict[str, Callable[[list[str]], None]] = {
    "train": _train,
    "plan": _plan,
    "inspect": _inspect,
    "export": _export,
    "fill": _fill,
    "compare": _compare,
    "reference": _reference,
    "bench-input": _bench_input,
}
USAGE = """usage: python -m pretrain COMMAND ...

  train RECIPE       records to checkpoints; starts or resumes
  plan RECIPE        memory, traffic, days and chip-hours on a machine that is not there
  inspect RUN_DIR    the batch of a step, its masks and labels, and the model's predictions
  export RUN_DIR     a checkpoint as a Hugging Face folder, proven
  fill RUN_DIR       the likeliest words for [MASK]
  compare RUN_DIR ...  the curves of several runs in one PNG or HTML file
  reference RUN_DIR ...  the reference curve of a recipe, from runs of several seeds
  bench-input RUN_DIR  records that a core makes ready in a second, without any accelerator

python -m pretrain COMMAND --help lists every field."""


def main() -> None:
    """The command line."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("jax").setLevel(logging.WARNING)  # it tells of every backend that is not there
    logging.getLogger("absl").setLevel(logging.WARNING)  # of every file opened
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in ("-h", "--help"):
        print(USAGE)
        sys.exit(0 if arguments else 2)
    if arguments[0] not in COMMANDS:
        print(f"error: {arguments[0]}: no such command\n{USAGE}", file=sys.stderr)
        sys.exit(2)
    run_command(lambda: COMMANDS[arguments[0]](arguments[1:]))


if __name__ == "__main__":
    main()
