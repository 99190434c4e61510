"""A sentence on a field of a recipe names its flag, one that the command really has: on both sides, wherever it is raised."""

import ast
import dataclasses
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

from data_pipeline import recipe_checks as data_checks
from data_pipeline.contract.command_line import parse_command_line
from data_pipeline.contract.errors import InputError
from data_pipeline.contract.recipe_fields import limits
from data_pipeline.contract.recipe_types import dataclasses_in, members_of
from data_pipeline.recipe import DataRecipe, Source
from pretrain import recipe_checks as training_checks
from pretrain.commands.train import Train
from pretrain.models.config import config_classes
from pretrain.objectives.config import objective_classes
from pretrain.recipe import TrainingRecipe

ROOT = Path(__file__).parent.parent
DATA = DataRecipe(sources=(Source("text", "*.txt"),))


def fields_of(kind: Any, above: str = "") -> Iterator[tuple[str, bool]]:
    """Dotted name of every field that a recipe may have, in whatever member of a union, and whether it is a flag."""
    hints = get_type_hints(kind, include_extras=True)
    for field in dataclasses.fields(kind):
        hint = hints[field.name]
        suppressed = getattr(hint, "__metadata__", ())
        name = above + field.name
        inner = [] if suppressed else members_of(get_type_hints(kind)[field.name])
        for member in inner:
            yield from fields_of(member, f"{name}.")
        if not inner:
            yield name, not suppressed and "Phase" not in str(hint)


@cache
def flags() -> frozenset[str]:
    of = {"training": TrainingRecipe, "data": DataRecipe}
    config_classes(), objective_classes()  # imported, so that they are known
    return frozenset(
        f"--{part}.{name.replace('_', '-')}"
        for part, kind in of.items()
        for name, is_flag in fields_of(kind)
        if is_flag
    )


def sentences() -> Iterator[tuple[str, str]]:
    """Place and text of every string of the code with a blank in it, docstrings left out; \\0 for what an f-string fills in."""
    for path in (path for room in ("data_pipeline", "pretrain") for path in (ROOT / room).rglob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        inside = {id(each) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for each in node.values}
        words = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            text = None
            if isinstance(node, ast.JoinedStr):
                parts = (each.value if isinstance(each, ast.Constant) else "\0" for each in node.values)
                text = "".join(map(str, parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside | words:
                text = node.value
            if text:
                yield f"{path.relative_to(ROOT)}:{node.lineno}", text


def test_the_flags_are_those_that_the_command_line_has(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    with pytest.raises(SystemExit):
        parse_command_line(Train("mini", TrainingRecipe()), ["--help"], "train")
    shown = set(re.findall(r"--training\.(?!no-)[a-z0-9.-]+", re.sub(r"\.no-", ".", capsys.readouterr().out)))
    assert len(shown) > 60
    assert shown <= flags()
    recipe = TrainingRecipe()
    own = {f"--training.{name.replace('_', '-')}" for name, _, _ in limits(recipe)}
    assert own <= shown


def test_every_flag_in_a_sentence_is_one_that_exists() -> None:
    found = [
        (place, each.rstrip(".-"))
        for place, text in sentences()
        for each in re.findall(r"--(?:training|data)\.[a-z0-9.\-\0]+", text)
    ]
    assert len(found) > 60
    known = {each: re.compile(re.escape(each).replace("\0", "[a-z0-9.-]+") + r"(\..*)?") for _, each in found}
    wrong = {(place, each) for place, each in found if not any(known[each].fullmatch(flag) for flag in flags() | NO)}
    assert wrong == set()


NO = {"--data.near-duplicates.no-enabled"}
"""A switch's other flag."""


def test_no_sentence_names_a_field_that_has_a_flag_otherwise() -> None:
    with_flags = {flag.partition(".")[2].replace("-", "_") for flag in flags()}
    names = sorted((name for name in with_flags if re.search(r"[._]", name)), key=len, reverse=True)
    named = re.compile(
        r"(?<![\w.\-/])(?:(?:data|training)\.)?(" + "|".join(map(re.escape, names)) + r")(?![\w(=]|\.\w)"
    )
    groups = sorted({name.rpartition(".")[0] for name in with_flags if "." in name}, key=len, reverse=True)
    filled_in = re.compile(r"(?<![\w.\-/])(" + "|".join(map(re.escape, groups)) + r")\.\0")
    assert named.search("a longer optimizer.warmup_steps")
    assert filled_in.search("model.\0 \0: must be")
    assert [
        (place, found[0])
        for place, text in sentences()
        if " " in text and (found := named.search(text) or filled_in.search(text))
    ] == []


NO_LIMIT = {
    "DataRecipe.seed": "any whole number is one",
    "DataRecipe.other_lengths": "several, each within ROW_LENGTH",
    "Vocabulary.size": "as many as the corpus yields",
}
"""Numbers of a data recipe without a limit of their own; those of a training recipe: tests/pretrain/test_recipe_fields.py."""


def test_every_number_of_a_data_recipe_has_a_limit_or_a_reason_to_have_none() -> None:
    found = {
        f"{kind.__name__}.{field.name}": "limit" in field.metadata
        for kind in dataclasses_in(DataRecipe)
        for field in dataclasses.fields(kind)
        if {int, float} & {(hint := get_type_hints(kind)[field.name]), *get_args(hint)}
    }
    assert {"Decontamination.ngram", "Packed.length", "Source.weight"} < set(found)
    assert {name for name, has_limit in found.items() if not has_limit} == set(NO_LIMIT)


def with_value(recipe: Any, name: str, value: float) -> Any:
    first, _, rest = name.partition(".")
    return dataclasses.replace(recipe, **{first: with_value(getattr(recipe, first), rest, value) if rest else value})


def recipes() -> Iterator[tuple[Any, Any]]:
    """Recipes of both sides that hold every member of their unions, and what checks them."""
    yield from ((TrainingRecipe(model=kind()), training_checks.check) for kind in config_classes())
    yield from ((TrainingRecipe(objective=kind()), training_checks.check) for kind in objective_classes())
    for kind in members_of(get_type_hints(DataRecipe)["examples"]):
        yield dataclasses.replace(DATA, examples=kind()), data_checks.check


def test_a_number_beyond_its_limit_is_told_with_its_flag() -> None:
    told = set()
    for recipe, check in recipes():
        numbers = {name for name, value, _ in limits(recipe) if isinstance(value, int | float)}
        for name in sorted(name for name in numbers if not name.startswith("sources.")):
            with pytest.raises(InputError) as error:
                check(with_value(recipe, name, float("nan")))
            told.add(str(error.value).partition(" nan: must be ")[0])
    assert len(told) > 100
    assert told <= flags()
