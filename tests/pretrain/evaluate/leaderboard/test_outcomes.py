"""What is kept of each item gives the official metric again, on any draw of the items: models are compared by what is reported."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pretrain.evaluate.kinds.dependencies import PredictedTree
from pretrain.evaluate.kinds.tags import PredictedTags
from pretrain.evaluate.leaderboard.outcomes import OUTCOMES, item_values
from pretrain.evaluate.leaderboard.outcomes_file import digest
from pretrain.evaluate.leaderboard.statistics import compare_counted
from pretrain.evaluate.metrics import METRICS
from pretrain.evaluate.metrics.counts import class_counts
from pretrain.evaluate.scoring import metric_inputs, score
from pretrain.evaluate.tasks.examples import (
    DependencyExample,
    DialogueExample,
    Example,
    GoldAnswer,
    SpanExample,
    TagExample,
    TextExample,
)
from pretrain.evaluate.tasks.registry import TASKS
from pretrain.evaluate.tasks.task import Task
from pretrain.evaluate.tasks.user import KINDS

pytest.importorskip("sklearn")
pytest.importorskip("scipy")
pytest.importorskip("seqeval")

Made = tuple[Task, list[Example], list[Any]]
ITEMS = 40


def classes(name: str, random: np.random.Generator) -> Made:
    task = TASKS[name]
    gold = random.choice(task.labels, ITEMS).tolist()
    examples: list[Example] = [TextExample(str(number), "가", None, label) for number, label in enumerate(gold)]
    return task, examples, list(random.normal(size=(ITEMS, len(task.labels))))


def scores(name: str, random: np.random.Generator) -> Made:
    gold = random.integers(0, 11, ITEMS) / 2  # with ties
    examples: list[Example] = [TextExample(str(number), "가", None, float(each)) for number, each in enumerate(gold)]
    return TASKS[name], examples, list(np.round(gold + random.normal(size=ITEMS), 1))


def tags(name: str, random: np.random.Generator) -> Made:
    task = TASKS[name]
    of_words, few = name == "naver_ner", [label for label in task.labels if label[:2] in ("B-", "I-", "PE", "O")]
    examples: list[Example] = []
    predictions = []
    for number in range(ITEMS):
        count = int(random.integers(1, 9))
        units = tuple("가" * count)
        gold, said = (tuple(random.choice(few, count).tolist()) for _ in range(2))
        examples.append(TagExample(str(number), units, gold, " " if of_words else ""))
        # Spans that reach into the next sentence are the one thing that sums do not have.
        said = said if of_words else ("O", *said, "O")
        predictions.append(PredictedTags(said, () if of_words else said))
    return task, examples, predictions


def spans(name: str, random: np.random.Generator) -> Made:
    context = "서울에서 (가나) 다라"
    texts = random.choice(["서울", "서울에서", "(가나)", "다라", "나"], (ITEMS, 2)).tolist()
    examples: list[Example] = [
        SpanExample(str(n), "가?", context, (GoldAnswer(text, 0),) if n % 4 or name == "korquad" else (), not n % 4, "")
        for n, (text, _) in enumerate(texts)
    ]
    return TASKS[name], examples, ["" if n % 5 == 0 else text for n, (_, text) in enumerate(texts)]


def dependencies(name: str, random: np.random.Generator) -> Made:
    task, examples, predictions = TASKS[name], list[Example](), []
    for number in range(ITEMS):
        count = int(random.integers(1, 9))
        heads, relations = random.integers(0, count + 1, (2, count)), random.integers(0, 20, (2, count))
        same = random.random(count) < 0.6
        examples.append(
            DependencyExample(
                str(number),
                ("가",) * count,
                tuple(heads[0].tolist()),
                tuple(task.labels[one] for one in relations[0]),
                ("NNG",) * count,
            )
        )
        predictions.append(PredictedTree(*(np.where(same, one[0], one[1]).tolist() for one in (heads, relations))))
    return task, examples, predictions


def dialogues(name: str, random: np.random.Generator) -> Made:
    task = TASKS[name]
    values = [f"{slot}-가" for slot in task.labels[:4]]
    drawn = [[value for value in values if random.random() < 0.5] for _ in range(2 * ITEMS)]
    examples: list[Example] = [
        DialogueExample(str(number), "d", (), tuple(state)) for number, state in enumerate(drawn[:ITEMS])
    ]
    return task, examples, drawn[ITEMS:]


MAKERS: dict[str, tuple[str, Callable[[str, np.random.Generator], Made]]] = {
    **dict.fromkeys(
        ["klue_sts_f1", "klue_sts_pearsonr", "korsts_spearman", "pearson", "spearman"], ("klue_sts", scores)
    ),
    **{metric: ("klue_ner", tags) for metric in METRICS if metric.startswith("klue_ner")},
    **dict.fromkeys(["naver_ner_f1", "entity_f1", "tag_accuracy"], ("naver_ner", tags)),
    "klue_re_micro_f1": ("klue_re", classes),
    **{metric: ("klue_dp", dependencies) for metric in METRICS if metric.startswith("klue_dp")},
    **{metric: ("klue_mrc", spans) for metric in METRICS if metric.startswith("klue_mrc")},
    **dict.fromkeys(["exact_match", "character_f1"], ("klue_mrc", spans)),
    **{metric: ("korquad", spans) for metric in METRICS if metric.startswith("korquad")},
    **{metric: ("klue_wos", dialogues) for metric in METRICS if metric.startswith("wos")},
}


def made(metric: str, seed: int) -> Made:
    name, maker = MAKERS.get(metric, ("klue_ynat", classes))
    task, examples, predictions = maker(name, np.random.default_rng(seed))
    return replace(task, metrics=(metric,)), examples, predictions


def exchanged(predictions: list[Any]) -> list[Any]:
    """The predictions of another model: each item has that of the next one with as many units."""

    def units(said: Any) -> int:
        return len(said[0]) if isinstance(said, PredictedTags | PredictedTree) else 0

    found = list(predictions)
    for count in {units(said) for said in predictions}:
        places = [place for place, said in enumerate(predictions) if units(said) == count]
        for place, other in zip(places, [*places[1:], places[0]], strict=True):
            found[place] = predictions[other]
    return found


def test_every_metric_but_areas_under_curves_can_be_compared_and_so_can_every_headline() -> None:
    assert set(OUTCOMES) == {name for name in METRICS if "auprc" not in name}
    assert [task.name for task in TASKS.values() if task.metrics[0] not in OUTCOMES] == []
    assert [name for _, metrics in KINDS.values() for name in metrics if name not in OUTCOMES] == []


@pytest.mark.parametrize("metric", OUTCOMES)
def test_all_items_and_any_draw_of_them_score_as_the_official_function_does(metric: str) -> None:
    task, examples, predictions = made(metric, 1)
    values = item_values(metric, task, examples, predictions)
    assert len(values) == ITEMS
    random = np.random.default_rng(0)
    drawn = [np.arange(ITEMS), *random.integers(0, ITEMS, (5, ITEMS))]
    times = np.stack([np.bincount(each, minlength=ITEMS) for each in drawn]).astype(np.float64)

    def by_scoring(items: NDArray[np.int64]) -> float:
        # A question that is drawn twice needs two names.
        named = [replace(examples[item], name=str(number)) for number, item in enumerate(items)]
        return score(task, named, [predictions[item] for item in items])[metric]

    assert OUTCOMES[metric].score(values)(times) == pytest.approx([by_scoring(each) for each in drawn], abs=1e-9)


@pytest.mark.parametrize("metric", OUTCOMES)
def test_two_models_are_compared_by_every_metric(metric: str) -> None:
    task, examples, first = made(metric, 2)
    second = exchanged(first)
    mine, theirs = ([OUTCOMES[metric].score(item_values(metric, task, examples, each))] for each in (first, second))
    found = compare_counted(mine, theirs, ITEMS, draws=200)
    one, other = (score(task, examples, each)[metric] for each in (first, second))
    assert found.difference == pytest.approx(one - other, abs=1e-9)
    assert found.low <= found.high
    assert compare_counted(mine, mine, ITEMS, draws=200).verdict == "tie"


def test_what_older_code_has_kept_gives_the_same_scores() -> None:
    """Its shapes: 1 for a right answer, also of percentages; counts by class; a prediction and its gold score."""
    random, times = np.random.default_rng(3), np.ones((1, ITEMS))
    for metric in ("nsmc_acc", "klue_nli_acc", "ynat_macro_f1", "klue_re_micro_f1", "korsts_spearman"):
        task, examples, predictions = made(metric, int(random.integers(100)))
        inputs = metric_inputs(task, examples, predictions)
        if metric.endswith("acc"):
            older = (inputs["preds"] == inputs["labels"]).astype(np.float64)[:, None]
        elif metric.endswith("f1"):
            counted = [number for number, name in enumerate(task.labels) if name != "no_relation"]
            older = class_counts(inputs["preds"], inputs["labels"], counted)
        else:
            older = np.stack([inputs["preds"], inputs["labels"]], axis=1)
        expected = score(task, examples, predictions)[metric]
        assert OUTCOMES[metric].score(older)(times)[0] == pytest.approx(expected)


def test_a_constant_prediction_has_no_correlation_on_any_draw() -> None:
    for metric in ("spearman", "pearson"):
        of_draws = OUTCOMES[metric].score(np.stack([np.full(9, 2.0), np.arange(9.0)], axis=1))
        assert np.isnan(of_draws(np.ones((2, 9)))).all()


def test_items_are_the_same_only_with_their_texts_and_labels() -> None:
    example = TextExample("a", "글", None, "0")
    assert digest([example]) == digest([TextExample("a", "글", None, "0")])
    others = (TextExample("b", "글", None, "0"), TextExample("a", "말", None, "0"), TextExample("a", "글", None, "1"))
    assert len({digest([each]) for each in (example, *others)}) == 4
