"""RECIPE, the first argument of `train` and `plan`."""

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.recipe_file import load_recipe
from pretrain.recipe import TrainingRecipe


def recipe_argument(arguments: list[str], command: str) -> tuple[str, TrainingRecipe]:
    """The name and the training recipe of RECIPE, which must be the first argument; the defaults where help is asked for."""
    if arguments and arguments[0] in ("-h", "--help"):
        return "RECIPE", TrainingRecipe()
    if not arguments or arguments[0].startswith("-"):
        raise InputError(f"RECIPE must be the first argument: python -m pretrain {command} RECIPE ...")
    return load_recipe(arguments[0], "training", TrainingRecipe)
