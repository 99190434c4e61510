"""Metrics of KLUE-RE."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from data_pipeline.contract.errors import InputError
from pretrain.evaluate.metrics.classes import class_f1
from pretrain.evaluate.metrics.libraries import library
from pretrain.evaluate.metrics.pairing import check_pairs

RELATIONS = 30
"""KLUE-RE's classes, no_relation among them; a constant in the official code, too."""
NO_RELATION = "no_relation"


def klue_re_micro_f1(preds: Sequence[int], labels: Sequence[int], label_list: Sequence[str]) -> float:
    """The pooled F1, as a percentage, of all classes but no_relation (KLUE: klue_re_micro_f1).

    - `label_list`: the name of each id; no_relation is found by its name.

    Items that are no_relation on both sides count nowhere, so that a set of these alone scores 0.
    """
    if NO_RELATION not in label_list:
        raise InputError(
            f"label_list does not name {NO_RELATION}, which does not count; found: {', '.join(label_list)}"
        )
    relations = [number for number, name in enumerate(label_list) if name != NO_RELATION]
    return 100 * class_f1(preds, labels, "micro", classes=relations)


def klue_re_auprc(probs: ArrayLike, labels: Sequence[int]) -> float:
    """The mean area under the precision-recall curves of the 30 classes, as a percentage (KLUE: klue_re_auprc).

    - `probs`: float[items, 30], which need not sum to 1. `labels`: int[items].

    no_relation is one of the classes. The area is the trapezoid rule's, not the average precision. NaN where a class has no
    gold item, as with the scikit-learn that KLUE pins; `klue_re_auprc_recent` is what later ones make of it.
    """
    return 100 * float(np.mean(areas(probs, labels)))


def klue_re_auprc_recent(probs: ArrayLike, labels: Sequence[int]) -> float:
    """`klue_re_auprc` by later scikit-learn versions (1.9 is one): a class without a gold item has the recall 1, and so the area 0.5."""
    found = areas(probs, labels)
    return 100 * float(np.mean(np.where(np.isnan(found), 0.5, found)))


def klue_re_auprc_present(probs: ArrayLike, labels: Sequence[int]) -> float:
    """`klue_re_auprc` over the classes that have a gold item: for a part of the data, or a bootstrap. NaN without items."""
    found = areas(probs, labels)
    return 100 * float(np.nanmean(found)) if len(labels) else float("nan")


def areas(probs: ArrayLike, labels: Sequence[int]) -> NDArray[np.float64]:
    """float64[30]: the area under each class's precision-recall curve; NaN for a class without a gold item.

    Equal scores are one point of the curve, which starts at recall 0 and precision 1.
    """
    gold = np.asarray(labels, np.int64)
    scores = np.asarray(probs, np.float64)
    check_pairs(scores, gold)
    found = np.full(RELATIONS, np.nan)
    if not len(gold):
        return found
    if scores.shape[1:] != (RELATIONS,):
        raise InputError(f"probs has the shape {list(scores.shape)}; give {RELATIONS} probabilities for each item")
    wrong = np.flatnonzero((gold < 0) | (gold >= RELATIONS))
    if len(wrong):
        raise InputError(f"item {wrong[0]} has the label id {gold[wrong[0]]}; KLUE-RE has the ids 0 to {RELATIONS - 1}")
    broken = np.flatnonzero(~np.isfinite(scores).all(axis=1))
    if len(broken):
        raise InputError(f"the probabilities of item {broken[0]} are not finite; the model may have diverged")
    metrics = library("sklearn.metrics")
    for relation in np.unique(gold):
        precision, recall, _ = metrics.precision_recall_curve(gold == relation, scores[:, relation])
        found[relation] = metrics.auc(recall, precision)
    return found
