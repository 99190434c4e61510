"""python -m data_pipeline report RUN_DIR."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from data_pipeline.contract.command_line import parse_command_line
from data_pipeline.contract.run_folder import existing_run_folder


@dataclass(frozen=True)
class Report:
    """Prints what went in, what was dropped and why, and how the vocabulary does."""

    run_dir: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN_DIR")]
    """Folder of the run."""
    examples: int = 3
    """Examples of each reason."""


def run(arguments: list[str]) -> None:
    from data_pipeline.report import print_report

    command = parse_command_line(Report, arguments, "python -m data_pipeline report")
    print_report(existing_run_folder(command.run_dir), command.examples)
