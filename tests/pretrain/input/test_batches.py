from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec
from tiny_run import LENGTH

from data_pipeline.contract.records import Records
from pretrain.devices.sharding import batch_sharding, make_mesh
from pretrain.input.batches import EvaluationBatches, Prefetched, TrainingBatches, local_rows
from pretrain.recipe import Mesh


@pytest.fixture
def records(records_folder: Path) -> Records:
    return Records(records_folder, "train")


def batches(records: Records, accumulation: int = 1, mesh: Mesh | None = None, seed: int = 0) -> TrainingBatches:
    sharding = batch_sharding(make_mesh(mesh or Mesh()))
    return TrainingBatches(records, seed=seed, global_batch_size=16, accumulation=accumulation, sharding=sharding)


def test_a_batch_is_a_function_of_its_step_alone(records: Records) -> None:
    walked, jumped = batches(records), batches(records)
    for step in range(5):
        walked(step)
    for name, values in walked(5).items():
        np.testing.assert_array_equal(values, jumped(5)[name])


def test_every_epoch_holds_every_row_once_in_an_order_of_its_own(records: Records) -> None:
    made = batches(records)
    order = np.concatenate([made.record_indices(step, np.arange(16)) for step in range(7)])
    first, second = order[:50], order[50:100]
    assert sorted(first) == sorted(second) == list(range(50))
    assert list(first) != list(second)
    assert list(first) != list(batches(records, seed=1).record_indices(0, np.arange(16)))


@pytest.mark.parametrize("mesh", [Mesh(), Mesh(2, 4, 1), Mesh(2, 2, 2)])
def test_accumulation_and_mesh_change_neither_rows_nor_their_numbers(records: Records, mesh: Mesh) -> None:
    plain = batches(records)(3)
    split = batches(records, accumulation=2, mesh=mesh)(3)
    assert split["tokens"].shape == (2, 8, LENGTH)
    indices = batches(records).record_indices(3, np.arange(16))
    np.testing.assert_array_equal(split["record_ids"].reshape(-1), indices)
    np.testing.assert_array_equal(split["epochs"].reshape(-1), [0] * 2 + [1] * 14)  # 50 records, 48 before this step
    for name, values in split.items():
        np.testing.assert_array_equal(values.reshape(16, *values.shape[2:]), plain[name][0])


class CountingRecords(Records):
    """Remembers what was read."""

    def fetch(self, indices: Sequence[int]) -> Sequence[bytes]:
        self.asked = list(indices)
        return super().fetch(indices)


def test_rows_are_read_once_though_several_devices_hold_them(records_folder: Path) -> None:
    records = CountingRecords(records_folder, "train")
    made = batches(records, accumulation=2, mesh=Mesh(1, 2, 4))
    made(0)
    assert records.asked == list(made.record_indices(0, np.arange(16)))


def test_a_host_needs_only_the_rows_of_its_own_devices() -> None:
    # Half of the devices stand for one host: their sharding knows no others.
    mesh = make_mesh(Mesh(2, 2, 1), jax.devices()[:4])

    class OneHost:
        def addressable_devices_indices_map(self, shape: tuple[int, ...]) -> dict[jax.Device, tuple[slice, ...] | None]:
            whole = NamedSharding(mesh, PartitionSpec(None, ("data", "fsdp"))).devices_indices_map(shape)
            return {device: whole[device] for device in mesh.devices.flat[:2]}

    rows = local_rows((2, 8), OneHost())  # type: ignore[arg-type]
    assert list(rows) == [0, 1, 2, 3, 8, 9, 10, 11]


def test_evaluation_takes_the_first_rows_in_order_and_fills_up_with_padding(records_folder: Path) -> None:
    held_out = Records(records_folder, "evaluation")
    sharding = batch_sharding(make_mesh(Mesh()))
    made = EvaluationBatches(held_out, rows=10, microbatch=8, sharding=sharding)
    assert len(made) == 2
    tokens = np.concatenate([made(index)["tokens"][0] for index in range(2)])
    np.testing.assert_array_equal(tokens[:10], held_out.read(range(10))["tokens"])
    assert not tokens[10:].any()
    assert list(np.concatenate([made(index)["record_ids"][0] for index in range(2)])) == list(range(16))
    assert not any(made(index)["epochs"].any() for index in range(2))


def test_an_error_in_the_reading_thread_reaches_the_loop() -> None:
    def make(step: int) -> dict[str, jax.Array]:
        if step == 3:
            raise OSError("disk gone")
        return {}

    with Prefetched(make, 1, 9) as prefetched:
        loop = iter(prefetched)
        assert [next(loop)[0], next(loop)[0]] == [1, 2]
        with pytest.raises(OSError, match="disk gone"):
            next(loop)


def test_a_loop_that_stops_early_leaves_no_thread_behind() -> None:
    with Prefetched(lambda step: {}, 0, 1000) as prefetched:
        assert next(iter(prefetched)) == (0, {})
    assert not prefetched._thread.is_alive()
