"""python -m pretrain inspect RUN_DIR."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from data_pipeline.contract.command_line import parse_command_line
from data_pipeline.contract.errors import InputError
from data_pipeline.contract.run_folder import existing_run_folder
from pretrain.checkpoints.asked_step import Step, step_number


@dataclass(frozen=True)
class Inspect:
    """Prints the batch of a step as the model sees it, with what it should say and, where a checkpoint exists, what it says."""

    run_dir: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN_DIR")]
    """Folder of the run."""
    step: Step = None
    """Steps done before the batch; None or latest means the newest checkpoint's."""
    rows: int = 3
    """Rows to print."""


def run(arguments: list[str]) -> None:
    command = parse_command_line(Inspect, arguments, "python -m pretrain inspect")
    from pretrain.hugging_face.folder import CONFIG
    from pretrain.monitoring.inspect import print_batch

    if (command.run_dir / CONFIG).exists():
        raise InputError(
            f"{command.run_dir}: is a Hugging Face folder, without rows to show; give a run folder, or ask the model with "
            "`python -m pretrain fill`"
        )
    print_batch(existing_run_folder(command.run_dir), step_number(command.step), command.rows)
