"""Seeds and the paired bootstrap."""

import math
import statistics
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from data_pipeline.contract.errors import InputError
from pretrain.evaluate.leaderboard.statistics import Comparison, Counted, compare_counted, summarize


def outcomes(random: np.random.Generator, rate: float, hardness: NDArray[np.float64]) -> NDArray[np.float64]:
    """Two seeds of a model that answers an item rightly at `rate` times its ease."""
    return (random.random((2, len(hardness))) < rate * (1 - 0.4 * hardness)).astype(np.float64)


def means_of(values: NDArray[np.float64]) -> list[Counted]:
    """The mean of the items that are drawn, of each seed."""
    return [lambda times, each=each: times @ each / times.sum(axis=1) for each in values]


def compared(first: NDArray[np.float64], second: NDArray[np.float64], **options: Any) -> Comparison:
    return compare_counted(means_of(first), means_of(second), first.shape[1], **options)


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
        found = compared(better, worse, draws=500, seed=trial)
        held += found.low <= 0.1 * 0.8 <= found.high
        ties += compared(worse, equal, draws=500, seed=trial).verdict == "tie"
    # 95 % +- three deviations of a binomial of 400.
    assert 0.917 <= held / trials <= 0.983
    assert 0.917 <= ties / trials <= 0.983


def test_equal_predictions_are_a_tie_without_width() -> None:
    same = outcomes(np.random.default_rng(1), 0.8, np.zeros(50))
    assert compared(same, same[::-1]) == Comparison(0.0, 0.0, 0.0, "tie")


def test_a_model_is_ahead_where_the_interval_excludes_0_and_swapped_models_give_the_mirrored_result() -> None:
    random = np.random.default_rng(2)
    hardness = random.random(300)
    for rate, verdicts in ((0.95, ("ahead", "behind")), (0.81, ("tie", "tie"))):
        models = [outcomes(random, each, hardness) for each in (rate, 0.8)]
        found, mirrored = compared(*models), compared(*models[::-1])
        assert (found.verdict, mirrored.verdict) == verdicts
        assert (found.verdict == "tie") == (found.low <= 0 <= found.high)
        assert mirrored == Comparison(-found.difference, -found.high, -found.low, mirrored.verdict)


def test_the_seed_decides_the_draws() -> None:
    models = [outcomes(np.random.default_rng(seed), 0.8, np.zeros(120)) for seed in (3, 4)]
    found = compared(*models, draws=300, seed=5)
    assert found == compared(*models, draws=300, seed=5)
    assert found != compared(*models, draws=300, seed=6)


def test_a_large_test_set_is_drawn_in_parts_as_if_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    models = [outcomes(np.random.default_rng(seed), 0.8, np.zeros(100)) for seed in (4, 5)]
    whole = compared(*models, draws=50)
    monkeypatch.setattr("pretrain.evaluate.leaderboard.statistics.CELLS", 700)
    assert compared(*models, draws=50) == whole


def test_a_metric_that_is_often_undefined_decides_nothing() -> None:
    def undefined_without_the_first(value: float) -> Counted:
        return lambda times: np.where(times[:, 0] > 0, value, math.nan)

    found = compare_counted(*([undefined_without_the_first(value)] for value in (9.0, 1.0)), 4, draws=200)
    assert (found.difference, found.low, found.high, found.verdict) == (8.0, -math.inf, math.inf, "tie")


def test_without_seeds_or_items_nothing_is_compared() -> None:
    for first, second in ((np.ones((2, 0)),) * 2, (np.ones((0, 3)), np.ones((2, 3)))):
        with pytest.raises(InputError, match="at least one seed and item"):
            compared(first, second)
