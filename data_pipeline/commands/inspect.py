"""python -m data_pipeline inspect RUN_DIR."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from data_pipeline.contract.command_line import parse_command_line
from data_pipeline.contract.run_folder import existing_run_folder


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
    length: int | None = None
    """Length of the rows, where the run has several; None means that of examples.length."""


def run(arguments: list[str]) -> None:
    from data_pipeline.report.inspect import print_rows

    command = parse_command_line(Inspect, arguments, "python -m data_pipeline inspect")
    print_rows(existing_run_folder(command.run_dir), command.split, command.start, command.rows, command.length)
