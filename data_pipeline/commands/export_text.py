"""python -m data_pipeline export-text RUN_DIR --to DIR."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from data_pipeline.commands.flags import workers_of
from data_pipeline.contract.command_line import parse_command_line
from data_pipeline.contract.packages import needed
from data_pipeline.contract.run_folder import existing_run_folder


@dataclass(frozen=True)
class ExportText:
    """Writes the cleaned text of a prepared run as a data set: shards of documents with their sentences, and a card."""

    run_dir: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN_DIR")]
    """Folder of the run."""
    to: Path
    """Folder to write, new or empty."""
    format: Literal["parquet", "jsonl.zst"] = "parquet"
    """Of the shards: Parquet, or JSON Lines compressed with zstandard."""
    without: tuple[str, ...] = ()
    """Names of sources to leave out."""
    not_redistributable: bool = False
    """Write sources, too, whose licence forbids that their text is passed on: a copy that stays with you."""
    added: str = ""
    """Date for the field `added` of every document, as in 2026-12-01."""
    workers: int | None = None
    """Processes; None means one a core. The result does not depend on it."""


def run(arguments: list[str]) -> None:
    command = parse_command_line(ExportText, arguments, "python -m data_pipeline export-text")
    workers = workers_of(command.workers)
    folder = existing_run_folder(command.run_dir)
    needed("zstandard", "the corpus inside a run folder")
    if command.format == "parquet":
        needed("pyarrow", "--format parquet")
    from data_pipeline.prepare.export_text import Export, export_text

    asked = Export(command.format, command.without, command.not_redistributable, command.added)
    export_text(folder, command.to.expanduser(), asked, workers)
