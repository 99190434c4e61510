"""What scores of several seeds say together, and whether one model is ahead of another.

The paired bootstrap draws the test items anew, with replacement, and scores both models on the same draw: B. Efron and R. Tibshirani,
An Introduction to the Bootstrap (1993), chapter 13; P. Koehn, Statistical Significance Tests for Machine Translation Evaluation
(EMNLP 2004). Its interval is about other items, with the models as they were trained: `summarize` says how seeds differ.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

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


def compare_means(
    first: ArrayLike, second: ArrayLike, *, draws: int = DRAWS, seed: int = 0, confidence: float = CONFIDENCE
) -> Comparison:
    """The paired bootstrap of a metric that is the mean of its items' outcomes: accuracy, exact match, joint goal accuracy.

    - `first`, `second`: float[seeds, items] each, the outcomes of the two models on the same items in the same order; the numbers
      of seeds may differ.
    """
    # The mean of means over seeds is the mean of the items' own means.
    sides = [side.mean(axis=0, keepdims=True) for side in _sides(first, second)]
    items = sides[0].shape[1]
    return compare_sums(lambda sums: sums / items, *sides, draws=draws, seed=seed, confidence=confidence)


def compare_sums(
    metric: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    first: ArrayLike,
    second: ArrayLike,
    *,
    draws: int = DRAWS,
    seed: int = 0,
    confidence: float = CONFIDENCE,
) -> Comparison:
    """The paired bootstrap of a metric of counts that are summed over the items, as every F1 is (`metrics/counts.py`).

    - `metric`: the sums of some draws, float[some, ...], to their scores, float[some].
    - `first`, `second`: float[seeds, items, ...] each, what every item adds to the sums.
    """
    sides = _sides(first, second)
    items = _items(sides[0][0], sides[1][0])
    one, other = ([lambda times, each=each: metric(np.tensordot(times, each, 1)) for each in side] for side in sides)
    return compare_counted(one, other, items, draws=draws, seed=seed, confidence=confidence)


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
    """

    def difference(times: NDArray[np.float64]) -> NDArray[np.float64]:
        one, other = (np.mean([score(times) for score in side], axis=0) for side in (first, second))
        return np.asarray(one - other)

    found = [
        difference(np.stack([np.bincount(drawn, minlength=items) for drawn in chunk]).astype(np.float64))
        for chunk in _draws(items, draws, seed)
    ]
    return _comparison(float(difference(np.ones((1, items)))[0]), np.concatenate(found), confidence)


def compare_scores(
    metric: Callable[[Any, Any], float],
    first: Sequence[Sequence[Any]],
    second: Sequence[Sequence[Any]],
    gold: Sequence[Any],
    *,
    draws: int = DRAWS,
    seed: int = 0,
    confidence: float = CONFIDENCE,
) -> Comparison:
    """The paired bootstrap of any metric of predictions and gold answers: slow, on the same draws as the two above.

    - `metric`: called with the predictions and the gold answers of the items drawn, lists or arrays as they are given here; an
      item is what is drawn as a whole: for tags a sentence.
    - `first`, `second`: the predictions of the two models, those of each seed in the order of `gold`.

    A draw on which the metric is NaN counts as one that could have gone either way, at both ends of the interval.
    """
    if not len(first) or not len(second):
        raise InputError("both models need the predictions of at least one seed")
    items = _items(*first, *second, gold)

    def difference(drawn: NDArray[np.int64]) -> float:
        labels = _take(gold, drawn)
        one, other = (np.mean([metric(_take(each, drawn), labels) for each in side]) for side in (first, second))
        return float(one - other)

    found = [difference(drawn) for chunk in _draws(items, draws, seed) for drawn in chunk]
    return _comparison(difference(np.arange(items)), np.asarray(found), confidence)


def _sides(first: ArrayLike, second: ArrayLike) -> list[NDArray[np.float64]]:
    sides = [np.asarray(side, np.float64) for side in (first, second)]
    if any(side.ndim < 2 or not len(side) for side in sides):
        shapes = " and ".join(str(list(side.shape)) for side in sides)
        raise InputError(f"each model needs float[seeds, items] of at least one seed; found the shapes {shapes}")
    return sides


def _items(*sides: Sequence[Any] | NDArray[Any]) -> int:
    """The length of all sides."""
    counts = {len(side) for side in sides}
    if len(counts) != 1:
        raise InputError(
            f"only models on the same items are compared; found {' and '.join(map(str, sorted(counts)))} items"
        )
    if counts == {0}:
        raise InputError("there are no items to compare models on")
    return counts.pop()


def _draws(items: int, draws: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """int64[some, items], `draws` rows in all: the items of each draw."""
    random = np.random.default_rng(seed)
    rows = max(1, CELLS // items)
    for start in range(0, draws, rows):
        yield random.integers(items, size=(min(rows, draws - start), items))


def _take(values: Sequence[Any], drawn: NDArray[np.int64]) -> Sequence[Any]:
    return values[drawn] if isinstance(values, np.ndarray) else [values[item] for item in drawn]


def _comparison(difference: float, found: NDArray[np.float64], confidence: float) -> Comparison:
    cut = int((1 - confidence) / 2 * len(found))
    # Draws themselves, nothing between them: with the models swapped the interval is exactly mirrored.
    low = float(np.sort(np.where(np.isnan(found), -np.inf, found))[cut])
    high = float(np.sort(np.where(np.isnan(found), np.inf, found))[-1 - cut])
    verdict: Verdict = "ahead" if low > ROUNDING else "behind" if high < -ROUNDING else "tie"
    return Comparison(difference, low, high, verdict)
