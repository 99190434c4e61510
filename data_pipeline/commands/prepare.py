"""python -m data_pipeline prepare RECIPE."""

import logging
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Annotated, Literal

import tyro

from data_pipeline.api import prepare
from data_pipeline.commands.flags import Benchmarks, Sources, with_sources, workers_of
from data_pipeline.contract.bucket import is_bucket
from data_pipeline.contract.command_line import parse_command_line
from data_pipeline.contract.errors import InputError
from data_pipeline.contract.packages import needed
from data_pipeline.contract.recipe_file import load_recipe
from data_pipeline.contract.run_folder import RunFolder
from data_pipeline.prepare.ending import ending
from data_pipeline.prepare.packages import require_packages
from data_pipeline.recipe import DataRecipe

log = logging.getLogger("data_pipeline")


@dataclass(frozen=True)
class Prepare:
    """Raw corpora to records. Does what is not done yet; run again after a stop, it goes on where it was."""

    recipe: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="RECIPE")]
    """configs/NAME.py or NAME; stands first."""
    data: DataRecipe
    run_dir: Path | None = None
    """Folder of the run; None means runs/NAME."""
    source: Sources = ()
    """FORMAT:GLOB, FORMAT.FIELD:GLOB or FORMAT@ENCODING:GLOB, instead of the recipe's sources; docs/data.md lists the formats."""
    benchmark: Benchmarks = ()
    """Benchmark files or folders, instead of the recipe's."""
    workers: int | None = None
    """Processes; None means one a core. The result does not depend on it."""
    engine: Literal["local", "ray"] = "local"
    """Who does the work: processes of this machine, or a Ray cluster that shares the run folder's file system (or --bucket)."""
    ray_address: str | None = None
    """With --engine ray: auto (the cluster of this machine; the default), HOST:PORT, or local (one for this command)."""
    bucket: str = ""
    """gs://BUCKET/FOLDER, for machines without a common file system: tasks leave there what others read."""
    retrain_vocabulary: bool = False
    """Train the vocabulary anew where text was added to a prepared folder; otherwise it stays, for models may know it."""
    keep_dropped: bool = False
    """Write everything that is dropped, with its reason, to RUN_DIR/corpus/dropped.jsonl.zst (docs/report.md)."""
    dry_run: int | None = None
    """Only try about so many documents, drawn from all sources, in a temporary folder: what every step does to them, and
    the survival and hours to expect of the whole. The run folder stays as it is."""
    check: bool = False
    """Only check the command, without any work: exit code 0, or 2 and what is wrong with a flag, the recipe or its files."""


def parsed(arguments: list[str]) -> tuple[str, Prepare]:
    """The recipe's name, and the command that these words are."""
    name, recipe = _recipe(arguments)
    return name, parse_command_line(Prepare(name, recipe), arguments, "python -m data_pipeline prepare")


def run(arguments: list[str]) -> None:
    name, command = parsed(arguments)
    workers_of(command.workers)
    if command.ray_address is not None and command.engine != "ray":
        raise InputError(
            f"--ray-address {command.ray_address}: goes with --engine ray; add it, or leave the address out"
        )
    for flag, values in (("--source FORMAT:GLOB", command.source), ("--benchmark PATH", command.benchmark)):
        if () in values:
            raise InputError(f"{flag}: its value is missing; leave the flag out to take what the recipe says")
    data = with_sources(command.data, [*chain(*command.source)], [*chain(*command.benchmark)])
    if command.bucket and not is_bucket(command.bucket):
        raise InputError(f"--bucket {command.bucket}: must be a folder on Cloud Storage, gs://BUCKET/FOLDER")
    if command.engine == "ray":
        needed("ray", "--engine ray", "ray")
    if command.check:
        _check(name, data)
        return
    if command.dry_run is not None:
        require_packages(data)
        from data_pipeline.dry_run.run import dry_run

        dry_run(data, command.dry_run, workers_of(command.workers))
        return
    prepare(
        data,
        command.run_dir or Path("runs") / name,
        name=name,
        workers=command.workers,
        ray_address=(command.ray_address or "auto") if command.engine == "ray" else "",
        bucket=command.bucket,
        retrain_vocabulary=command.retrain_vocabulary,
        keep_dropped=command.keep_dropped,
    )
    print(*ending(RunFolder(command.run_dir or Path("runs") / name), arguments[0]), sep="\n")


def _check(name: str, data: DataRecipe) -> None:
    """--check: raises InputError for what `prepare` would refuse before its first task."""
    require_packages(data)
    from data_pipeline.contract.storage import find_input_files
    from data_pipeline.recipe_checks import check

    check(data)
    for source in data.sources:
        find_input_files(source.glob)
    log.info("%s: nothing is wrong with the command", name)


def _recipe(arguments: list[str]) -> tuple[str, DataRecipe]:
    if arguments and arguments[0] in ("-h", "--help"):
        return "RECIPE", DataRecipe(sources=())
    if not arguments or arguments[0].startswith("-"):
        raise InputError("the recipe stands first: python -m data_pipeline prepare RECIPE ...")
    return load_recipe(arguments[0], "data", DataRecipe)
