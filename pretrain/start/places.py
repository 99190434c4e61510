"""The models that a recipe starts from: where the one of each part is, and the sizes that the recipe leaves to the first."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, replace
from pathlib import Path
from typing import Any

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.recipe_fields import flag
from data_pipeline.contract.recipe_types import with_article
from pretrain.checkpoints.verify import Facts
from pretrain.models.config import ModelConfig
from pretrain.objectives.protocols import Objective
from pretrain.recipe import TrainingRecipe
from pretrain.subject import Subject, config_at, is_run, load_subject, may_begin_with, parts_at, size_fields

log = logging.getLogger("pretrain")


def with_sizes_of_start(recipe: TrainingRecipe) -> TrainingRecipe:
    """The recipe, with the sizes of the first model that it starts from where it leaves them: where they are as its class has them.

    Positions that the recipe does set may be fewer than the model's, which are cut then. Raises InputError where there is no model,
    one of another family, or one whose sizes are not those that the recipe sets; it names all of them, with their flags.
    """
    if not recipe.start_from:
        return recipe
    place = recipe.start_from[0]
    called = _called(place)
    theirs, ours = config_at(place, called=called), recipe.model
    _refuse_other_family(theirs, ours, called)
    names = size_fields(theirs)
    wanted = {name: getattr(theirs, name) for name in names if getattr(theirs, name) != getattr(ours, name)}
    taken = _left(ours, wanted)
    positions = (theirs.longest_row() or ("", 0))[0]
    other = [
        name
        for name in wanted.keys() - taken.keys()
        if name != positions or getattr(ours, name) > getattr(theirs, name)
    ]
    if other:
        other.sort(key=names.index)
        found = ", ".join(f"{name} is {wanted[name]}, not {getattr(ours, name)}" for name in other)
        flags = " ".join(f"{flag('training', f'model.{name}')} {wanted[name]}" for name in other)
        raise InputError(f"{called}: its {found}; set the recipe's model to its sizes: {flags}")
    if taken:
        log.info("%s: the recipe leaves these to it: %s", called, ", ".join(f"{name} {taken[name]}" for name in taken))
    if positions in wanted and positions not in taken:
        log.info("%s: of its positions those beyond %s %d are cut", called, positions, getattr(ours, positions))
    return replace(recipe, model=replace(ours, **taken))


def with_sizes_of_run(recipe: TrainingRecipe, saved: Facts) -> TrainingRecipe:
    """The recipe of a resumed run, with the sizes that its model had from its start where the recipe leaves them.

    - `saved`: the facts of the checkpoint; the model that the run started from need not be there any more.
    """
    sizes = saved.get("started_from", {}).get("sizes", {}) if recipe.start_from else {}
    return replace(recipe, model=replace(recipe.model, **_left(recipe.model, sizes)))


def starts_of(places: Sequence[str], objective: Objective) -> dict[str, tuple[str, Subject]]:
    """The place and the model that each part of an objective starts from.

    - `places`: in the order of the parts, not empty. A part beyond them has its model beside that of the first: in the folder in which
      an export has it, or in the same run.

    Raises InputError where there are more places than parts, or no model that fits.
    """
    parts = objective.parts.models
    if len(places) > len(parts):
        raise InputError(
            f"--training.start-from {' '.join(places)}: names {len(places)} models, and the objective trains {len(parts)} "
            f"({', '.join(parts)}); name as many at most"
        )
    found = {}
    for number, (part, model) in enumerate(parts.items()):
        named = number < len(places)
        place = places[number] if named else _beside(places[0], part, objective.exports)
        called = _called(place)
        try:
            of_run = part if not named or part in parts_at(place, called=called) else ""
            subject = load_subject(place, part=of_run, called=called)
        except InputError as error:
            if named:
                raise
            raise InputError(
                f"{error}; where the {part} is elsewhere, name it too: --training.start-from {places[0]} PLACE"
            ) from None
        _refuse_other_family(subject.config, model.config, called)
        if number:
            _refuse_other_sizes(subject.config, model.config, part, called)
        found[part] = (place, subject)
    return found


def _beside(place: str, part: str, exports: Mapping[str, str]) -> str:
    """Where the model of a further part is, if the place of the first is all that is known."""
    folders = [folder for folder, exported in exports.items() if exported == part]
    return place if is_run(place) or not folders else str(Path(place) / folders[0])


def _left(config: ModelConfig, values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of some values whose fields a config leaves as its class has them."""
    defaults = {field.name: field.default for field in fields(config) if field.default is not MISSING}
    return {
        name: tuple(value) if isinstance(value, list) else value  # out of JSON
        for name, value in values.items()
        if name in defaults and getattr(config, name) == defaults[name]
    }


def _refuse_other_family(theirs: ModelConfig, ours: ModelConfig, called: str) -> None:
    if not may_begin_with(ours, theirs):
        kind = type(theirs).__name__
        raise InputError(
            f"{called}: is {with_article(kind)}, and the recipe's model {with_article(type(ours).__name__)}; set the recipe's model "
            f"to {with_article(kind)}"
        )


def _refuse_other_sizes(theirs: ModelConfig, ours: ModelConfig, part: str, called: str) -> None:
    """Raises InputError where a further part, whose sizes the objective makes, is not as its model."""
    positions = (theirs.longest_row() or ("", 0))[0]
    other = [
        f"{name} is {getattr(theirs, name)}, not {getattr(ours, name)}"
        for name in size_fields(theirs)
        if getattr(theirs, name) != getattr(ours, name)
        and (name != positions or getattr(theirs, name) < getattr(ours, name))
    ]
    if other:
        raise InputError(
            f"{called}: its {', '.join(other)}; set what the recipe's objective says of its {part} accordingly"
        )


def _called(place: str) -> str:
    return f"--training.start-from {place}"
