"""Metrics of KLUE-DP. `preds` and `labels` are lists of batches, each {"heads": int[B, W], "types": int[B, W]}.

Heads are 0 for the root, else the number of the word from 1; types are ids in KLUE's order. Labels are -1 at padding, where
predictions are arbitrary; all other words of the data count alike.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data_pipeline.contract.errors import InputError
from pretrain.evaluate.metrics.classes import class_f1
from pretrain.evaluate.metrics.pairing import check_pairs

Batches = Sequence[Mapping[str, Sequence[Sequence[int]]]]
PADDING = -1
WRONG_HEAD = -2
"""Takes the place of a predicted type in LAS."""
OTHERS, FIRST_OTHER = -3, 15
"""KLUE's types from 15 on are rare, and one class in LAS."""


@dataclass(frozen=True)
class Words:
    """Heads and types of all words but padding: int[words] each."""

    predicted_heads: NDArray[np.int64]
    heads: NDArray[np.int64]
    predicted_types: NDArray[np.int64]
    types: NDArray[np.int64]

    @property
    def right_head(self) -> NDArray[np.bool_]:
        return self.predicted_heads == self.heads

    def las_types(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Predicted and gold types as LAS compares them: OTHERS merged, WRONG_HEAD where the head is wrong."""
        predicted, gold = (
            np.where(types >= FIRST_OTHER, OTHERS, types) for types in (self.predicted_types, self.types)
        )
        return np.where(self.right_head, predicted, WRONG_HEAD), gold


def words_of(preds: Batches, labels: Batches) -> Words:
    """The words of all batches; an InputError where predictions and labels differ in number."""
    check_pairs(preds, labels, "batches")
    found = []
    for field in ("heads", "types"):
        predicted, gold = ([row for batch in side for row in batch[field]] for side in (preds, labels))
        check_pairs(predicted, gold, f"sentences ({field})")
        for number, (first, second) in enumerate(zip(predicted, gold, strict=True)):
            check_pairs(first, second, f"words ({field} of sentence {number})")
        flat = [np.asarray([value for row in side for value in row], np.int64) for side in (predicted, gold)]
        real = flat[1] != PADDING
        found += [side[real] for side in flat]
    if len(found[1]) != len(found[3]):
        raise InputError(
            f"labels have heads of {len(found[1])} words, but types of {len(found[3])}; both are {PADDING} at padding alone"
        )
    return Words(*found)


def klue_dp_uas_micro_f1(preds: Batches, labels: Batches) -> float:
    """The share of words with the right head, as a percentage (KLUE: klue_dp_uas_micro_f1); 0 without words."""
    words = words_of(preds, labels)
    return 100 * class_f1(words.predicted_heads, words.heads, "micro")


def klue_dp_uas_macro_f1(preds: Batches, labels: Batches) -> float:
    """The mean F1 of head positions, as a percentage (KLUE: klue_dp_uas_macro_f1); NaN without words.

    The number of the head is the class: the 20th word of a long sentence weighs as much as the root. It is the UAS of KLUE's
    tables, but no attachment score.
    """
    words = words_of(preds, labels)
    return 100 * class_f1(words.predicted_heads, words.heads, "macro")


def klue_dp_las_micro_f1(preds: Batches, labels: Batches) -> float:
    """The share of words with the right head and type, as a percentage (KLUE: klue_dp_las_micro_f1); 0 without words.

    Types from 15 on are one class, so that one of them for another is right; `klue_dp_las` tells them apart.
    """
    return 100 * class_f1(*words_of(preds, labels).las_types(), "micro")


def klue_dp_las_macro_f1(preds: Batches, labels: Batches) -> float:
    """The mean F1 of types, as a percentage (KLUE: klue_dp_las_macro_f1); NaN without words.

    Types from 15 on are one class. A word with a wrong head is predicted to be of a class of its own, which has the F1 0 and is
    averaged in as soon as one head is wrong; `klue_dp_las_macro_f1_of_types` leaves it out.
    """
    return 100 * class_f1(*words_of(preds, labels).las_types(), "macro")


def klue_dp_las_macro_f1_of_types(preds: Batches, labels: Batches) -> float:
    """`klue_dp_las_macro_f1` without the class of words with a wrong head."""
    predicted, gold = words_of(preds, labels).las_types()
    types = sorted({*predicted.tolist(), *gold.tolist()} - {WRONG_HEAD})
    return 100 * class_f1(predicted, gold, "macro", classes=types)


def klue_dp_las(preds: Batches, labels: Batches) -> float:
    """The labelled attachment score of the literature, as a percentage: head and type right, no type merged. NaN without words."""
    words = words_of(preds, labels)
    right = words.right_head & (words.predicted_types == words.types)
    return 100 * float(np.mean(right)) if len(right) else float("nan")
