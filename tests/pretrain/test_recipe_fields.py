"""The limit of a number is declared beside its field, and every number of a training recipe has one or a reason to have none."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, cast, get_args, get_type_hints

import pytest

from data_pipeline.contract import recipe_fields
from data_pipeline.contract.errors import InputError
from data_pipeline.contract.recipe_fields import (
    ABOVE_ZERO,
    AT_LEAST_ONE,
    ZERO_TO_ONE,
    Limit,
    is_free,
    limited,
    limits,
    number,
)
from data_pipeline.contract.recipe_types import dataclasses_in
from pretrain.checkpoints.resume import bound
from pretrain.models.bert.config import BertConfig
from pretrain.models.config import config_classes
from pretrain.objectives.corruption.recipe import Masking
from pretrain.objectives.masked_lm.recipe import MaskedLM
from pretrain.recipe import BatchWarmup, Optimizer, Phase, TrainingRecipe
from pretrain.recipe_checks import check

LIMITS = [value for value in vars(recipe_fields).values() if isinstance(value, Limit)]
WITHOUT_LIMIT = {
    **{
        f"{config.__name__}.{name}": "must be that of the records"
        for config in config_classes()
        if config.__module__.startswith("pretrain.")  # not a test's own family
        for name in ("vocab_size", "pad_token_id")
        if name in {field.name for field in dataclasses.fields(config)}
    },
    "Optimizer.decay_steps": "must fit between warmup_steps and max_steps",
    "Mesh.data": "1 or more, or -1 for what is left",
    "Mesh.fsdp": "1 or more, or -1 for what is left",
    "Mesh.tensor": "1 or more, or -1 for what is left",
    "TrainingRecipe.stop_at_step": "1 to max_steps",
}
"""Numbers whose bounds are other numbers, or that are no range; checked where those are known."""


def number_fields() -> Iterator[tuple[str, dataclasses.Field[Any]]]:
    """`Class.field` of every number that a training recipe may hold."""
    TrainingRecipe()  # which imports what its model and objective may be
    for kind in dataclasses_in(TrainingRecipe):
        if kind.__module__.startswith("pretrain."):
            hints = get_type_hints(kind)
            for each in dataclasses.fields(kind):
                if {int, float} & {hints[each.name], *get_args(hints[each.name])}:
                    yield f"{kind.__name__}.{each.name}", each


def test_every_number_of_a_recipe_has_a_limit_or_a_reason_to_have_none() -> None:
    found = dict(number_fields())
    assert {"BertConfig.hidden_size", "Phase.length", "Masking.max_predictions", "TrainingRecipe.seed"} < set(found)
    assert {name for name, each in found.items() if "limit" not in each.metadata} == set(WITHOUT_LIMIT)


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.words)
def test_no_limit_holds_for_nan_and_infinity(limit: Limit) -> None:
    assert [limit.holds(float(value)) for value in ("nan", "inf", "-inf")] == [False] * 3


@pytest.mark.parametrize(
    ("words", "within", "beyond"),
    [
        ("1 or more", (1, 1.5, 10**12), (0, 0.99, -1)),
        ("0 or more", (0, 1, 10**12), (-1, -1e-9)),
        ("above 0", (1e-12, 5), (0, -1)),
        ("above 1", (1.01, 5), (1, 0)),
        ("above 0 and at most 1", (1e-12, 1), (0, 1.01)),
        ("0 to 1", (0, 1), (-0.01, 1.01)),
        ("0 or more and below 1", (0, 0.999), (-0.01, 1)),
        ("a multiple of 8 and at least 16", (16, 512), (8, 0, 20)),
        ("0 to 4294967295", (0, 2**32 - 1), (-1, 2**32)),
    ],
)
def test_a_limit_means_what_its_words_say(words: str, within: tuple[float, ...], beyond: tuple[float, ...]) -> None:
    [limit] = [each for each in LIMITS if each.words == words]
    assert all(map(limit.holds, within))
    assert not any(map(limit.holds, beyond))


def test_defaults_are_within_their_limits() -> None:
    check(TrainingRecipe(phases=(Phase(128, 0.9), Phase(512, 0.1))))


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (TrainingRecipe(model=BertConfig(hidden_size=0)), "--training.model.hidden-size 0: must be 1 or more"),
        (
            TrainingRecipe(objective=MaskedLM(masking=Masking(max_predictions=0))),
            "--training.objective.masking.max-predictions 0: must be 1 or more",
        ),
        (
            TrainingRecipe(optimizer=Optimizer(beta1=1.0)),
            "--training.optimizer.beta1 1.0: must be 0 or more and below 1",
        ),
        (TrainingRecipe(batch_warmup=BatchWarmup(-1)), "--training.batch-warmup.first-rows -1: must be 0 or more"),
        (TrainingRecipe(seed=2**32), "--training.seed 4294967296: must be 0 to 4294967295"),
        (TrainingRecipe(phases=(Phase(0, 1.0),)), "phases.0.length 0: must be 1 or more"),
        (TrainingRecipe(phases=(Phase(8, 1.5),)), "phases.0.share 1.5: must be above 0 and at most 1"),
        (TrainingRecipe(phases=(Phase(8, 1.0, -8),)), "phases.0.global_batch_size -8: must be 1 or more"),
        (
            TrainingRecipe(phases=(Phase(8, 0.5), Phase(8, 0.5, accumulation=0))),
            "phases.1.accumulation 0: must be 1 or more",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_number_beyond_its_limit_is_named(recipe: TrainingRecipe, message: str) -> None:
    with pytest.raises(InputError) as error:
        check(recipe)
    assert str(error.value) == message


@dataclass(frozen=True)
class Expert:
    width: int = field(metadata=limited(AT_LEAST_ONE))
    share: float | None = number(None, ZERO_TO_ONE, free=True)


@dataclass(frozen=True)
class OtherModel:
    """A family of models that nothing else knows."""

    scale: float = number(1.0, ABOVE_ZERO)
    even: int = number(2, Limit("even", lambda value: value % 2 == 0))
    experts: tuple[Expert, ...] = (Expert(4), Expert(8, 0.5))


def with_model(model: OtherModel) -> TrainingRecipe:
    return replace(TrainingRecipe(), model=cast(Any, model))


def test_another_dataclass_in_a_recipe_brings_its_own_limits() -> None:
    check(with_model(OtherModel()))
    for model, message in (
        (OtherModel(scale=0.0), "--training.model.scale 0.0: must be above 0"),
        (OtherModel(even=3), "--training.model.even 3: must be even"),
        (OtherModel(experts=(Expert(1), Expert(0))), "model.experts.1.width 0: must be 1 or more"),
        (OtherModel(experts=(Expert(1, float("nan")),)), "model.experts.0.share nan: must be 0 to 1"),
    ):
        with pytest.raises(InputError) as error:
            check(with_model(model))
        assert str(error.value) == message


def test_numbers_come_with_dotted_names_and_none_is_left_out() -> None:
    assert [(name, value) for name, value, _ in limits(OtherModel())] == [
        ("scale", 1.0),
        ("even", 2),
        ("experts.0.width", 4),
        ("experts.1.width", 8),
        ("experts.1.share", 0.5),
    ]


def test_a_free_field_stays_free_with_a_limit_and_the_limit_alone_frees_none() -> None:
    assert {each.name: is_free(each) for each in dataclasses.fields(Expert)} == {"width": False, "share": True}
    assert bound(Expert(4, 0.5)) == {"kind": "Expert", "width": 4}


def test_a_declared_number_is_a_plain_field_to_the_dataclass() -> None:
    assert repr(Expert(4)) == "Expert(width=4, share=None)"
    assert Expert(4) == Expert(4, None) != Expert(5)
