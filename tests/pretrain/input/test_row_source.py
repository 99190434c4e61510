"""Batches of arrays in memory are those of the same rows on disk, and padding is padding in every field."""

from collections.abc import Callable
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from tiny_run import write_records

from data_pipeline.contract.records import Layout, Records
from pretrain.devices.sharding import batch_sharding, make_mesh
from pretrain.input.batches import Batch, EvaluationBatches, TrainingBatches, abstract_batch
from pretrain.input.row_source import ArraySource, RowSource
from pretrain.recipe import BatchWarmup, Mesh

LAYOUTS: tuple[Layout, ...] = get_args(Layout)
FIRST_ROWS = 4


@pytest.fixture(scope="module", params=LAYOUTS)
def examples(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Records of each layout."""
    folder = tmp_path_factory.mktemp(request.param) / "examples"
    write_records(folder, layout=request.param)
    return folder


def in_memory(records: Records) -> ArraySource:
    return ArraySource(records.read(range(len(records))), records.row_fields)


def training_batches(source: RowSource, **options: BatchWarmup) -> TrainingBatches:
    sharding = batch_sharding(make_mesh(Mesh()))
    return TrainingBatches(source, seed=3, global_batch_size=16, accumulation=2, sharding=sharding, **options)


def evaluation_batches(source: RowSource, rows: int = 10) -> EvaluationBatches:
    return EvaluationBatches(source, rows=rows, microbatch=8, sharding=batch_sharding(make_mesh(Mesh())))


def growing_batches(source: RowSource) -> TrainingBatches:
    return training_batches(source, warmup=BatchWarmup(first_rows=FIRST_ROWS, steps=6))


def equal(one: Batch, other: Batch) -> bool:
    return one.keys() == other.keys() and all(
        one[name].dtype == other[name].dtype and np.array_equal(one[name], other[name]) for name in one
    )


@pytest.mark.parametrize(
    ("batches", "split", "numbers"),
    [
        (training_batches, "train", (0, 5)),
        (growing_batches, "train", (0, 3, 9)),
        (evaluation_batches, "evaluation", (0, 1)),
    ],
)
def test_arrays_give_the_batches_of_records_with_the_same_rows(
    batches: Callable[[RowSource], Callable[[int], Batch]], split: str, numbers: tuple[int, ...], examples: Path
) -> None:
    records = Records(examples, split)
    of_records, of_arrays = batches(records), batches(in_memory(records))
    for number in numbers:
        assert equal(of_records(number), of_arrays(number))


def test_rows_beyond_a_batch_are_padding_in_every_field(examples: Path) -> None:
    records = Records(examples, "train")
    batch = growing_batches(records)(0)
    for name, blank in records.row_fields.items():
        rows = np.asarray(batch[name]).reshape(16, *blank.shape)
        np.testing.assert_array_equal(rows[FIRST_ROWS:], np.broadcast_to(blank, (12, *blank.shape)))
        if name.endswith("tokens"):
            assert rows[:FIRST_ROWS].any(axis=-1).all()


def test_the_abstract_batch_has_the_names_shapes_and_types_of_the_batch(examples: Path) -> None:
    records = Records(examples, "train")
    batches = training_batches(records)
    batch = batches(0)
    abstract = abstract_batch(records.row_fields, 16, 2, batches.sharding)
    assert {name: (values.shape, values.dtype, values.sharding) for name, values in batch.items()} == {
        name: (values.shape, values.dtype, values.sharding) for name, values in abstract.items()
    }


def task_rows() -> ArraySource:
    """11 rows of a task: tokens, a class, two scores."""
    arrays = {
        "tokens": np.arange(5, 93, dtype=np.uint16).reshape(11, 8),
        "class": np.arange(11, dtype=np.int32),
        "scores": np.ones((11, 2), np.float32),
    }
    return ArraySource(arrays, {"tokens": 1, "class": -100, "scores": np.asarray([0.25, 0.5])})


def test_evaluation_of_arrays_fills_up_with_their_padding() -> None:
    source = task_rows()
    batches = evaluation_batches(source, rows=100)
    assert len(batches) == 2
    last = {name: np.asarray(values[0]) for name, values in batches(1).items()}
    for name, values in source.arrays.items():
        assert last[name].dtype == values.dtype
        np.testing.assert_array_equal(last[name][:3], values[8:])
    assert (last["tokens"][3:] == 1).all()
    assert last["class"][3:].tolist() == [-100] * 5
    assert last["scores"][3:].tolist() == [[0.25, 0.5]] * 5


@pytest.mark.parametrize(
    ("arrays", "padding", "said"),
    [
        ({"tokens": np.ones((3, 8)), "class": np.ones(2)}, {"tokens": 0, "class": 0}, "'tokens': 3, 'class': 2"),
        ({"tokens": np.ones((0, 8))}, {"tokens": 0}, "must be the same number, 1 or more"),
        ({}, {}, "must be the same number, 1 or more"),
        ({"tokens": np.ones((3, 8))}, {"class": 0}, "padding for class: must be for the fields tokens"),
    ],
)
def test_arrays_that_make_no_rows_are_refused(
    arrays: dict[str, np.ndarray], padding: dict[str, int], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        ArraySource(arrays, padding)
