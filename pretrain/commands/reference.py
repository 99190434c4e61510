"""python -m pretrain reference RUN_DIR ..."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from data_pipeline.contract.command_line import parse_command_line
from data_pipeline.contract.run_folder import existing_run_folder


@dataclass(frozen=True)
class Reference:
    """Writes the reference curve of a recipe, from finished runs that differ in their seeds only."""

    run_dirs: Annotated[tyro.conf.Positional[tuple[Path, ...]], tyro.conf.arg(metavar="RUN_DIR ...")]
    """Folders of the runs, two or more."""
    to: Path
    """The file to write: configs/reference/NAME.json, with which `train NAME` then compares."""


def run(arguments: list[str]) -> None:
    command = parse_command_line(Reference, arguments, "python -m pretrain reference")
    from pretrain.monitoring.curves.reference import write_reference

    write_reference([existing_run_folder(folder) for folder in command.run_dirs], command.to)
