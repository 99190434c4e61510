"""python -m pretrain compare RUN_DIR ..."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from data_pipeline.contract.command_line import parse_command_line
from data_pipeline.contract.errors import InputError


@dataclass(frozen=True)
class Compare:
    """Draws the curves of several runs over each other."""

    run_dirs: Annotated[tyro.conf.Positional[tuple[Path, ...]], tyro.conf.arg(metavar="RUN_DIR ...")]
    """Folders of the runs."""
    to: Path = Path("compare.png")
    """The file to write, .png or .html."""


def run(arguments: list[str]) -> None:
    command = parse_command_line(Compare, arguments, "python -m pretrain compare")
    if not command.run_dirs:
        raise InputError("compare: name the folders of one run or more: python -m pretrain compare RUN_DIR RUN_DIR ...")
    from pretrain.monitoring.curves.compare import compare

    compare(command.run_dirs, command.to)
