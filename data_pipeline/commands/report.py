"""python -m data_pipeline report RUN_DIR."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from data_pipeline.contract.command_line import parse_command_line
from data_pipeline.contract.errors import UnwritableError
from data_pipeline.contract.run_folder import existing_run_folder


@dataclass(frozen=True)
class Report:
    """Prints what went in, what was dropped and why, and how the vocabulary does; and writes the same as a page with plots."""

    run_dir: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN_DIR")]
    """Folder of the run."""
    examples: int = 3
    """Examples of each reason to print; the page shows all that were kept."""
    page: bool = True
    """Write RUN_DIR/report.html, which needs nothing else, and RUN_DIR/report.json; where matplotlib and jinja2 are installed."""


def run(arguments: list[str]) -> None:
    from data_pipeline.report.console import print_report
    from data_pipeline.report.page import FACTS, PAGE, missing_package, write_report

    command = parse_command_line(Report, arguments, "python -m data_pipeline report")
    folder = existing_run_folder(command.run_dir)
    print_report(folder, command.examples)
    if not command.page:
        return
    if missing := missing_package():
        print(f"\n{folder.path / PAGE}: not written; {missing}")
        return
    try:
        write_report(folder)
    except UnwritableError as error:
        print(f"\n{folder.path / PAGE}: not written ({error})")
        return
    print(f"\n{folder.path / PAGE}: this with plots, for a browser; {folder.path / FACTS}: the same as JSON")
