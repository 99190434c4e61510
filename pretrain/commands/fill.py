"""python -m pretrain fill RUN_DIR."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from data_pipeline.contract.command_line import parse_command_line


@dataclass(frozen=True)
class Fill:
    """Prints the likeliest words for [MASK], from a run's export."""

    run_dir: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN_DIR")]
    """Folder of the run, or an exported folder."""
    text: tuple[str, ...] = ()
    """Sentences with [MASK] in them; empty means two examples."""
    top: int = 5
    """Words for each sentence."""


def run(arguments: list[str]) -> None:
    command = parse_command_line(Fill, arguments, "python -m pretrain fill")
    from pretrain.exporting.fill import print_fills

    print_fills(command.run_dir, command.text, command.top)
