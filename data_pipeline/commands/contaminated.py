"""python -m data_pipeline contaminated FORMAT:GLOB ... --benchmark PATH."""

from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Annotated

import tyro

from data_pipeline.commands.flags import Benchmarks, with_sources, workers_of
from data_pipeline.contract.command_line import parse_command_line
from data_pipeline.contract.errors import InputError
from data_pipeline.contract.run_folder import RunFolder
from data_pipeline.prepare.packages import require_packages
from data_pipeline.recipe import DataRecipe, Decontamination


@dataclass(frozen=True)
class Contaminated:
    """Finds the benchmark texts that stand in a corpus, without training anything."""

    corpus: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="FORMAT:GLOB ...")]
    """The corpus; a path without FORMAT: is read as text, with the ending .jsonl (.gz, .xz, .zst) as jsonl."""
    benchmark: Benchmarks = ()
    """Benchmark files or folders."""
    decontamination: Decontamination = field(default_factory=Decontamination)
    run_dir: Path = Path("runs/contaminated")
    """Folder for the work and for contamination.json, which lists every match."""
    workers: int | None = None
    """Processes; None means one a core. The result does not depend on it."""
    examples: int = 3
    """Matches to print for each benchmark."""


def run(arguments: list[str]) -> None:
    command = parse_command_line(Contaminated, arguments, "python -m data_pipeline contaminated")
    workers = workers_of(command.workers)
    if not command.corpus:
        raise InputError(
            "the corpus stands first: python -m data_pipeline contaminated FORMAT:GLOB ... --benchmark PATH"
        )
    named = [text if ":" in text else f"{_format_of(text)}:{text}" for text in command.corpus]
    recipe = with_sources(DataRecipe(sources=()), named, [])
    settings = replace(
        command.decontamination, benchmarks=(*command.decontamination.benchmarks, *chain(*command.benchmark))
    )
    require_packages(replace(recipe, decontamination=settings))
    from data_pipeline.prepare.contaminated import certify

    certify(RunFolder(command.run_dir), recipe.sources, settings, workers, command.examples)


def _format_of(path: str) -> str:
    return "jsonl" if ".jsonl" in Path(path).suffixes else "text"
