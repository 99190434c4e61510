import json
import math
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import pytest
from tiny_run import TINY

from data_pipeline.contract.records import read_header
from pretrain.job import objective_of
from pretrain.monitoring.steps.rejected import Rejected
from pretrain.monitoring.steps.window import Window
from pretrain.objectives.protocols import Objective
from pretrain.optimization.step import Metrics


@pytest.fixture(scope="module")
def objective(pairs_folder: Path) -> Objective:
    return objective_of(TINY, read_header(pairs_folder))


def step(loss_sum: float, predictions: float, grad_norm: float = 1.0, rejected: float = 0.0) -> Metrics:
    """What a step says, as it lies on the devices."""
    masked = {"loss_sum": loss_sum, "correct_sum": 1.0, "weight_sum": predictions, "histogram": [predictions, 0.25]}
    values: dict[str, Any] = {
        "sums": {"masked_lm": masked, "next_sentence": {"loss_sum": 2.0, "correct_sum": 1.0, "weight_sum": 4.0}},
        "loss": loss_sum / predictions,
        "grad_norm": grad_norm,
        "real_tokens": 10.0,
        "attended_pairs": 50.0,
        "parameter_norm": {"body": grad_norm + 5},
        "update_norm": {"body": grad_norm / 2},
        "rejected": rejected,
    }
    return {
        name: {a: {b: jnp.asarray(c, jnp.float32) for b, c in below.items()} for a, below in value.items()}
        if name == "sums"
        else {a: jnp.float32(b) for a, b in value.items()}
        if isinstance(value, dict)
        else jnp.float32(value)
        for name, value in values.items()
    }


LOST = {**step(math.inf, 1, math.nan, rejected=1), "parameter_norm": {"body": jnp.float32(9)}}


def logged(window: Window, objective: Objective) -> dict[str, float]:
    window.settle()
    return window.totals.metrics(objective)


def test_losses_are_sums_over_sums_and_norms_are_means_of_the_steps(objective: Objective) -> None:
    window = Window(0, clip_norm=2.0)
    window.add(step(30.0, 10, grad_norm=1.0))
    window.settle()
    window.add(step(2.0, 2, grad_norm=3.0))
    found = logged(window, objective)
    assert found["masked_lm_loss"] == pytest.approx(32 / 12)
    assert found["loss"] == pytest.approx(32 / 12 + 4 / 8)
    assert found["masked_accuracy"] == pytest.approx(2 / 12)
    assert found["next_sentence_accuracy"] == pytest.approx(2 / 8)
    assert (found["grad_norm"], found["grad_norm_max"], found["clipped"]) == (2.0, 3.0, 0.5)
    assert (found["parameter_norm/body"], found["update_norm/body"]) == (8.0, 1.0)
    assert (found["predictions"], found["real_tokens"], found["rejected"]) == (12, 20, 0)
    assert (window.tokens, window.step) == (20.0, 2)
    assert window.totals.sums["masked_lm"]["histogram"] == [12.0, 0.5]


def test_rejected_steps_are_named_and_left_out_of_all_means_but_their_tokens_count(objective: Objective) -> None:
    with_lost, without = Window(40, 2.0), Window(40, 2.0)
    for each in (LOST, step(3.0, 3), LOST, step(4.0, 2, 4.0), LOST):
        with_lost.add(each)
    for each in (step(3.0, 3), step(4.0, 2, 4.0)):
        without.add(each)
    found, expected = logged(with_lost, objective), logged(without, objective)
    assert {name for name in expected if found[name] != expected[name]} == {"rejected", "real_tokens", "attended_pairs"}
    assert (found["rejected"], found["real_tokens"]) == (3, 50)
    assert [each.step for each in with_lost.rejected] == [41, 43, 45]
    with_lost.settle()
    assert with_lost.rejected == []


def test_a_window_of_rejected_steps_alone_has_every_name_and_no_mean(objective: Objective) -> None:
    window, other = Window(40), Window(40)
    window.add(LOST)
    other.add(step(1.0, 1))
    found = logged(window, objective)
    assert found.keys() == logged(other, objective).keys()
    assert not any(math.isfinite(found[name]) for name in ("loss", "masked_accuracy", "grad_norm", "grad_norm_max"))
    assert repr(window.rejected) == repr([Rejected(41, math.inf, math.nan)])


@pytest.mark.parametrize("cut", range(5))
def test_a_window_that_goes_through_a_checkpoint_tells_what_it_tells_without(objective: Objective, cut: int) -> None:
    steps = [LOST, step(0.1, 3, 0.3), step(0.7, 7, 0.9), LOST]
    whole, before = Window(0, 0.5), Window(0, 0.5)
    for each in steps:
        whole.add(each)
    for each in steps[:cut]:
        before.add(each)
    before.settle()
    after = Window(cut, 0.5, json.loads(json.dumps(before.state, allow_nan=False)))
    for each in steps[cut:]:
        after.add(each)
    if cut < len(steps):
        assert logged(after, objective) == pytest.approx(logged(whole, objective), rel=0, abs=0, nan_ok=True)
        assert after.totals.sums == whole.totals.sums
    assert after.tokens == 10 * (len(steps) - cut), "speed is that of this start"
