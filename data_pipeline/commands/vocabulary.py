"""python -m data_pipeline vocabulary extend VOCABULARY."""

from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Annotated

import tyro

from data_pipeline.commands.flags import Sources, with_sources, workers_of
from data_pipeline.contract.command_line import parse_command_line
from data_pipeline.contract.errors import InputError
from data_pipeline.contract.recipe_file import load_recipe
from data_pipeline.contract.run_folder import RunFolder
from data_pipeline.prepare.packages import require_packages
from data_pipeline.recipe import DataRecipe


@dataclass(frozen=True)
class Extend:
    """Fills the [unusedN] rows of a vocabulary with the words of a domain corpus, for continued pretraining."""

    vocabulary: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="VOCABULARY")]
    """Folder with vocab.txt or tokenizer.json: a run's vocabulary/ or a Hugging Face folder."""
    to: Path
    """Folder to write, new or empty."""
    source: Sources = ()
    """The domain corpus, as prepare takes it."""
    recipe: str | None = None
    """configs/NAME.py or NAME, whose sources and categories are the domain corpus where no --source is given."""
    categories: tuple[str, ...] = ()
    """Only documents of these categories, in place of the recipe's."""
    words: int | None = None
    """Words to add; None means as many as there are [unusedN] rows."""
    min_count: int = 10
    """Morphemes that the tokenizer would use less often are left out."""
    run_dir: Path = Path("runs/extend")
    """Folder for the work."""
    workers: int | None = None
    """Processes; None means one a core. The result does not depend on it."""


def run(arguments: list[str]) -> None:
    program = "python -m data_pipeline vocabulary extend"
    if arguments[:1] in (["-h"], ["--help"]):
        arguments = ["extend", "--help"]  # the one thing that it does
    if arguments[:1] != ["extend"]:
        raise InputError(f"vocabulary can do one thing: {program} VOCABULARY --source FORMAT:GLOB --to DIR")
    command = parse_command_line(Extend, arguments[1:], program)
    workers = workers_of(command.workers)
    recipe = load_recipe(command.recipe, "data", DataRecipe)[1] if command.recipe else DataRecipe(sources=())
    recipe = with_sources(recipe, [*chain(*command.source)], [])
    recipe = replace(recipe, categories=command.categories or recipe.categories)
    require_packages(recipe)
    from data_pipeline.prepare.extend import extend

    extend(
        command.vocabulary,
        recipe,
        command.to,
        command.words,
        command.min_count,
        RunFolder(command.run_dir),
        workers,
    )
