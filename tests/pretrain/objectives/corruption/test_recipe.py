"""What a masking recipe says of itself: its slots, its held-out rows, its line, and what is wrong with it."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_run import TINY, changed

from data_pipeline.contract.command_line import parse_command_line
from data_pipeline.contract.errors import InputError
from pretrain.objectives.corruption.recipe import SPANBERT_SPANS, ZIPF, Masking
from pretrain.objectives.masked_lm.recipe import MaskedLM
from pretrain.objectives.replaced_token.recipe import ReplacedToken
from pretrain.recipe_checks import check


@pytest.mark.parametrize(
    ("fields", "training", "held_out"),
    [
        ({}, 20, 20),
        ({"max_predictions": 12}, 12, 12),
        ({"rate": 0.3, "final_rate": 0.05}, 39, 7),
        ({"rate": 0.05, "final_rate": 0.3}, 39, 39),
        ({"rate": 0.3, "final_rate": 0.05, "evaluation_rate": 0.15}, 39, 20),
        ({"rate": 0.1, "evaluation_rate": 0.4}, 13, 52),
    ],
)
def test_slots_are_for_the_larger_rate_of_training_and_for_that_of_held_out_rows(
    fields: dict[str, Any], training: int, held_out: int
) -> None:
    masking = Masking(**fields)
    masking.check(128)
    assert (masking.predictions(128), masking.predictions(128, held_out=True)) == (training, held_out)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"max_predictions": 129}, "max-predictions 129: must be 1 to 128, the tokens of a row"),
        (
            {"rate": 0.3, "final_rate": 0.05, "max_predictions": 20},
            "max-predictions 20: --training.objective.masking.rate 0.3 of 128 tokens needs 39; make it as many, or leave it unset",
        ),
        (
            {"final_rate": 0.3, "max_predictions": 20},
            "max-predictions 20: --training.objective.masking.final-rate 0.3 of 128",
        ),
        (
            {"evaluation_rate": 0.3, "max_predictions": 20},
            "max-predictions 20: --training.objective.masking.evaluation-rate 0.3",
        ),
    ],
)
def test_slots_that_do_not_suffice_are_named(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError) as error:
        Masking(**fields).check(128)
    assert words in str(error.value)


def test_one_rate_alone_may_have_a_limit_of_tokens() -> None:
    """As in Google's code, and in runs of before."""
    Masking(rate=0.4, max_predictions=20).check(128)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"final_rate": 0.0}, r"objective\.masking\.final-rate 0\.0: must be above 0 and at most 1"),
        ({"final_rate": 1.5}, r"objective\.masking\.final-rate 1\.5: must be above 0 and at most 1"),
        ({"evaluation_rate": -1.0}, r"objective\.masking\.evaluation-rate -1\.0: must be above 0"),
        ({"ngrams": ()}, r"objective\.masking\.ngrams \(\): must be one weight or more, each 0 or more"),
        ({"ngrams": (1.0, -0.5)}, r"objective\.masking\.ngrams \(1\.0, -0\.5\): must be one weight or more"),
        ({"ngrams": (0.0,)}, r"objective\.masking\.ngrams \(0\.0,\): must be one weight or more"),
        ({"ngrams": (1.0, float("nan"))}, r"objective\.masking\.ngrams \(1\.0, nan\): must be"),
        ({"ngrams": (1.0, float("inf"))}, r"objective\.masking\.ngrams \(1\.0, inf\): must be"),
    ],
)
def test_a_field_out_of_range_is_named_before_anything_is_compiled(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        check(changed(TINY, objective={"masking": fields}))


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({}, "15% of tokens predicted, of these 80% masked and 10% replaced at random"),
        (
            {"rate": 0.3, "final_rate": 0.05},
            "30% of tokens predicted at first, changing linearly to 5% (5% of held-out rows throughout), of these 80% masked and "
            "10% replaced at random",
        ),
        (
            {"ngrams": ZIPF, "replace_unit": "ngram", "mask_share": 1.0, "random_share": 0.0, "static_masks": 10},
            "15% of tokens predicted as n-grams of 1 to 3 words (55%, 27%, 18%), of these 100% masked and 0% replaced at random, "
            "all words of an n-gram alike; 10 masks a row, in turn",
        ),
    ],
)
def test_its_line_tells_all_of_it(fields: dict[str, Any], line: str) -> None:
    assert Masking(**fields).in_words() == line


def test_the_overrides_of_the_published_systems_are_flags_of_the_recipe() -> None:
    page = (Path(__file__).parents[4] / "docs/recipes.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([^|]+) \| `((?:--(?:data|training)\.\S+ [^`]*)+)` \|", page, re.MULTILINE)
    found = {}
    for system, overrides in rows:
        training = re.sub(r"--data\.word-unit \w+ ?", "", overrides).replace("--training.", "--")
        recipe = parse_command_line(TINY, training.split(), "train")
        check(recipe)
        found[system] = recipe.objective.masking
    assert len(found) >= 10
    assert found["KoBigBird"] == Masking(ngrams=(1.0, 0.5), replace_unit="ngram", static_masks=3)
    np.testing.assert_allclose(found["SpanBERT"].ngrams, SPANBERT_SPANS, atol=0.001)
    np.testing.assert_allclose(found["ALBERT"].ngrams, ZIPF, atol=0.001)


def test_held_out_rows_are_those_of_the_last_phase() -> None:
    first, last = Masking(rate=0.3), Masking(rate=0.15, final_rate=0.05)
    assert first.evaluated_as(last) == Masking(rate=0.3, evaluation_rate=0.05)
    assert last.evaluated_as(last) is last
    with pytest.raises(InputError, match=r"evaluation-rate 0\.2: the last phase has 0\.05, .* in all phases; set it"):
        Masking(rate=0.3, evaluation_rate=0.2).evaluated_as(last)


@pytest.mark.parametrize("kind", [MaskedLM, ReplacedToken])
def test_objectives_that_mask_share_what_their_recipes_say_of_it(kind: type[MaskedLM] | type[ReplacedToken]) -> None:
    first, last = kind(masking=Masking(rate=0.3)), kind(masking=Masking(rate=0.05))
    assert first.evaluated_as(last) == kind(masking=Masking(rate=0.3, evaluation_rate=0.05))  # type: ignore[arg-type]
    assert kind.scheduled == {"masking.rate", "masking.final_rate"}
    assert "30% of tokens predicted" in first.in_words()
