"""What is kept of each item gives the official metric again, on any draw of the items."""

from typing import Any

import numpy as np
import pytest

from pretrain.evaluate.leaderboard.outcomes import OUTCOMES, digest
from pretrain.evaluate.metrics import golden_value
from pretrain.evaluate.tasks.examples import TextExample
from pretrain.evaluate.tasks.klue import RELATIONS
from pretrain.evaluate.tasks.registry import TASKS

pytest.importorskip("sklearn")
pytest.importorskip("scipy")


def inputs_of(metric: str, random: np.random.Generator) -> dict[str, Any]:
    if "spearman" in metric or "pearson" in metric:
        scores = random.integers(0, 6, 80) / 2  # ties in the gold scores, and in some of the predictions
        return {"preds": np.round(scores + random.normal(size=80), 1), "labels": scores}
    labels = RELATIONS if metric == "klue_re_micro_f1" else ("a", "b", "c", "never")
    gold = random.integers(0, 3, 80)
    preds = np.where(random.random(80) < 0.6, gold, random.integers(0, 3, 80))
    return {"preds": preds, "labels": gold, "targets": gold, "label_list": list(labels)}


@pytest.mark.parametrize("metric", OUTCOMES)
def test_outcomes_score_draws_of_items_as_the_official_function_does(metric: str) -> None:
    random = np.random.default_rng(0)
    inputs, outcome = inputs_of(metric, random), OUTCOMES[metric]
    drawn = random.integers(0, 80, (5, 80))
    times = np.stack([np.bincount(each, minlength=80) for each in drawn]).astype(np.float64)
    expected = [
        golden_value(metric, {name: value if name == "label_list" else value[each] for name, value in inputs.items()})
        for each in drawn
    ]
    assert outcome.score(outcome.values(inputs))(times) == pytest.approx(expected, abs=1e-9)


def test_headlines_of_tasks_on_texts_can_be_compared() -> None:
    texts = [task for task in TASKS.values() if task.kind in ("classes", "score", "relation")]
    assert texts
    assert [task.name for task in texts if task.metrics[0] not in OUTCOMES] == []


def test_a_constant_prediction_has_no_correlation_on_any_draw() -> None:
    for metric in ("spearman", "pearson"):
        score = OUTCOMES[metric].score(np.stack([np.full(9, 2.0), np.arange(9.0)], axis=1))
        assert np.isnan(score(np.ones((2, 9)))).all()


def test_items_are_the_same_only_with_their_texts_and_labels() -> None:
    example = TextExample("a", "글", None, "0")
    assert digest([example]) == digest([TextExample("a", "글", None, "0")])
    others = (TextExample("b", "글", None, "0"), TextExample("a", "말", None, "0"), TextExample("a", "글", None, "1"))
    assert len({digest([each]) for each in (example, *others)}) == 4
