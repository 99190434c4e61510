import dataclasses
import math

import numpy as np
import pytest

from pretrain.evaluate.probes.fitting import baseline_score, probe_score, row_features
from pretrain.evaluate.probes.texts import ProbeRows
from pretrain.evaluate.tasks.korean import HATE_SPEECH, KORSTS, NSMC
from pretrain.evaluate.tasks.task import Task


def rows_of(task: Task, labels: np.ndarray, fitted: int) -> ProbeRows:
    return ProbeRows(task, [""] * len(labels), labels, fitted, "")


def test_a_probe_reads_off_what_is_linear_in_the_features_and_nothing_off_noise() -> None:
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, 600)
    noise = random.normal(size=(600, 16)).astype(np.float32)
    told = noise.copy()
    told[:, 3] = 5 * labels - 100  # whatever its mean
    told[:, 4] = 7  # tells nothing
    rows = rows_of(NSMC, labels, 400)
    assert probe_score(told, rows) == 1.0
    assert probe_score(noise, rows) == pytest.approx(0.5, abs=0.1)
    assert probe_score(told, rows) == probe_score(told.copy(), rows)


def test_scores_are_correlated_and_pairs_compared_text_by_text() -> None:
    random = np.random.default_rng(0)
    of_texts = random.normal(size=(800, 4)).astype(np.float32)
    features = row_features(of_texts, KORSTS)
    assert features.shape == (400, 16)
    u, v = of_texts[0::2], of_texts[1::2]
    np.testing.assert_array_equal(features[7], [*u[7], *v[7], *np.abs(u[7] - v[7]), *(u[7] * v[7])])
    rows = rows_of(KORSTS, (u * v).sum(axis=1).astype(np.float64), 300)
    assert probe_score(features, rows) > 0.9
    assert math.isnan(baseline_score(rows)), "a constant has no rank correlation"
    assert row_features(of_texts, NSMC) is of_texts


def test_the_baseline_says_the_commonest_class_of_the_rows_that_are_fitted_to() -> None:
    labels = np.array([2, 2, 2, 0, 1, 0, 0, 2, 1])
    rows = rows_of(HATE_SPEECH, labels, 5)
    assert baseline_score(rows) == pytest.approx((2 * 1 / 5) / 3), "F1 of `hate` 2/5, of the two others 0"
    assert baseline_score(dataclasses.replace(rows, task=NSMC)) == 0.25


def test_a_feature_that_is_not_finite_is_no_score() -> None:
    rows = rows_of(NSMC, np.array([0, 1, 0, 1]), 2)
    assert math.isnan(probe_score(np.array([[0.0], [math.inf], [1.0], [1.0]]), rows))
