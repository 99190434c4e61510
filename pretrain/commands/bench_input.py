"""python -m pretrain bench-input RUN_DIR."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from data_pipeline.contract.command_line import parse_command_line
from data_pipeline.contract.run_folder import existing_run_folder


@dataclass(frozen=True)
class BenchInput:
    """Measures how many rows this machine makes ready in a second, stage by stage, without any accelerator."""

    run_dir: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN_DIR")]
    """Folder of the run, prepared."""
    length: int | None = None
    """Tokens of a row, where the run was prepared with several lengths; None means the recipe's own."""
    rows: int = 256
    """Rows of a batch."""
    seconds: float = 5.0
    """How long to measure."""


def run(arguments: list[str]) -> None:
    command = parse_command_line(BenchInput, arguments, "python -m pretrain bench-input")
    os.environ["JAX_PLATFORMS"] = "cpu"  # before jax is imported: a busy accelerator is left alone
    from pretrain.planning.bench_input import print_speed

    print_speed(existing_run_folder(command.run_dir), command.length, command.rows, command.seconds)
