"""What scores of several seeds say together, and whether one model is ahead of another.

The paired bootstrap resamples the test items with replacement and scores both models on the same draw: B. Efron and R. Tibshirani,
An Introduction to the Bootstrap (1993), chapter 13; P. Koehn, Statistical Significance Tests for Machine Translation Evaluation
(EMNLP 2004). Its interval is about other items, with the models as they were trained: `summarize` says how seeds differ.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from data_pipeline.contract.errors import InputError

Verdict = Literal["ahead", "behind", "tie"]
Counted = Callable[[NDArray[np.float64]], NDArray[np.float64]]
DRAWS = 2_000
CONFIDENCE = 0.95
ROUNDING = 1e-9
"""A bound that is nearer to 0 is 0: averages over seeds round differently."""
CELLS = 1 << 22
"""Indices drawn at once: 32 MB."""


@dataclass(frozen=True)
class SeedScores:
    """Scores of one model by seed: mean, sample deviation (over n - 1; None for a single seed), and each."""

    mean: float
    deviation: float | None
    scores: tuple[float, ...]


@dataclass(frozen=True)
class Comparison:
    """How far the first of two models is ahead.

    - `difference`: its score minus the other's, in the metric's unit, each the mean over its seeds.
    - `low`, `high`: the interval of the difference, infinite where the metric is too often undefined on a draw.
    - `verdict`: "ahead" or "behind" where the interval excludes 0, else "tie".
    """

    difference: float
    low: float
    high: float
    verdict: Verdict


def summarize(scores: Sequence[float]) -> SeedScores:
    """Mean and sample deviation of one score for each seed."""
    if not len(scores):
        raise InputError("there is no score to summarise; give one for each seed")
    deviation = float(np.std(scores, ddof=1)) if len(scores) > 1 else None
    return SeedScores(float(np.mean(scores)), deviation, tuple(map(float, scores)))


def compare_counted(
    first: Sequence[Counted],
    second: Sequence[Counted],
    items: int,
    *,
    draws: int = DRAWS,
    seed: int = 0,
    confidence: float = CONFIDENCE,
) -> Comparison:
    """The paired bootstrap of a metric that is computed for many draws at once.

    - `first`, `second`: of each seed of the two models, how often each item was drawn, float64[some, items], to its scores, float[some].
      The numbers of seeds may differ.

    A draw on which the metric is NaN counts as one that could have gone either way, at both ends of the interval. Raises InputError
    where there are no seeds or items.
    """
    if not first or not second or not items:
        raise InputError("both models need the outcomes of at least one seed and item")

    def difference(times: NDArray[np.float64]) -> NDArray[np.float64]:
        one, other = (np.mean([score(times) for score in side], axis=0) for side in (first, second))
        return np.asarray(one - other)

    found = [
        difference(np.stack([np.bincount(drawn, minlength=items) for drawn in chunk]).astype(np.float64))
        for chunk in _draws(items, draws, seed)
    ]
    return _comparison(float(difference(np.ones((1, items)))[0]), np.concatenate(found), confidence)


def _draws(items: int, draws: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """int64[some, items], `draws` rows in all: the items of each draw."""
    random = np.random.default_rng(seed)
    rows = max(1, CELLS // items)
    for start in range(0, draws, rows):
        yield random.integers(items, size=(min(rows, draws - start), items))


def _comparison(difference: float, found: NDArray[np.float64], confidence: float) -> Comparison:
    cut = int((1 - confidence) / 2 * len(found))
    # Draws themselves, nothing between them: with the models swapped the interval is exactly mirrored.
    low = float(np.sort(np.where(np.isnan(found), -np.inf, found))[cut])
    high = float(np.sort(np.where(np.isnan(found), np.inf, found))[-1 - cut])
    verdict: Verdict = "ahead" if low > ROUNDING else "behind" if high < -ROUNDING else "tie"
    return Comparison(difference, low, high, verdict)
