"""Where a model is wrong: which classes it takes for which, and the items on which it is most sure of something wrong."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pretrain.evaluate.tasks.examples import Example, TextExample

WORST = 20
"""Errors that are shown."""


def confusion(inputs: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> list[list[float]]:
    """[gold][predicted]: items, the mean over the seeds; what the metrics read of each seed is given."""
    counts = np.zeros((len(labels), len(labels)))
    for each in inputs:
        np.add.at(counts, (np.asarray(each["labels"]), np.asarray(each["preds"])), 1 / len(inputs))
    return np.round(counts, 6).tolist()


def worst_errors(
    inputs: Sequence[Mapping[str, Any]], examples: Sequence[Example], labels: Sequence[str]
) -> list[dict[str, Any]]:
    """The items with the most probable wrong class, or the prediction farthest from the gold score, by the mean over the seeds.

    - `inputs`: what the metrics read of each seed, with the probabilities of classes as `probs` where there are classes.
    - `examples`: of the items, in their order; `labels`: of classes, or empty.
    """
    gold = np.asarray(inputs[0]["labels"])
    if labels:
        probabilities = np.mean([each["probs"] for each in inputs], axis=0)
        predicted = probabilities.argmax(axis=1)
        how_wrong = np.where(predicted == gold, -1.0, probabilities.max(axis=1))
    else:
        predicted = np.mean([each["preds"] for each in inputs], axis=0)
        how_wrong = np.where(predicted == gold, -1.0, np.abs(predicted - gold))
    worst = np.argsort(-how_wrong, kind="stable")[:WORST]
    return [
        {
            "name": examples[item].name,
            "texts": _texts(examples[item]),
            "gold": labels[gold[item]] if labels else float(gold[item]),
            "predicted": labels[predicted[item]] if labels else float(predicted[item]),
            "probability" if labels else "distance": float(how_wrong[item]),
        }
        for item in worst
        if how_wrong[item] > 0
    ]


def _texts(example: Example) -> list[str]:
    if isinstance(example, TextExample) and example.second is not None:
        return [example.first, example.second]
    return [example.group]
