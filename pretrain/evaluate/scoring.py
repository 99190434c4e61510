"""The metrics of a task from answers to its examples."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np

from data_pipeline.contract.errors import InputError
from pretrain.evaluate.kinds.dependencies import PredictedTree
from pretrain.evaluate.kinds.tags import PredictedTags, gold_tags
from pretrain.evaluate.metrics import golden_value
from pretrain.evaluate.tasks.examples import (
    DependencyExample,
    DialogueExample,
    Example,
    RelationExample,
    SpanExample,
    TagExample,
    TextExample,
)
from pretrain.evaluate.tasks.task import Kind, Task

Inputs = dict[str, Any]
"""What metrics read, by the names in METRICS."""


def score(task: Task, examples: Sequence[Example], predictions: Sequence[Any]) -> dict[str, float]:
    """The value of each of the task's metrics.

    - `predictions`: one for each example: of "classes" and "relation" float [labels], what goes into a softmax; of "score" a number; of
      "tags" PredictedTags; of "span" a text; of "dependencies" PredictedTree; of "dialogue" the state, as in the example.

    Raises InputError where predictions are missing.
    """
    inputs = metric_inputs(task, examples, predictions)
    return {name: golden_value(name, inputs) for name in task.metrics}


def metric_inputs(task: Task, examples: Sequence[Example], predictions: Sequence[Any]) -> Inputs:
    """What any metric of the task's kind reads. Arguments as for `score`."""
    if len(examples) != len(predictions):
        raise InputError(
            f"{task.title}: {len(predictions)} predictions for {len(examples)} examples; give one for each, in the same order"
        )
    return INPUTS[task.kind](task, examples, predictions)


def _classes(task: Task, examples: Sequence[Example], predictions: Sequence[Any]) -> Inputs:
    ids = {label: number for number, label in enumerate(task.labels)}
    gold = [ids[str(cast(TextExample | RelationExample, example).label)] for example in examples]
    scores = np.asarray(predictions, np.float64).reshape(len(gold), len(ids))
    exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
    return {
        "preds": scores.argmax(axis=1),
        "probs": exponentials / exponentials.sum(axis=1, keepdims=True),
        "labels": np.array(gold, np.int64),
        "targets": np.array(gold, np.int64),
        "label_list": list(task.labels),
    }


def _scores(task: Task, examples: Sequence[Example], predictions: Sequence[Any]) -> Inputs:
    labels = [float(cast(TextExample, example).label) for example in examples]
    return {"preds": np.asarray(predictions, np.float64).reshape(-1), "labels": np.array(labels)}


def _tags(task: Task, examples: Sequence[Example], predictions: Sequence[Any]) -> Inputs:
    pairs = list(zip(cast(Sequence[TagExample], examples), cast(Sequence[PredictedTags], predictions), strict=True))
    units = [list(predicted.units) for _, predicted in pairs]
    gold = [list(gold_tags(example, len(predicted.units))) for example, predicted in pairs]
    if all(example.separator for example, _ in pairs):
        return {"preds": units, "labels": gold}
    ids = {label: number for number, label in enumerate(task.labels)}
    # By the baseline's way a sentence may also have more characters than there are: the baseline fails then.
    official = [(predicted.official, gold_tags(example, len(predicted.official))) for example, predicted in pairs]

    def flat(sentences: Sequence[Sequence[str]]) -> list[int]:
        return [ids[tag] for sentence in sentences for tag in sentence]

    return {
        "preds": flat([[*given[: len(tags) - 1], given[-1]] for given, tags in official]),
        "labels": flat([tags for _, tags in official]),
        "preds_by_offsets": flat(units),
        "labels_by_offsets": flat(gold),
        "label_list": list(task.labels),
    }


def _span(task: Task, examples: Sequence[Example], predictions: Sequence[Any]) -> Inputs:
    asked = cast(Sequence[SpanExample], examples)
    answers = [[{"text": text} for text, _ in example.answers] for example in asked]
    return {
        "predictions": {example.name: text for example, text in zip(asked, predictions, strict=True)},
        "examples": [{"qas_id": each.name, "answers": gold} for each, gold in zip(asked, answers, strict=True)],
        "dataset": [
            {"paragraphs": [{"qas": [{"id": e.name, "answers": gold} for e, gold in zip(asked, answers, strict=True)]}]}
        ],
    }


def _dependencies(task: Task, examples: Sequence[Example], predictions: Sequence[Any]) -> Inputs:
    ids = {label: number for number, label in enumerate(task.labels)}
    trees = cast(Sequence[PredictedTree], predictions)
    pairs = list(zip(cast(Sequence[DependencyExample], examples), trees, strict=True))
    heads = [list(example.heads[: len(tree.heads)]) for example, tree in pairs]
    types = [[ids[name] for name in example.relations[: len(tree.heads)]] for example, tree in pairs]
    return {
        "preds": [{"heads": [tree.heads for tree in trees], "types": [tree.relations for tree in trees]}],
        "labels": [{"heads": heads, "types": types}],
    }


def _dialogue(task: Task, examples: Sequence[Example], predictions: Sequence[Any]) -> Inputs:
    gold = [list(cast(DialogueExample, example).state) for example in examples]
    return {"preds": [list(state) for state in predictions], "targets": gold}


INPUTS: Mapping[Kind, Callable[[Task, Sequence[Example], Sequence[Any]], Inputs]] = {
    "classes": _classes,
    "score": _scores,
    "tags": _tags,
    "span": _span,
    "relation": _classes,
    "dependencies": _dependencies,
    "dialogue": _dialogue,
}
