"""python -m data_pipeline prepare | inspect | report | contaminated | vocabulary extend."""

import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Annotated

import tyro

from data_pipeline.contract.command_line import parse_command_line
from data_pipeline.contract.errors import InputError, run_command
from data_pipeline.contract.recipe_file import load_recipe
from data_pipeline.contract.run_folder import RunFolder, existing_run_folder
from data_pipeline.packages import require_packages
from data_pipeline.recipe import DataRecipe, Decontamination, Source
from data_pipeline.sources import FORMAT_NAMES, WITH_TEXT_FIELD


@dataclass(frozen=True)
class Prepare:
    """Raw corpora to records. Does what is not done yet; run again after a stop, it goes on where it was."""

    recipe: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="RECIPE")]
    """configs/NAME.py or NAME; stands first."""
    data: DataRecipe
    run_dir: Path | None = None
    """Folder of the run; None means runs/NAME."""
    source: Annotated[
        tuple[tuple[str, ...], ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="FORMAT:GLOB ...")
    ] = ()
    """FORMAT:GLOB or FORMAT.FIELD:GLOB, instead of the recipe's sources; docs/data.md lists the formats."""
    benchmark: Annotated[tuple[tuple[str, ...], ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="PATH ...")] = ()
    """Benchmark files or folders, instead of the recipe's."""
    workers: int | None = None
    """Processes; None means one a core. The result does not depend on it."""
    retrain_vocabulary: bool = False
    """Train the vocabulary anew where text was added to a prepared folder; otherwise it stays, for models may know it."""


@dataclass(frozen=True)
class Inspect:
    """Prints training rows as a person would read them: text, token boundaries, word starts, segments."""

    run_dir: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN_DIR")]
    """Folder of the run."""
    rows: int = 3
    """Rows to print."""
    start: int = 0
    """First row."""
    split: str = "train"
    """train or evaluation."""


@dataclass(frozen=True)
class Report:
    """Prints what went in, what was dropped and why, and how the vocabulary does."""

    run_dir: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN_DIR")]
    """Folder of the run."""
    examples: int = 3
    """Examples of each reason."""


@dataclass(frozen=True)
class Contaminated:
    """Finds the benchmark texts that stand in a corpus, without training anything."""

    corpus: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="FORMAT:GLOB ...")]
    """The corpus; a path without FORMAT: is read as text, with the ending .jsonl (.gz, .xz, .zst) as jsonl."""
    benchmark: Annotated[tuple[tuple[str, ...], ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="PATH ...")] = ()
    """Benchmark files or folders."""
    decontamination: Decontamination = field(default_factory=Decontamination)
    run_dir: Path = Path("runs/contaminated")
    """Folder for the work and for contamination.json, which lists every match."""
    workers: int | None = None
    """Processes; None means one a core. The result does not depend on it."""
    examples: int = 3
    """Matches to print for each benchmark."""


def _contaminated(arguments: list[str]) -> None:
    command = parse_command_line(Contaminated, arguments, "python -m data_pipeline contaminated")
    workers = _workers(command.workers)
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
    from data_pipeline.contaminated import certify

    certify(RunFolder(command.run_dir), recipe.sources, settings, workers, command.examples)


@dataclass(frozen=True)
class Extend:
    """Fills the [unusedN] rows of a vocabulary with the words of a domain corpus, for continued pretraining."""

    vocabulary: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="VOCABULARY")]
    """Folder with vocab.txt or tokenizer.json: a run's vocabulary/ or a Hugging Face folder."""
    to: Path
    """Folder to write, new or empty."""
    source: Annotated[
        tuple[tuple[str, ...], ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="FORMAT:GLOB ...")
    ] = ()
    """The domain corpus, as prepare takes it."""
    words: int | None = None
    """Words to add; None means as many as there are [unusedN] rows."""
    min_count: int = 10
    """Morphemes counted less often are left out."""
    run_dir: Path = Path("runs/extend")
    """Folder for the work."""
    workers: int | None = None
    """Processes; None means one a core. The result does not depend on it."""


def _vocabulary(arguments: list[str]) -> None:
    program = "python -m data_pipeline vocabulary extend"
    if arguments[:1] != ["extend"]:
        raise InputError(f"vocabulary can do one thing: {program} VOCABULARY --source FORMAT:GLOB --to DIR")
    command = parse_command_line(Extend, arguments[1:], program)
    workers = _workers(command.workers)
    recipe = with_sources(DataRecipe(sources=()), [*chain(*command.source)], [])
    require_packages(recipe)
    from data_pipeline.extend import extend

    extend(
        command.vocabulary,
        recipe.sources,
        command.to,
        command.words,
        command.min_count,
        RunFolder(command.run_dir),
        workers,
    )


