"""What each item adds to an F1, so that a bootstrap can sum counts instead of scoring every draw (`pretrain.evaluate.leaderboard.outcomes`).

Counts are float64[items, classes, 3]: right, predicted, gold. Their sums give the same F1 as the official functions.
"""

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from pretrain.evaluate.metrics.classes import Labels
from pretrain.evaluate.metrics.pairing import check_pairs

Counts = NDArray[np.float64]


def class_counts(preds: Labels, labels: Labels, classes: Sequence[Hashable]) -> Counts:
    """The counts of items of one class each; an item of none of `classes` counts nowhere."""
    check_pairs(preds, labels)
    predicted, gold = (np.asarray(side)[:, None] == np.asarray(classes)[None, :] for side in (preds, labels))
    return np.stack([predicted & gold, predicted, gold], axis=-1).astype(np.float64)


def span_counts(preds: Sequence[Sequence[str]], labels: Sequence[Sequence[str]], types: Sequence[str]) -> Counts:
    """The counts of sentences of tags ("B-PS"), by type of span in strict IOB2."""
    check_pairs(preds, labels, "sentences")
    sides = [[spans(tags) for tags in side] for side in (preds, labels)]
    found = [(predicted & gold, predicted, gold) for predicted, gold in zip(*sides, strict=True)]
    counts = [
        [[sum(kind == span[0] for span in each) for each in three] for kind in types] for three in found
    ]  # fmt: skip
    return np.asarray(counts, np.float64).reshape(len(labels), len(types), 3)


def spans(tags: Sequence[str]) -> set[tuple[str, int, int]]:
    """Type, start and end of each span in strict IOB2: B-X and what follows of I-X."""
    found = set()
    for start, tag in enumerate(tags):
        if tag.startswith("B-"):
            end = start + 1
            while end < len(tags) and tags[end] == f"I-{tag[2:]}":
                end += 1
            found.add((tag[2:], start, end))
    return found


def macro_f1_of(sums: Counts) -> Counts:
    """float64[...]: the mean F1, a fraction, of the classes that occur; of float64[..., classes, 3]. NaN where none does."""
    both = sums[..., 1] + sums[..., 2]
    scores = np.divide(2 * sums[..., 0], both, out=np.zeros_like(both), where=both > 0)
    present = (both > 0).sum(axis=-1)
    return np.divide(scores.sum(axis=-1), present, out=np.full(present.shape, np.nan), where=present > 0)


def micro_f1_of(sums: Counts) -> Counts:
    """float64[...]: the pooled F1, a fraction; of float64[..., classes, 3]. 0 where no class occurs."""
    right, predicted, gold = np.moveaxis(sums.sum(axis=-2), -1, 0)
    both = predicted + gold
    return np.divide(2 * right, both, out=np.zeros_like(both), where=both > 0)
