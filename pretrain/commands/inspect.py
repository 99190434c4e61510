"""python -m pretrain inspect RUN_DIR."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from data_pipeline.contract.command_line import parse_command_line
from data_pipeline.contract.run_folder import existing_run_folder


@dataclass(frozen=True)
class Inspect:
    """Prints the batch of a step with its masks and labels, and the model's predictions where a checkpoint exists."""

    run_dir: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN_DIR")]
    """Folder of the run."""
    step: int | None = None
    """Steps done before the batch; None means the newest checkpoint's."""
    rows: int = 3
    """Rows to print."""


def run(arguments: list[str]) -> None:
    command = parse_command_line(Inspect, arguments, "python -m pretrain inspect")
    from pretrain.monitoring.inspect import print_batch

    print_batch(existing_run_folder(command.run_dir), command.step, command.rows)
