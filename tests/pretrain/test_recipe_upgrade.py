"""Recipes that older code wrote down are read by today's, whatever they lack."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest
from tiny_run import TINY, changed

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.recipe_file import plain
from pretrain.checkpoints.resume import refuse_other_run
from pretrain.objectives.corruption.recipe import Masking
from pretrain.objectives.masked_lm.recipe import MaskedLM
from pretrain.recipe import Phase, training_recipe_from_plain
from pretrain.recipe_upgrade import RECIPE_FORMAT, plain_recipe, upgraded

RECIPE = changed(TINY, phases=(Phase(16, 0.5), Phase(32, 0.5)))


def with_defaults(recipe: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The paths of all fields of a recipe, and of what it holds, that have a default and hold it."""
    if isinstance(recipe, tuple):
        for number, each in enumerate(recipe):
            yield from with_defaults(each, (*path, number))
    elif dataclasses.is_dataclass(recipe):
        for field in dataclasses.fields(recipe):
            default = field.default
            if field.default_factory is not dataclasses.MISSING:
                default = field.default_factory()
            if getattr(recipe, field.name) == default:
                yield (*path, field.name)
            yield from with_defaults(getattr(recipe, field.name), (*path, field.name))


def without(value: Any, path: tuple[str | int, ...]) -> Any:
    """A plain recipe without one field."""
    place = value
    for step in path[:-1]:
        place = place[step]
    del place[path[-1]]
    return value


def test_there_are_many_fields_to_drop() -> None:
    paths = set(with_defaults(RECIPE))
    assert {
        ("batch_warmup",),
        ("model", "layer_norm_eps"),
        ("phases", 1, "settings"),
        ("objective", "masking", "rate"),
    } < paths
    assert len(paths) > 50


@pytest.mark.parametrize("path", list(with_defaults(RECIPE)), ids=lambda path: ".".join(map(str, path)))
def test_a_checkpoint_that_lacks_a_field_with_a_default_belongs_to_the_same_run(path: tuple[str | int, ...]) -> None:
    """As code wrote it that did not have the field yet: the default is what that code did."""
    saved = {"recipe": without(plain_recipe(RECIPE), path), "records_fingerprint": "a", "step": 2}
    refuse_other_run(saved, RECIPE, "a")


def test_another_value_of_a_field_that_a_checkpoint_lacks_is_still_another_run() -> None:
    saved = {"recipe": without(plain_recipe(RECIPE), ("seed",)), "records_fingerprint": "a", "step": 2}
    with pytest.raises(InputError, match="seed: 0 -> 7"):
        refuse_other_run(saved, changed(RECIPE, seed=7), "a")


def test_masking_of_the_first_format_is_the_masking_of_the_objective() -> None:
    masking = Masking(rate=0.3, static_masks=10)
    written = plain(RECIPE)
    del written["objective"]
    written["masking"] = plain(masking)
    assert training_recipe_from_plain(written) == changed(RECIPE, objective=MaskedLM(masking))


@pytest.mark.parametrize(("written", "places"), [(None, ()), ("their-bert", ("their-bert",))])
def test_the_one_place_of_the_second_format_is_the_first_of_several(
    written: str | None, places: tuple[str, ...]
) -> None:
    older = {**plain_recipe(RECIPE), "format": 2, "start_from": written}
    assert training_recipe_from_plain(older) == changed(RECIPE, start_from=places)


def test_a_written_recipe_tells_its_format_and_is_read_back() -> None:
    assert plain_recipe(RECIPE)["format"] == RECIPE_FORMAT
    assert training_recipe_from_plain(plain_recipe(RECIPE)) == RECIPE
    assert upgraded(plain_recipe(RECIPE)) == plain(RECIPE)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": RECIPE_FORMAT + 1}, "format"),
        ({"spline": 3}, "spline"),
        ({"model": {"kind": "MambaConfig"}}, "MambaConfig.*must be one of"),
    ],
)
def test_what_newer_code_wrote_is_refused_with_what_is_not_known(change: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=f"not one that this code knows.*{words}.*use the version of"):
        training_recipe_from_plain({**plain_recipe(RECIPE), **change})
