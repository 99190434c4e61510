"""python -m pretrain leaderboard FOLDER ..."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from data_pipeline.contract.command_line import parse_command_line
from data_pipeline.contract.errors import InputError


@dataclass(frozen=True)
class Leaderboard:
    """Puts evaluations side by side that were made before: scores, comparisons over the same items, published rows."""

    folders: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="FOLDER ...")]
    """Folders that have an evaluation/, a model each, or the URLs of runs (gs://BUCKET/FOLDER/NAME)."""
    to: Path = Path("leaderboard")
    """Folder that gets leaderboard.md, leaderboard.json and the learning curves."""


def run(arguments: list[str]) -> None:
    program = "python -m pretrain leaderboard"
    command = parse_command_line(Leaderboard, arguments, program)
    if not command.folders:
        raise InputError(f"{program}: name the folders with an evaluation/, one a model: {program} FOLDER ...")
    from pretrain.evaluate.leaderboard.board import write_leaderboard
    from pretrain.remote.fetched import fetch_evaluations, is_url

    folders = [fetch_evaluations(each) if is_url(each) else Path(each) for each in command.folders]
    write_leaderboard(folders, command.to)
