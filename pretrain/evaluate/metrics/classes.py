"""Metrics of one class for each item."""

from collections.abc import Hashable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pretrain.evaluate.metrics.libraries import library
from pretrain.evaluate.metrics.pairing import check_pairs

Labels = Sequence[Hashable] | NDArray[Any]
"""Class ids or names, one for each item."""


def accuracy(preds: Labels, labels: Labels) -> float:
    """The share of items whose class is right, a fraction; NaN without items."""
    check_pairs(preds, labels)
    return float(np.mean(np.asarray(preds) == np.asarray(labels))) if len(labels) else float("nan")


def class_f1(
    preds: Labels,
    labels: Labels,
    average: Literal["macro", "micro"],
    classes: Sequence[Hashable] | None = None,
    absent: float = 0.0,
) -> float:
    """scikit-learn's F1 over several classes, a fraction, also without items, which its recent versions refuse.

    - `classes`: those that count; None means all that occur in `preds` or `labels`.
    - `absent`: the F1 of a class that occurs in neither, and of all counts pooled where they are 0.
    """
    check_pairs(preds, labels)
    if not len(labels if classes is None else classes):
        return float("nan") if average == "macro" else absent
    if not len(labels):
        return absent
    f1_score = library("sklearn.metrics").f1_score
    return float(f1_score(labels, preds, labels=classes, average=average, zero_division=absent))


def macro_f1(preds: Labels, labels: Labels) -> float:
    """The mean F1, a fraction, of the classes that occur in `preds` or `labels`; NaN without items.

    A class that is only predicted counts with 0, and one that occurs nowhere is left out: KoELECTRA's hate speech score.
    """
    return class_f1(preds, labels, "macro")


def ynat_macro_f1(preds: Labels, targets: Labels) -> float:
    """`macro_f1` as a percentage (KLUE: ynat_macro_f1): over the classes that occur, not over YNAT's seven."""
    return 100 * macro_f1(preds, targets)


def klue_nli_acc(preds: Labels, targets: Labels) -> float:
    """`accuracy` as a percentage (KLUE: klue_nli_acc)."""
    return 100 * accuracy(preds, targets)
