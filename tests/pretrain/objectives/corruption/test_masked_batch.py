"""The rate that a step has, the one that held-out rows have, and masks that come back."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_run import TINY, changed

from data_pipeline.contract.records import Records, RecordsHeader
from pretrain.devices.sharding import batch_sharding, make_mesh
from pretrain.input.batches import Batch, TrainingBatches
from pretrain.job import objective_of
from pretrain.objectives.corruption.masking import RATE_UNIT, rate_at, token_budgets
from pretrain.objectives.corruption.recipe import SPANBERT_SPANS, WORDS
from pretrain.objectives.protocols import Objective
from pretrain.recipe import Mesh

FALLING = {"rate": 0.5, "final_rate": 0.1}
STEPS = range(100, 141)


@pytest.fixture(scope="module")
def batch(records_folder: Path) -> Batch:
    records, rows = Records(records_folder, "train"), batch_sharding(make_mesh(Mesh(1, 1, 1), jax.devices()[:1]))
    return TrainingBatches(records, seed=0, global_batch_size=50, accumulation=1, sharding=rows)(0)


@pytest.fixture(scope="module")
def header(records_folder: Path) -> RecordsHeader:
    return Records(records_folder, "train").header


def objective(header: RecordsHeader, steps: range = STEPS, **masking: Any) -> Objective:
    return objective_of(changed(TINY, objective={"masking": masking}), header, steps)


@pytest.mark.parametrize("steps", [range(1), range(5, 7), range(1000), range(100, 1_000_100), range(2**31 - 1)])
@pytest.mark.parametrize(("first", "last"), [(0.3, 0.05), (0.05, 0.3), (0.15, 0.15), (1.0, 1e-9)])
def test_the_rate_is_linear_from_the_first_step_to_the_last(steps: range, first: float, last: float) -> None:
    middle = steps.start + len(steps) // 2
    at = np.array([0, steps.start, middle, steps.stop - 1, 2**31 - 1], np.int32)
    found = np.asarray(jax.jit(jax.vmap(lambda step: rate_at(step, steps, first, last)))(at))
    assert found.dtype == np.int32
    expected = Fraction(first) + (Fraction(last) - Fraction(first)) * Fraction(
        middle - steps.start, max(1, len(steps) - 1)
    )
    begin, end = round(first * RATE_UNIT), round(last * RATE_UNIT)
    assert found[[0, 1]].tolist() == [begin] * 2
    assert found[[3, 4]].tolist() == [end if len(steps) > 1 else begin] * 2
    assert abs(found[2] / RATE_UNIT - float(expected)) < 0.0011  # one of up to 1,024 rates


def test_budgets_of_a_changing_rate_are_those_of_the_rate() -> None:
    for rate in (0.05, 0.15, 0.3, 1.0):
        table = token_budgets(512, rate, 400)
        by_step = token_budgets(512, rate_at(jnp.int32(3), range(10), rate, rate), 400)
        assert np.abs(np.asarray(by_step) - table).max() <= 1  # where rate x tokens is within 1 / RATE_UNIT of a half
        assert (np.asarray(by_step) == table).mean() > 0.9
        assert by_step[0] == table[0] == 0


def share(prepared: dict[str, jax.Array]) -> float:
    """Of the tokens that may be hidden: four of a row are [CLS] and [SEP]."""
    return float(prepared["weights"].sum() / (prepared["real_tokens"].sum() - 4 * prepared["real_tokens"].size))


def test_the_rate_falls_over_the_steps_and_held_out_rows_keep_theirs(batch: Batch, header: RecordsHeader) -> None:
    falling = objective(header, **FALLING)
    prepare = jax.jit(falling.prepare)
    shares = [share(prepare(batch, step)) for step in (0, 100, 110, 120, 130, 140, 200)]
    np.testing.assert_allclose(shares, [0.5, 0.5, 0.4, 0.3, 0.2, 0.1, 0.1], atol=0.02)
    assert share(prepare(batch, None)) == pytest.approx(0.1, abs=0.02)
    assert prepare(batch, 100)["labels"].shape[-1] == 16
    assert prepare(batch, None)["labels"].shape[-1] == 4
    others = objective(header, **FALLING, evaluation_rate=0.25)
    assert share(jax.jit(others.prepare)(batch, None)) == pytest.approx(0.25, abs=0.02)


def test_flops_count_the_slots_of_the_larger_rate(header: RecordsHeader) -> None:
    rising = objective(header, rate=0.1, final_rate=0.5)
    assert objective(header, **FALLING).flops_per_row() == rising.flops_per_row()
    assert rising.flops_per_row() == objective(header, rate=0.5).flops_per_row() > objective(header).flops_per_row()


def test_masks_depend_on_the_rate_of_the_step_alone(batch: Batch, header: RecordsHeader) -> None:
    """A run that is resumed in the middle of a schedule computes a step's masks from its number; equal rates give equal masks."""
    prepare = jax.jit(objective(header, **FALLING).prepare)
    again = jax.jit(objective(header, range(41), **FALLING).prepare)
    for name in ("inputs", "positions", "labels"):
        np.testing.assert_array_equal(prepare(batch, 117)[name], again(batch, 17)[name])
    assert (prepare(batch, 117)["inputs"] != prepare(batch, 137)["inputs"]).any()


@pytest.mark.parametrize("ngrams", [WORDS, SPANBERT_SPANS], ids=len)
def test_static_masks_repeat_and_others_do_not(batch: Batch, header: RecordsHeader, ngrams: tuple[float, ...]) -> None:
    static, fresh = (
        jax.jit(objective(header, ngrams=ngrams, static_masks=masks, rate=0.3).prepare) for masks in (3, None)
    )
    inputs = [
        [np.asarray(prepare({**batch, "epochs": batch["epochs"] + epoch}, 0)["inputs"])[0] for epoch in (0, 1, 3)]
        for prepare in (static, fresh)
    ]
    np.testing.assert_array_equal(inputs[0][0], inputs[0][2])
    for one, other in ((inputs[0][0], inputs[0][1]), (inputs[1][0], inputs[1][2])):
        assert ((one != other).any(-1)).mean() > 0.9


def test_all_predicted_tokens_may_be_masked(batch: Batch, header: RecordsHeader) -> None:
    prepared = jax.jit(objective(header, mask_share=1.0, random_share=0.0).prepare)(batch, 0)
    seen = np.take_along_axis(np.asarray(prepared["inputs"]), np.asarray(prepared["positions"]), axis=-1)
    assert (seen[np.asarray(prepared["weights"]) > 0] == header.mask_id).all()


@pytest.mark.parametrize("masking", [FALLING, {"ngrams": SPANBERT_SPANS}, {**FALLING, "ngrams": SPANBERT_SPANS}])
def test_eight_devices_prepare_the_batch_of_one(batch: Batch, header: RecordsHeader, masking: dict[str, Any]) -> None:
    prepare = jax.jit(objective(header, **masking).prepare)
    split = batch_sharding(make_mesh(Mesh(4, 2, 1), jax.devices()))
    first = {name: np.asarray(values)[:, :48] for name, values in batch.items()}
    on_one = prepare(first, 120)
    on_eight = prepare({name: jax.device_put(values, split) for name, values in first.items()}, 120)
    assert len(on_eight["inputs"].sharding.device_set) == 8
    for name, values in on_one.items():
        np.testing.assert_array_equal(values, on_eight[name], err_msg=name)
