"""python -m pretrain train | inspect | export | fill."""

import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from data_pipeline.contract.command_line import parse_command_line
from data_pipeline.contract.errors import InputError, run_command
from data_pipeline.contract.recipe_file import load_recipe
from data_pipeline.contract.run_folder import existing_run_folder
from pretrain.recipe import TrainingRecipe


@dataclass(frozen=True)
class Train:
    """Records to checkpoints. Starts, or resumes from the newest valid checkpoint."""

    recipe: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="RECIPE")]
    """configs/NAME.py or NAME; stands first."""
    training: TrainingRecipe
    run_dir: Path | None = None
    """Folder of the run, prepared before; None means runs/NAME."""


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

    run_dir: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN_DIR")]
    """Folder of the run."""
    step: int | None = None
    """Step of the checkpoint; None means the newest valid one."""
    to: Path | None = None
    """Folder to write; None means RUN_DIR/export."""


@dataclass(frozen=True)
class Fill:
    """Prints the likeliest words for [MASK], from a run's export."""

    run_dir: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN_DIR")]
    """Folder of the run, or an exported folder."""
    text: tuple[str, ...] = ()
    """Sentences with [MASK] in them; empty means two examples."""
    top: int = 5
    """Words for each sentence."""


def _train(arguments: list[str]) -> None:
    name, recipe = _recipe(arguments)
    command = parse_command_line(Train(name, recipe), arguments, "python -m pretrain train")
    from pretrain.checkpoints import tell_failed_saves_once
    from pretrain.train import train

    tell_failed_saves_once()
    train(existing_run_folder(command.run_dir or Path("runs") / name), name, command.training)


def _recipe(arguments: list[str]) -> tuple[str, TrainingRecipe]:
    if arguments and arguments[0] in ("-h", "--help"):
        return "RECIPE", TrainingRecipe()
    if not arguments or arguments[0].startswith("-"):
        raise InputError("the recipe stands first: python -m pretrain train RECIPE ...")
    return load_recipe(arguments[0], "training", TrainingRecipe)


def _inspect(arguments: list[str]) -> None:
    command = parse_command_line(Inspect, arguments, "python -m pretrain inspect")
    from pretrain.inspect import print_batch

    print_batch(existing_run_folder(command.run_dir), command.step, command.rows)


def _export(arguments: list[str]) -> None:
    command = parse_command_line(Export, arguments, "python -m pretrain export")
    from pretrain.export import export

    folder = existing_run_folder(command.run_dir)
    export(folder, command.step, command.to or folder.export)


def _fill(arguments: list[str]) -> None:
    command = parse_command_line(Fill, arguments, "python -m pretrain fill")
    from pretrain.fill import print_fills

    print_fills(command.run_dir, command.text, command.top)


COMMANDS: dict[str, Callable[[list[str]], None]] = {
    "train": _train,
    "inspect": _inspect,
    "export": _export,
    "fill": _fill,
}
USAGE = """usage: python -m pretrain COMMAND ...

  train RECIPE       records to checkpoints; starts or resumes
  inspect RUN_DIR    the batch of a step, its masks and labels, and the model's predictions
  export RUN_DIR     a checkpoint as a Hugging Face folder, proven
  fill RUN_DIR       the likeliest words for [MASK]

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
