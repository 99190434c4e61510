"""The learning rate of each step: warmup, then linear, cosine, or flat and 1 - sqrt."""

import numpy as np
import pytest
from tiny_run import changed

from data_pipeline.contract.errors import InputError
from pretrain.optimization.learning_rate import learning_rate
from pretrain.recipe import TrainingRecipe


def test_the_learning_rate_rises_to_the_peak_at_the_end_of_warmup_and_falls_to_zero(tiny: TrainingRecipe) -> None:
    recipe = changed(tiny, max_steps=100, optimizer={"learning_rate": 3e-4, "warmup_steps": 20})
    schedule = learning_rate(recipe)
    rates = [float(schedule(step)) for step in (0, 10, 20, 60, 100)]
    np.testing.assert_allclose(rates, [0.0, 1.5e-4, 3e-4, 1.5e-4, 0.0], atol=1e-10)


def test_without_warmup_the_first_step_has_the_peak(tiny: TrainingRecipe) -> None:
    recipe = changed(tiny, optimizer={"learning_rate": 3e-4, "warmup_steps": 0})
    assert float(learning_rate(recipe)(0)) == pytest.approx(3e-4)


def test_a_warmup_longer_than_the_run_is_refused(tiny: TrainingRecipe) -> None:
    with pytest.raises(InputError, match=r"--training.optimizer.warmup-steps 6: must be below --training.max-steps 6"):
        learning_rate(changed(tiny, optimizer={"warmup_steps": 6}))


def test_a_cosine_falls_from_the_peak_to_its_last_share(tiny: TrainingRecipe) -> None:
    settings = {"learning_rate": 1.0, "warmup_steps": 20, "schedule": "cosine", "final_share": 0.1}
    schedule = learning_rate(changed(tiny, max_steps=100, optimizer=settings))
    rates = [float(schedule(step)) for step in (10, 20, 40, 60, 100)]
    np.testing.assert_allclose(rates, [0.5, 1.0, 0.1 + 0.9 * (1 + np.cos(np.pi / 4)) / 2, 0.55, 0.1], rtol=1e-5)


def test_warmup_stable_decay_stays_at_the_peak_and_falls_by_the_square_root(tiny: TrainingRecipe) -> None:
    settings = {"learning_rate": 2.0, "warmup_steps": 10, "schedule": "warmup_stable_decay", "decay_steps": 16}
    schedule = learning_rate(changed(tiny, max_steps=100, optimizer=settings))
    rates = [float(schedule(step)) for step in (5, 10, 50, 84, 88, 93, 100)]
    np.testing.assert_allclose(rates, [1.0, 2.0, 2.0, 2.0, 1.0, 0.5, 0.0], atol=1e-5)


def test_the_decay_is_a_tenth_of_the_run_unless_said(tiny: TrainingRecipe) -> None:
    settings = {"learning_rate": 1.0, "warmup_steps": 0, "schedule": "warmup_stable_decay"}
    schedule = learning_rate(changed(tiny, max_steps=200, optimizer=settings))
    assert [float(schedule(step)) for step in (0, 180, 185)] == pytest.approx([1.0, 1.0, 0.5])


@pytest.mark.parametrize("decay_steps", [0, 91])
def test_a_decay_that_does_not_fit_is_refused(decay_steps: int, tiny: TrainingRecipe) -> None:
    settings = {"warmup_steps": 10, "schedule": "warmup_stable_decay", "decay_steps": decay_steps}
    with pytest.raises(
        InputError, match=f"--training.optimizer.decay-steps {decay_steps}: must be 1 or more and fit between"
    ):
        learning_rate(changed(tiny, max_steps=100, optimizer=settings))


def test_a_decay_from_the_start_is_that_of_googles_code(tiny: TrainingRecipe) -> None:
    """google-research/bert, optimization.py: polynomial_decay of the global step, replaced while that is below the warmup."""
    settings = {"learning_rate": 1e-4, "warmup_steps": 20, "decay_from": "start"}
    schedule = learning_rate(changed(tiny, max_steps=100, optimizer=settings))
    googles = [1e-4 * step / 20 if step < 20 else 1e-4 * (1 - step / 100) for step in range(101)]
    np.testing.assert_allclose([float(schedule(step)) for step in range(101)], googles, rtol=1e-5, atol=1e-12)
    assert float(schedule(20)) == pytest.approx(0.8e-4)


def test_a_cosine_may_count_from_the_start_as_well(tiny: TrainingRecipe) -> None:
    settings = {"learning_rate": 1.0, "warmup_steps": 20, "schedule": "cosine", "decay_from": "start"}
    schedule = learning_rate(changed(tiny, max_steps=100, optimizer=settings))
    expected = [0.5, (1 + np.cos(np.pi / 4)) / 2, 0.5, 0.0]
    np.testing.assert_allclose([float(schedule(step)) for step in (10, 25, 50, 100)], expected, atol=1e-6)


def test_a_schedule_that_counts_back_from_the_end_has_no_decay_from_the_start(tiny: TrainingRecipe) -> None:
    settings = {"schedule": "warmup_stable_decay", "decay_from": "start"}
    with pytest.raises(
        InputError, match=r"--training.optimizer.decay-from start: goes with the schedules linear and cosine"
    ):
        learning_rate(changed(tiny, optimizer=settings))
