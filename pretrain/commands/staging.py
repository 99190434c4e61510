"""python -m pretrain.commands.staging STEPS_DONE RECIPE [overrides]: for the launcher, the folders below examples/ to fetch, one a line."""

import sys
from pathlib import Path

from data_pipeline.contract.command_line import parse_command_line
from data_pipeline.contract.errors import run_command
from pretrain.commands.recipe_argument import recipe_argument
from pretrain.commands.train import Train
from pretrain.remote.staging import folders_to_stage


def run(arguments: list[str]) -> None:
    step, *flags = arguments
    name, recipe = recipe_argument(flags, "train")
    command = parse_command_line(Train(name, recipe), flags, "python -m pretrain train")
    examples = Path(command.run_dir or Path("runs") / name) / "examples"
    print("\n".join(folders_to_stage(examples, command.training, int(step))))


if __name__ == "__main__":
    run_command(lambda: run(sys.argv[1:]))
