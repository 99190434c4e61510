"""python -m data_pipeline diff RUN_DIR RUN_DIR."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from data_pipeline.contract.command_line import parse_command_line
from data_pipeline.contract.packages import needed
from data_pipeline.contract.run_folder import existing_run_folder
from data_pipeline.prepare.packages import require_packages


@dataclass(frozen=True)
class Diff:
    """Compares two prepared runs: fields of the recipe, counts, and which sentences only one has, through which step."""

    first: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN_DIR")]
    """Folder of a run."""
    second: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN_DIR")]
    """Folder of another."""
    examined: int = 2000
    """Sentences of each run that are followed through the steps of the other; of more, a sample."""
    json: bool = False
    """Print JSON instead of text."""


def run(arguments: list[str]) -> None:
    command = parse_command_line(Diff, arguments, "python -m data_pipeline diff")
    runs = [existing_run_folder(path) for path in (command.first, command.second)]
    needed("zstandard", "the corpus inside a run folder")
    from data_pipeline.diff.prepared import Prepared

    prepared = (Prepared(runs[0]), Prepared(runs[1]))
    for each in prepared:
        require_packages(each.recipe)
    from data_pipeline.diff.console import print_diff
    from data_pipeline.diff.run import diff

    found = diff(*prepared, command.examined)
    if command.json:
        print(json.dumps(found, ensure_ascii=False, indent=2))
    else:
        print_diff(found)
