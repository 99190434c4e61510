"""Seeds and the paired bootstrap."""

import math
import statistics

import numpy as np
import pytest
from numpy.typing import NDArray

from data_pipeline.contract.errors import InputError
from pretrain.evaluate.metrics.counts import class_counts, micro_f1_of
from pretrain.evaluate.statistics import Comparison, compare_means, compare_scores, compare_sums, summarize


def outcomes(random: np.random.Generator, rate: float, hardness: NDArray[np.float64]) -> NDArray[np.float64]:
    """Two seeds of a model that answers an item rightly at `rate` times its ease."""
    return (random.random((2, len(hardness))) < rate * (1 - 0.4 * hardness)).astype(np.float64)


def test_seeds_are_summarised_by_mean_and_sample_deviation() -> None:
    found = summarize([90.0, 91.0, 93.5])
    assert found.mean == pytest.approx(91.5)
    assert found.deviation == pytest.approx(statistics.stdev([90.0, 91.0, 93.5]))
    assert found.scores == (90.0, 91.0, 93.5)
    assert summarize([90.0]).deviation is None
    with pytest.raises(InputError, match="no score"):
        summarize([])


def test_the_interval_holds_the_true_difference_19_times_of_20() -> None:
    random, trials = np.random.default_rng(0), 400
    held = ties = 0
    for trial in range(trials):
        hardness = random.random(200)
        better, worse, equal = (outcomes(random, rate, hardness) for rate in (0.9, 0.8, 0.8))
        found = compare_means(better, worse, draws=500, seed=trial)
        held += found.low <= 0.1 * 0.8 <= found.high
        ties += compare_means(worse, equal, draws=500, seed=trial).verdict == "tie"
    # 95 % +- three deviations of a binomial of 400.
    assert 0.917 <= held / trials <= 0.983
    assert 0.917 <= ties / trials <= 0.983


def test_equal_predictions_are_a_tie_without_width() -> None:
    same = outcomes(np.random.default_rng(1), 0.8, np.zeros(50))
    assert compare_means(same, same[::-1]) == Comparison(0.0, 0.0, 0.0, "tie")


def test_swapped_models_give_the_mirrored_result() -> None:
    random = np.random.default_rng(2)
    hardness = random.random(300)
    for rate, verdicts in ((0.95, ("ahead", "behind")), (0.81, ("tie", "tie"))):
        models = [outcomes(random, each, hardness) for each in (rate, 0.8)]
        found, mirrored = compare_means(*models), compare_means(*models[::-1])
        assert (found.verdict, mirrored.verdict) == verdicts
        assert mirrored == Comparison(-found.difference, -found.high, -found.low, mirrored.verdict)


def test_means_sums_and_any_metric_draw_the_same_items() -> None:
    random = np.random.default_rng(3)
    gold = random.integers(3, size=120)
    first, second = (np.where(random.random((seeds, 120)) < 0.7, gold, 0) for seeds in (2, 3))

    def accuracy(predictions: NDArray[np.int64], labels: NDArray[np.int64]) -> float:
        return float((predictions == labels).mean())

    generic = compare_scores(accuracy, first, second, gold, draws=300, seed=5)
    vectorised = compare_means(first == gold, second == gold, draws=300, seed=5)
    assert generic.verdict == vectorised.verdict
    assert (generic.difference, generic.low, generic.high) == pytest.approx(
        (vectorised.difference, vectorised.low, vectorised.high)
    )
    summed = compare_sums(
        micro_f1_of,
        *([class_counts(each, gold, range(3)) for each in side] for side in (first, second)),
        draws=300,
        seed=5,
    )
    assert (summed.difference, summed.low, summed.high) == pytest.approx(
        (vectorised.difference, vectorised.low, vectorised.high)
    )
    assert vectorised == compare_means(first == gold, second == gold, draws=300, seed=5)
    assert vectorised != compare_means(first == gold, second == gold, draws=300, seed=6)


def test_a_large_test_set_is_drawn_in_parts_as_if_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    models = [outcomes(np.random.default_rng(seed), 0.8, np.zeros(100)) for seed in (4, 5)]
    whole = compare_means(*models, draws=50)
    monkeypatch.setattr("pretrain.evaluate.statistics.CELLS", 700)
    assert compare_means(*models, draws=50) == whole


def test_a_metric_that_is_often_undefined_decides_nothing() -> None:
    gold = [[1], [2], [3], [4]]

    def undefined_without_the_first(predictions: list[list[int]], labels: list[list[int]]) -> float:
        return float(np.mean(predictions)) if [1] in labels else math.nan

    found = compare_scores(undefined_without_the_first, [[[9]] * 4], [[[1]] * 4], gold, draws=200)
    assert (found.difference, found.low, found.high, found.verdict) == (8.0, -math.inf, math.inf, "tie")


def test_models_on_different_items_are_not_compared() -> None:
    with pytest.raises(InputError, match="found 3 and 4 items"):
        compare_means(np.ones((2, 3)), np.ones((2, 4)))
    with pytest.raises(InputError, match=r"found the shapes \[3\] and \[3\]"):
        compare_means(np.ones(3), np.ones(3))
    with pytest.raises(InputError, match="no items"):
        compare_scores(lambda *_: 0.0, [[]], [[]], [])
