"""A field whose type is a base class or a union: its value, its flags and its errors are those of the member it holds."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from data_pipeline.contract.command_line import parse_command_line
from data_pipeline.contract.errors import InputError
from data_pipeline.contract.recipe_file import differences, from_plain, load_recipe, plain
from data_pipeline.contract.recipe_types import find_wrong_value


@dataclass(frozen=True)
class Model:
    """Any model."""


@dataclass(frozen=True)
class Small(Model):
    """A small model."""

    width: int = 8
    """Width of the layers."""


@dataclass(frozen=True)
class Rotary(Model):
    """A model with rotary positions."""

    rotary_base: float = 1e4
    """Base of the angles."""


@dataclass(frozen=True)
class LongRotary(Rotary):
    """Rotary, for long rows."""

    scale: int = 2


@dataclass(frozen=True)
class Masking:
    rate: float = 0.15


@dataclass(frozen=True)
class Objective(ABC):
    """Any objective."""

    weight: float = 1.0

    @abstractmethod
    def predicted(self) -> str: ...


@dataclass(frozen=True)
class Masked(Objective):
    """Predicts what is masked."""

    masking: Masking = field(default_factory=Masking)

    def predicted(self) -> str:
        return "masked tokens"


@dataclass(frozen=True)
class Causal(Objective):
    """Predicts what comes next."""

    def predicted(self) -> str:
        return "next tokens"


@dataclass(frozen=True)
class ByStep:
    steps: int = 1


@dataclass(frozen=True)
class ByMinute:
    minutes: int = 1


@dataclass(frozen=True)
class Recipe:
    model: Model = field(default_factory=Small)
    objective: Objective = field(default_factory=Masked)
    saved: ByStep | ByMinute = field(default_factory=ByStep)
    teacher: Model | None = None
    seed: int = 0


@dataclass(frozen=True)
class Command:
    """Trains."""

    training: Recipe


def parse(recipe: Recipe, *arguments: str) -> Recipe:
    return parse_command_line(Command(recipe), arguments, "train").training


@pytest.mark.parametrize("model", [Small(), Rotary(), LongRotary()])
def test_every_subclass_fits_its_base_class(model: Model) -> None:
    recipe = Recipe(model, Causal(), ByMinute(), teacher=model)
    assert find_wrong_value(recipe, Recipe) is None


ANY_MODEL = "a Small or a Rotary or a LongRotary"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"model": Small("8")}, "recipe.model.width must be a whole number (int), found '8' (str)"),  # type: ignore[arg-type]
        ({"model": Model()}, f"recipe.model must be {ANY_MODEL}, found Model() (Model)"),
        ({"model": Masking()}, f"recipe.model must be {ANY_MODEL}, found Masking(rate=0.15) (Masking)"),
        ({"objective": None}, "recipe.objective must be a Masked or a Causal, found None (NoneType)"),
        ({"teacher": Model()}, f"recipe.teacher must be {ANY_MODEL} or None, found Model() (Model)"),
        ({"saved": 3}, "recipe.saved must be a ByStep or a ByMinute, found 3 (int)"),
    ],
)  # fmt: skip
def test_any_other_value_is_wrong_and_the_members_are_named(fields: dict[str, Any], message: str) -> None:
    wrong = find_wrong_value(Recipe(**fields), Recipe)
    assert wrong
    assert wrong.sentence("recipe") == message


def test_a_class_with_fields_still_fits_itself_when_it_has_subclasses() -> None:
    @dataclass(frozen=True)
    class Held:
        model: Rotary

    assert find_wrong_value(Held(Rotary()), Held) is None
    assert find_wrong_value(Held(LongRotary()), Held) is None


@pytest.mark.parametrize(
    ("recipe", "flags", "expected"),
    [
        (Recipe(), ("--training.model.width", "3"), Recipe(Small(3))),
        (Recipe(Rotary(5.0)), ("--training.seed", "1"), Recipe(Rotary(5.0), seed=1)),
        (Recipe(LongRotary()), ("--training.model.rotary_base", "3", "--training.model.scale", "4"), Recipe(LongRotary(3.0, 4))),
        (Recipe(), ("--training.objective.masking.rate=0.3",), Recipe(objective=Masked(masking=Masking(0.3)))),
        (Recipe(objective=Causal()), ("--training.objective.weight", "2"), Recipe(objective=Causal(2.0))),
        (Recipe(saved=ByMinute()), ("--training.saved.minutes", "2"), Recipe(saved=ByMinute(2))),
        (Recipe(teacher=Small()), ("--training.teacher.width", "2"), Recipe(teacher=Small(2))),
    ],
)  # fmt: skip
def test_flags_set_the_fields_of_the_chosen_member(recipe: Recipe, flags: tuple[str, ...], expected: Recipe) -> None:
    assert parse(recipe, *flags) == expected


def test_help_shows_the_chosen_member_only(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(Recipe(Rotary()), "--help")
    out = capsys.readouterr().out
    for shown in ("A model with rotary positions.", "--training.model.rotary-base FLOAT", "--training.saved.steps INT"):
        assert shown in out
    for hidden in ("Any model", "--training.model.width", "minutes", "subcommands", "--training.teacher"):
        assert hidden not in out


@pytest.mark.parametrize(
    ("recipe", "flag", "message"),
    [
        (Recipe(), "model.rotary-base", "Rotary and LongRotary have it, and this recipe's model is a Small"),
        (Recipe(), "model.scale", "LongRotary has it, and this recipe's model is a Small"),
        (Recipe(Rotary()), "model.scale", "LongRotary has it, and this recipe's model is a Rotary"),
        (Recipe(objective=Causal()), "objective.masking.rate", "Masked has it, and this recipe's objective is a Causal"),
        (Recipe(), "saved.minutes", "ByMinute has it, and this recipe's saved is a ByStep"),
        (Recipe(), "teacher.width", "Small has it, and this recipe's teacher is None"),
        (Recipe(), "model.widht", "did you mean --training.model.width?"),
        (Recipe(), "masking.rate", "did you mean --training.objective.masking.rate?"),
        (Recipe(), "rate", "did you mean --training.objective.masking.rate?"),
        (Recipe(), "model.seed", "did you mean --training.seed?"),
    ],
)  # fmt: skip
def test_an_unknown_flag_names_the_member_that_has_it_or_the_nearest_flag(
    recipe: Recipe, flag: str, message: str
) -> None:
    with pytest.raises(InputError) as error:
        parse(recipe, f"--training.{flag}=3")
    assert str(error.value) == f"--training.{flag}: no such flag; {message}; `train --help` lists every flag"


RECIPE_CLASSES = (Recipe, Small, Rotary, Masked, Masking, Causal, ByStep)


def test_members_come_back_as_they_were_written_down() -> None:
    recipe = Recipe(Rotary(3.0), Causal())
    assert from_plain(plain(recipe), RECIPE_CLASSES) == recipe
    without = plain(recipe)
    del without["model"]["rotary_base"], without["objective"]
    assert from_plain(without, RECIPE_CLASSES) == Recipe(Rotary())


def test_an_unknown_kind_is_named_with_the_known() -> None:
    with pytest.raises(InputError) as error:
        from_plain(plain(Recipe(LongRotary())), RECIPE_CLASSES)
    known = "ByStep, Causal, Masked, Masking, Recipe, Rotary, Small"
    assert str(error.value) == f"kind 'LongRotary': must be one of {known}"


def test_two_members_differ_in_their_kind_and_not_in_every_field() -> None:
    before = Recipe()
    assert differences(plain(before), plain(replace(before, model=Rotary(), seed=1))) == [
        "model: Small -> Rotary",
        "seed: 0 -> 1",
    ]
    assert differences(plain(Small()), plain(Rotary())) == ["kind: Small -> Rotary"]


@pytest.mark.parametrize(
    ("wrong", "near"),
    [("masking=Masking()", "objective.masking"), ("rate=0.3", "objective.masking.rate"), ("sead=1", "seed")],
)
def test_a_field_that_moved_deeper_is_suggested_with_its_place(wrong: str, near: str, tmp_path: Path) -> None:
    path = tmp_path / "own.py"
    path.write_text(
        "from dataclasses import dataclass, field\n"
        "@dataclass\nclass Masking:\n    rate: float = 0.15\n"
        "@dataclass\nclass Masked:\n    masking: Masking = field(default_factory=Masking)\n"
        "@dataclass\nclass Recipe:\n    objective: Masked = field(default_factory=Masked)\n    seed: int = 0\n"
        f"training = Recipe({wrong})\n",
        encoding="utf-8",
    )
    with pytest.raises(InputError) as error:
        load_recipe(str(path), "training", object)
    assert str(error.value).endswith(f"(did you mean {near}?); mend the recipe")
