import numpy as np
import pytest

from benchmarks.context_free import baselines, next_token_baseline
from pretrain.objectives.corruption.recipe import Masking

TOKENS, MASK = 6, 0


def test_the_best_without_context_is_what_counting_finds() -> None:
    """Hides many tokens as masking does, and counts what each seen token stood for."""
    random = np.random.default_rng(0)
    frequency = np.array([0, 0.5, 0.3, 0.15, 0.04, 0.01])
    labels = random.choice(TOKENS, 400_000, p=frequency)
    action = random.random(len(labels))
    stands = np.where(action < 0.8, MASK, np.where(action < 0.9, random.integers(1, TOKENS, len(labels)), labels))
    counted = np.zeros((TOKENS, TOKENS))
    np.add.at(counted, (stands, labels), 1)
    shares = counted / counted.sum(1, keepdims=True)

    found = baselines(labels, stands, frequency, Masking(), MASK)
    assert found.predictions == len(labels)
    assert found.unigram_loss == pytest.approx(-(frequency[1:] * np.log(frequency[1:])).sum(), abs=0.01)
    assert found.unigram_accuracy == pytest.approx(0.5, abs=0.01)
    assert found.loss == pytest.approx(-np.log(shares[stands, labels]).mean(), abs=0.001)
    assert found.accuracy == pytest.approx((shares.argmax(1)[stands] == labels).mean(), abs=0.001)


def test_the_next_token_without_context_has_the_entropy_of_the_frequencies() -> None:
    frequency = np.array([0, 0.5, 0.3, 0.15, 0.04, 0.01])
    labels = np.random.default_rng(0).choice(TOKENS, 100_000, p=frequency)
    found = next_token_baseline(labels, frequency)
    assert found.loss == found.unigram_loss == pytest.approx(-(frequency[1:] * np.log(frequency[1:])).sum(), abs=0.01)
    assert found.accuracy == pytest.approx(0.5, abs=0.01)
    assert found.predictions == len(labels)
