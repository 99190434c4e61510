"""What items add to a metric sums up to the metric, so that the paired bootstrap compares what is reported."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pretrain.evaluate.kinds.dependencies import PredictedTree
from pretrain.evaluate.kinds.tags import PredictedTags
from pretrain.evaluate.leaderboard.items import COUNTED, MEANS, item_sums
from pretrain.evaluate.metrics import METRICS
from pretrain.evaluate.scoring import score
from pretrain.evaluate.statistics import compare_scores, compare_sums
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

Made = tuple[Task, list[Example], list[Any]]
ITEMS = 40
NOT_SUMMED = {
    "klue_sts_pearsonr", "korsts_spearman", "pearson", "spearman", "klue_re_auprc", "klue_re_auprc_recent",
    "klue_re_auprc_present",
}  # fmt: skip


def classes(name: str, random: np.random.Generator) -> Made:
    task = TASKS[name]
    gold = random.choice(task.labels, ITEMS).tolist()
    examples: list[Example] = [TextExample(str(number), "가", None, label) for number, label in enumerate(gold)]
    return task, examples, list(random.normal(size=(ITEMS, len(task.labels))))


def scores(name: str, random: np.random.Generator) -> Made:
    gold = random.uniform(0, 5, ITEMS)
    examples: list[Example] = [TextExample(str(number), "가", None, float(each)) for number, each in enumerate(gold)]
    return TASKS[name], examples, list(gold + random.normal(size=ITEMS))


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
    **dict.fromkeys(["klue_sts_f1"], ("klue_sts", scores)),
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


def test_every_metric_is_summed_or_is_no_sum() -> None:
    assert {*MEANS, *COUNTED, *NOT_SUMMED} == {*METRICS}
    task, examples, predictions = made("klue_re_micro_f1", 0)
    assert item_sums("klue_re_auprc", task, examples, predictions) is None


@pytest.mark.parametrize("metric", sorted({*MEANS, *COUNTED}))
def test_the_sum_of_all_items_is_the_metric(metric: str) -> None:
    task, examples, predictions = made(metric, 1)
    found = item_sums(metric, task, examples, predictions)
    assert found
    assert len(found.items) == ITEMS
    assert found.metric(found.items.sum(axis=0)[None])[0] == pytest.approx(score(task, examples, predictions)[metric])


@pytest.mark.parametrize("metric", ["ynat_macro_f1", "klue_nli_acc", "klue_sts_f1", "klue_mrc_rouge_w"])
def test_a_bootstrap_of_sums_is_that_of_scores(metric: str) -> None:
    task, examples, first = made(metric, 2)
    second = [*first[5:], *first[:5]]
    sums = [item_sums(metric, task, examples, each) for each in (first, second)]
    assert sums[0]
    assert sums[1]
    fast = compare_sums(sums[0].metric, sums[0].items[None], sums[1].items[None], draws=40)

    def by_scoring(predictions: list[Any], gold: list[Example]) -> float:
        # A question that is drawn twice needs two names.
        named = [replace(example, name=str(number)) for number, example in enumerate(gold)]
        return score(task, named, predictions)[metric]

    slow = compare_scores(by_scoring, [first], [second], examples, draws=40)
    assert (fast.difference, fast.low, fast.high) == pytest.approx((slow.difference, slow.low, slow.high))