def _workers(asked: int | None) -> int:
    """As many as asked for, or one a core."""
    if asked is not None and asked < 1:
        raise InputError(f"--workers {asked}: must be at least 1")
    from data_pipeline.engines.local import default_workers  # here, for it brings what only work needs

    return asked or default_workers()


def _format_of(path: str) -> str:
    return "jsonl" if ".jsonl" in Path(path).suffixes else "text"


def _prepare(arguments: list[str]) -> None:
    name, recipe = _recipe(arguments)
    command = parse_command_line(Prepare(name, recipe), arguments, "python -m data_pipeline prepare")
    workers = _workers(command.workers)
    for flag, values in (("--source FORMAT:GLOB", command.source), ("--benchmark PATH", command.benchmark)):
        if () in values:
            raise InputError(f"{flag}: its value is missing; leave the flag out to take what the recipe says")
    data = with_sources(command.data, [*chain(*command.source)], [*chain(*command.benchmark)])
    folder = RunFolder(command.run_dir or Path("runs") / name)
    require_packages(data)
    # Here, not above: these import what was asked for.
    from data_pipeline.prepare import prepare

    prepare(folder, name, data, workers, retrain_vocabulary=command.retrain_vocabulary)


def with_sources(recipe: DataRecipe, sources: Sequence[str], benchmarks: Sequence[str]) -> DataRecipe:
    """The recipe with its sources and benchmarks replaced by those of --source FORMAT:GLOB and --benchmark PATH."""
    if sources:
        parsed: list[Source] = []
        for source in map(parse_source, sources):
            before = sum(other.format == source.format for other in parsed)
            parsed.append(replace(source, name=f"{source.format}-{before + 1}") if before else source)
        recipe = replace(recipe, sources=tuple(parsed))
    if benchmarks:
        recipe = replace(recipe, decontamination=replace(recipe.decontamination, benchmarks=tuple(benchmarks)))
    return recipe


def parse_source(text: str) -> Source:
    """FORMAT:GLOB, where formats WITH_TEXT_FIELD may name it: jsonl.FIELD:GLOB."""
    name, separator, glob = text.partition(":")
    format_name, _, text_field = name.partition(".")
    if (
        not separator
        or not glob
        or format_name not in FORMAT_NAMES
        or (text_field and format_name not in WITH_TEXT_FIELD)
    ):
        raise InputError(
            f"--source {text}: expected FORMAT:GLOB with FORMAT one of {', '.join(FORMAT_NAMES)}, or FORMAT.FIELD:GLOB with "
            f"FORMAT one of {', '.join(WITH_TEXT_FIELD)}"
        )
    return Source(format_name, glob, text_field=text_field or "text")


def _recipe(arguments: list[str]) -> tuple[str, DataRecipe]:
    if arguments and arguments[0] in ("-h", "--help"):
        return "RECIPE", DataRecipe(sources=())
    if not arguments or arguments[0].startswith("-"):
        raise InputError("the recipe stands first: python -m data_pipeline prepare RECIPE ...")
    return load_recipe(arguments[0], "data", DataRecipe)


def _inspect(arguments: list[str]) -> None:
    from data_pipeline.inspect import print_rows

    command = parse_command_line(Inspect, arguments, "python -m data_pipeline inspect")
    print_rows(existing_run_folder(command.run_dir), command.split, command.start, command.rows)


def _report(arguments: list[str]) -> None:
    from data_pipeline.report import print_report

    command = parse_command_line(Report, arguments, "python -m data_pipeline report")
    print_report(existing_run_folder(command.run_dir), command.examples)


COMMANDS: dict[str, Callable[[list[str]], None]] = {
    "prepare": _prepare,
    "inspect": _inspect,
    "report": _report,
    "contaminated": _contaminated,
    "vocabulary": _vocabulary,
}
USAGE = """usage: python -m data_pipeline COMMAND ...

  prepare RECIPE     raw corpora to records
  inspect RUN_DIR    training rows as a person would read them
  report RUN_DIR     counts by stage and reason, examples of what was dropped
  contaminated FORMAT:GLOB ... --benchmark PATH    which benchmark texts stand in a corpus
  vocabulary extend VOCABULARY --source FORMAT:GLOB --to DIR     fill [unusedN] rows with a domain's words

python -m data_pipeline COMMAND --help lists every field."""


def main() -> None:
    """The command line."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("absl").setLevel(logging.WARNING)  # TensorFlow Datasets tells of every file it opens
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
