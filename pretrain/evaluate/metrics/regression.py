"""Metrics of one score for each item. Arguments are sequences of floats, computed in float64; None counts as NaN."""

from collections.abc import Sequence

import numpy as np

from pretrain.evaluate.metrics.libraries import library
from pretrain.evaluate.metrics.pairing import check_pairs

SIMILAR = 3.0
"""From this score on (0 to 5) KLUE-STS takes two sentences for paraphrases."""


def klue_sts_pearsonr(preds: Sequence[float], labels: Sequence[float]) -> float:
    """Pearson's correlation, times 100, of raw predictions with `real-label` (KLUE: klue_sts_pearsonr).

    Predictions are neither clipped nor rounded. NaN where either side is constant, shorter than 2 or not finite (the official
    function refuses the last two).
    """
    return 100 * pearson(preds, labels)


def pearson(preds: Sequence[float], labels: Sequence[float]) -> float:
    """Pearson's correlation, -1 to 1; NaN as for `klue_sts_pearsonr`."""
    return _correlation("pearsonr", preds, labels)


def korsts_spearman(preds: Sequence[float], labels: Sequence[float]) -> float:
    """Spearman's correlation, ties at their average rank, -1 to 1 (KoELECTRA: utils.py, pearson_and_spearman).

    NaN where either side is constant, shorter than 2 or has a NaN.
    """
    return _correlation("spearmanr", preds, labels)


def klue_sts_f1(preds: Sequence[float], labels: Sequence[float]) -> float:
    """The F1, as a percentage, of pairs that score at least SIMILAR (KLUE: klue_sts_f1); 0 without any on both sides.

    It compares with `real-label`, unrounded; the data's `binary-label` is not read.
    """
    check_pairs(preds, labels)
    if not len(labels):
        return 0.0
    predicted, gold = (np.asarray(scores, np.float64) >= SIMILAR for scores in (preds, labels))
    return 100 * float(library("sklearn.metrics").f1_score(gold, predicted, zero_division=0.0))


def _correlation(name: str, preds: Sequence[float], labels: Sequence[float]) -> float:
    check_pairs(preds, labels)
    sides = [np.asarray(scores, np.float64) for scores in (preds, labels)]
    if len(labels) < 2 or any(np.isnan(side).any() or (side == side[0]).all() for side in sides):
        return float("nan")
    with np.errstate(invalid="ignore"):  # of infinite scores, whose Pearson correlation is NaN
        return float(getattr(library("scipy.stats"), name)(*sides)[0])
