"""AUC, precision and recall from sums: those of all tokens together, however they were divided over batches."""

import jax
import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from pretrain.objectives.replaced_token.losses import BINS, LARGEST_SCORE, detection, replaced_token_sums

sums_of = jax.jit(replaced_token_sums)


def area_under_curve(replaced: np.ndarray, scores: np.ndarray) -> float:
    """The exact AUC, which scikit-learn calls roc_auc_score: the Mann-Whitney statistic over the number of pairs."""
    wins = mannwhitneyu(scores[replaced], scores[~replaced]).statistic
    return float(wins / (replaced.sum() * (~replaced).sum()))


@pytest.mark.parametrize("separation", [0.1, 1.0, 3.0])
def test_detection_is_that_of_all_tokens_together(separation: float) -> None:
    random = np.random.default_rng(0)
    replaced = random.random((40, 128)) < 0.1
    scores = (random.standard_normal(replaced.shape) * 1.5 - 3 + separation * replaced).astype(np.float32)
    weights = (random.random(replaced.shape) < 0.8).astype(np.float32)
    parts = [sums_of(*(array[rows] for array in (scores, replaced, weights))) for rows in (slice(0, 9), slice(9, 40))]
    sums = jax.tree.map(lambda *each: sum(each), *parts)
    found = {name: float(value) for name, value in detection(sums).items()}
    real = weights > 0
    labels, told = replaced[real], scores[real]
    assert found["auc"] == pytest.approx(area_under_curve(labels, told), abs=1e-3)
    assert found["precision"] == pytest.approx(labels[told > 0].mean() if (told > 0).any() else 0)
    assert found["recall"] == pytest.approx((told > 0)[labels].mean())
    assert sums["correct_sum"] / sums["weight_sum"] == pytest.approx((labels == (told > 0)).mean())
    losses = np.logaddexp(0, np.where(labels, -told, told).astype(np.float64))
    assert sums["loss_sum"] / sums["weight_sum"] == pytest.approx(losses.mean(), rel=1e-5)


def test_the_auc_is_off_by_at_most_half_the_pairs_that_share_a_bin() -> None:
    random = np.random.default_rng(0)
    for spread in (0.01, 0.1, 30.0):  # an untrained discriminator, and one that is too sure
        replaced = random.random(5000) < 0.15
        scores = (spread * (random.standard_normal(5000) + 0.5 * replaced) - 2).astype(np.float32)
        sums = sums_of(scores, replaced, np.ones(5000, np.float32))
        shared = float(
            (sums["originals"] * sums["replacements"]).sum() / sums["originals"].sum() / sums["replacements"].sum()
        )
        assert abs(detection(sums)["auc"] - area_under_curve(replaced, scores)) <= shared / 2 + 1e-6


def test_every_score_has_a_bin_and_zero_is_no_suspicion() -> None:
    scores = np.array([-1e30, -LARGEST_SCORE, -1e-6, 0.0, 1e-6, LARGEST_SCORE, 1e30], np.float32)
    sums = sums_of(scores, np.zeros(7, bool), np.ones(7, np.float32))
    assert sums["originals"].shape == (BINS,)
    assert sums["originals"].sum() == 7
    assert sums["originals"][BINS // 2 :].sum() == 3
    assert {name: float(value) for name, value in detection(sums).items()} == {"auc": 0.5, "precision": 0, "recall": 0}


def test_an_extreme_score_keeps_loss_and_gradient_finite() -> None:
    scores, replaced = np.array([-1e4, 1e4], np.float32), np.array([True, False])
    loss, gradient = jax.value_and_grad(lambda scores: sums_of(scores, replaced, np.ones(2, np.float32))["loss_sum"])(
        scores
    )
    assert loss == pytest.approx(2e4)
    np.testing.assert_allclose(gradient, [-1.0, 1.0])
