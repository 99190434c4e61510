import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec
from numpy.typing import ArrayLike
from tiny_run import LENGTH

from data_pipeline.contract.records import Records, source_names
from pretrain.devices.sharding import batch_sharding, make_mesh
from pretrain.input.batches import (
    MOST_SOURCES,
    PREFETCHED,
    STAGES,
    EvaluationBatches,
    Prefetched,
    StageSeconds,
    TrainingBatches,
    local_rows,
)
from pretrain.input.row_source import ArraySource
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

    def fetch(self, indices: ArrayLike) -> np.ndarray:
        self.asked = np.asarray(indices).tolist()
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


SOURCES = (("petitions", 600), ("reviews", 300), ("news", 100))


def held_out(
    rows: int = 128, microbatch: int = 8, mesh: Mesh | None = None, sources: tuple[tuple[str, int], ...] = SOURCES
) -> EvaluationBatches:
    """Of 1,000 rows whose only token is their number."""
    source = ArraySource({"tokens": np.arange(1000, dtype=np.int32)[:, None]}, {"tokens": -1})
    sharding = batch_sharding(make_mesh(mesh or Mesh()))
    return EvaluationBatches(source, rows=rows, microbatch=microbatch, sharding=sharding, sources=sources)


def rows_of(batches: EvaluationBatches) -> list[list[int]]:
    """The numbers of the rows of each batch, without padding."""
    tokens = [np.asarray(batches(index)["tokens"])[0, :, 0] for index in range(len(batches))]
    return [of_batch[of_batch >= 0].tolist() for of_batch in tokens]


def all_rows(batches: EvaluationBatches) -> list[int]:
    """The same, one batch after the other."""
    return [row for of_batch in rows_of(batches) for row in of_batch]


def test_evaluation_takes_rows_from_all_over_the_split_each_once() -> None:
    found = all_rows(held_out())
    assert len(set(found)) == len(found) == 128
    assert np.histogram(found, bins=4, range=(0, 1000))[0].min() > 20
    everything = held_out(rows=5000, sources=())
    assert all_rows(everything) == list(range(1000)), "all rows in the order of the split"


@pytest.mark.parametrize("microbatch", [8, 24, 200])
@pytest.mark.parametrize("mesh", [Mesh(), Mesh(2, 2, 2)])
def test_neither_batch_nor_mesh_nor_sources_change_the_rows_of_an_evaluation(microbatch: int, mesh: Mesh) -> None:
    expected = sorted(all_rows(held_out()))
    for sources in (SOURCES, ()):
        assert sorted(all_rows(held_out(128, microbatch, mesh, sources))) == expected
    assert set(expected) < set(all_rows(held_out(200))), "more rows are these and others"


def test_a_batch_of_an_evaluation_is_of_one_source_and_filled_up_with_padding() -> None:
    batches = held_out(microbatch=16)
    sizes: dict[str, list[int]] = {}
    for name, rows in zip(batches.names, rows_of(batches), strict=True):
        assert {name} == set(source_names(SOURCES, np.array(rows)))
        sizes.setdefault(name, []).append(len(rows))
    assert list(sizes) == ["petitions", "reviews", "news"]
    assert all(size == 16 for of_source in sizes.values() for size in of_source[:-1])
    assert len(batches) <= 128 / 16 + 3
    batch = batches(len(batches) - 1)
    assert not np.asarray(batch["epochs"]).any()
    real = np.asarray(batch["tokens"])[0, :, 0] >= 0
    np.testing.assert_array_equal(np.asarray(batch["record_ids"])[0, real], np.asarray(batch["tokens"])[0, real, 0])


def test_the_smallest_of_too_many_sources_share_batches() -> None:
    sources = tuple((f"source {number}", 20) for number in range(50))
    batches = held_out(rows=1000, sources=sources)
    assert sorted(all_rows(batches)) == list(range(1000))
    named = [name for name in batches.names if name]
    assert len(set(named)) == MOST_SOURCES
    shared = batches.names.count("")
    assert batches.names[-shared:] == ("",) * shared
    assert shared == -(-(50 - MOST_SOURCES) * 20 // 8), "as few as can be"


def test_a_sample_has_rows_of_the_sources_in_turn() -> None:
    batch, names = held_out().sample(5)
    assert names == ["petitions", "reviews", "news", "petitions", "reviews"]
    rows = np.asarray(batch["tokens"])[0, :, 0]
    assert source_names(SOURCES, rows[:5]) == names
    assert (rows[5:] == -1).all()
    assert set(rows[:5].tolist()) < set(all_rows(held_out()))
    assert held_out(sources=()).sample(3)[1] == [""] * 3
    assert len(held_out(rows=2).sample(5)[1]) == 2
    assert len(held_out(microbatch=8).sample(20)[1]) == 8


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


def test_batches_come_in_order_though_later_ones_are_ready_first() -> None:
    begun, others = threading.Event(), []

    def make(step: int) -> dict[str, np.ndarray]:
        if step == 0:
            assert begun.wait(10), "one thread alone makes batches"
        elif step == 1:
            begun.set()
        others.append(step)
        return {"step": np.array(step)}

    with Prefetched(make, 0, 50) as prefetched:
        assert [(step, int(batch["step"])) for step, batch in prefetched] == [(step, step) for step in range(50)]
    assert others[0] != 0


def test_batches_made_ahead_are_few_however_slow_the_loop_is() -> None:
    made: list[int] = []

    def make(step: int) -> dict[str, jax.Array]:
        made.append(step)
        return {}

    with Prefetched(make, 0, 1000) as prefetched:
        for step, _ in prefetched:
            time.sleep(0.01)
            assert len(made) <= step + 1 + PREFETCHED
            if step == 20:
                break


def test_a_loop_that_stops_early_leaves_no_thread_behind() -> None:
    with Prefetched(lambda step: {}, 0, 1000) as prefetched:
        assert next(iter(prefetched)) == (0, {})
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("batches")]


def test_no_second_of_a_stage_is_lost_when_several_threads_add_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    clocks, spent = threading.local(), StageSeconds()

    def tick() -> float:
        clocks.time = getattr(clocks, "time", 0.0) + 1.0
        return float(clocks.time)

    def work(_: int) -> None:
        for _ in range(2000):
            with spent.stage("reading"):
                pass

    monkeypatch.setattr("pretrain.input.batches.time.perf_counter", tick)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(work, range(4)))
    finally:
        sys.setswitchinterval(interval)
    assert spent.seconds == {**dict.fromkeys(STAGES, 0.0), "reading": 8000.0}


def test_rows_on_a_slow_disk_are_read_by_several_threads_at_once() -> None:
    """Though from memory they are read in turn, which is faster."""
    now, at_once = [], []

    class SlowSource(ArraySource):
        def fetch(self, indices: ArrayLike) -> dict[str, np.ndarray]:
            now.append(None)
            at_once.append(len(now))
            time.sleep(0.2)
            now.pop()
            return super().fetch(indices)

    source = SlowSource({"tokens": np.zeros((8, LENGTH), np.uint16)}, {"tokens": 0})
    sharding = batch_sharding(make_mesh(Mesh(data=1), jax.devices()[:1]))
    batches = TrainingBatches(source, seed=0, global_batch_size=4, accumulation=1, sharding=sharding)
    with Prefetched(batches, 0, 8) as prefetched:
        assert [step for step, _ in prefetched] == list(range(8))
    assert max(at_once) > 1
