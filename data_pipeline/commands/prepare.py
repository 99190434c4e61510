"""python -m data_pipeline prepare RECIPE."""

from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Annotated

import tyro

from data_pipeline.commands.flags import Benchmarks, Sources, with_sources, workers_of
from data_pipeline.contract.command_line import parse_command_line
from data_pipeline.contract.errors import InputError
from data_pipeline.contract.recipe_file import load_recipe
from data_pipeline.contract.run_folder import RunFolder
from data_pipeline.packages import require_packages
from data_pipeline.recipe import DataRecipe


@dataclass(frozen=True)
class Prepare:
    """Raw corpora to records. Does what is not done yet; run again after a stop, it goes on where it was."""

    recipe: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="RECIPE")]
    """configs/NAME.py or NAME; stands first."""
    data: DataRecipe
    run_dir: Path | None = None
    """Folder of the run; None means runs/NAME."""
    source: Sources = ()
    """FORMAT:GLOB or FORMAT.FIELD:GLOB, instead of the recipe's sources; docs/data.md lists the formats."""
    benchmark: Benchmarks = ()
    """Benchmark files or folders, instead of the recipe's."""
    workers: int | None = None
    """Processes; None means one a core. The result does not depend on it."""
    retrain_vocabulary: bool = False
    """Train the vocabulary anew where text was added to a prepared folder; otherwise it stays, for models may know it."""
    dry_run: int | None = None
    """Only try about so many documents, drawn from all sources, in a temporary folder: what every step does to them, and
    the survival and hours to expect of the whole. The run folder stays as it is."""


def run(arguments: list[str]) -> None:
    name, recipe = _recipe(arguments)
    command = parse_command_line(Prepare(name, recipe), arguments, "python -m data_pipeline prepare")
    workers = workers_of(command.workers)
    for flag, values in (("--source FORMAT:GLOB", command.source), ("--benchmark PATH", command.benchmark)):
        if () in values:
            raise InputError(f"{flag}: its value is missing; leave the flag out to take what the recipe says")
    data = with_sources(command.data, [*chain(*command.source)], [*chain(*command.benchmark)])
    folder = RunFolder(command.run_dir or Path("runs") / name)
    require_packages(data)
    if command.dry_run is not None:
        from data_pipeline.dry_run.run import dry_run

        dry_run(data, command.dry_run, workers)
        return
    # Here, not above: these import what was asked for.
    from data_pipeline.prepare import prepare

    prepare(folder, name, data, workers, retrain_vocabulary=command.retrain_vocabulary)


def _recipe(arguments: list[str]) -> tuple[str, DataRecipe]:
    if arguments and arguments[0] in ("-h", "--help"):
        return "RECIPE", DataRecipe(sources=())
    if not arguments or arguments[0].startswith("-"):
        raise InputError("the recipe stands first: python -m data_pipeline prepare RECIPE ...")
    return load_recipe(arguments[0], "data", DataRecipe)
