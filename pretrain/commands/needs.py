"""python -m pretrain.commands.needs RECIPE [overrides]: for the launcher, the extras that this training needs, one a line; checks the command.

--on TYPE checks it against the devices of a slice, too; of a type that `plan` does not know it says nothing.
"""

import os
import sys

from data_pipeline.contract.command_line import parse_command_line
from data_pipeline.contract.errors import run_command
from pretrain.commands.recipe_argument import recipe_argument
from pretrain.commands.train import PROGRAM, Train
from pretrain.planning.machines import MACHINES
from pretrain.recipe import TrainingRecipe


def extras_needed(recipe: TrainingRecipe) -> list[str]:
    """The extras of setup.cfg beside the base and the machine's that a training with this recipe imports."""
    extras = {
        "wandb": recipe.wandb_project is not None,
        "evaluate": bool(recipe.probes.every_steps and recipe.probes.tasks),
    }
    return [extra for extra, wanted in extras.items() if wanted]


def run(arguments: list[str]) -> None:
    name, recipe = recipe_argument(arguments, "train")
    command = parse_command_line(Train(name, recipe), arguments, PROGRAM)
    os.environ["JAX_PLATFORMS"] = "cpu"  # before jax is imported: nothing is asked of devices
    from pretrain.planning.command_check import check_sizes_on

    check_sizes_on(command.training, MACHINES.get(command.on or ""))
    print("\n".join(extras_needed(command.training)))


if __name__ == "__main__":
    run_command(lambda: run(sys.argv[1:]))
