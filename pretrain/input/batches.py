"""From (seed, step, records) to a global batch on the devices, without any state between steps.

A batch is a dict of arrays [accumulation, microbatch, ...]: the fields of a row (`RowSource.row_fields`), and `record_ids` and
`epochs`, int32 [accumulation, microbatch], which decide each row's mask: the row's number in its source and how often it has
been read before. Row j of a step is at position first_row + (rows of the steps before) + j of an endless sequence of shuffled
epochs; neither accumulation nor devices change that. While the batch size grows, its last rows are padding.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import jax
import numpy as np
from jax.sharding import NamedSharding

from data_pipeline.contract.records import Row
from pretrain.input.batch_sizes import BatchSizes
from pretrain.input.permutation import shuffled
from pretrain.input.row_source import RowSource
from pretrain.objectives.protocols import Batch
from pretrain.recipe import BatchWarmup

PREFETCHED = 2
"""Batches made ahead of the step that needs them."""


STAGES = ("reading", "decoding", "batching", "transfer")
"""The making of a batch: records off the disk, their fields, arrays of a batch (and which rows belong to it), to the devices."""


class StageSeconds:
    """Time by the clock that the stages of batches have taken since it was last reset."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begins at 0 again."""
        self.seconds = dict.fromkeys(STAGES, 0.0)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Adds the time inside the block to one of STAGES."""
        started = time.perf_counter()
        yield
        self.seconds[name] += time.perf_counter() - started


class TrainingBatches:
    """The training batch of any step.

    - `source`: the training split.
    - `seed`: 0 to 2**32 - 1; it shuffles each epoch (`pretrain.input.permutation`).
    - `global_batch_size`: rows a step, a multiple of `accumulation` times the devices that split rows.
    - `sharding`: from `pretrain.devices.sharding.batch_sharding`.
    - `first_step`, `first_row`: the first step of these batches, and where in the sequence it begins.
    - `warmup`: how the batch grows to that many rows; None means that it has them from the first step on.

    `spent` tells how long the stages have taken.
    """

    def __init__(
        self,
        source: RowSource,
        *,
        seed: int,
        global_batch_size: int,
        accumulation: int,
        sharding: NamedSharding,
        first_step: int = 0,
        first_row: int = 0,
        warmup: BatchWarmup | None = None,
    ) -> None:
        self.source, self.seed = source, seed
        self.sizes = BatchSizes(global_batch_size, warmup)
        self.shape = (accumulation, global_batch_size // accumulation)
        self.sharding = sharding
        self.first_step, self.first_row = first_step, first_row
        self.spent = StageSeconds()

    def record_indices(self, step: int, rows: np.ndarray) -> np.ndarray:
        """The records (int64 [n]) that stand at rows [n], counted from 0, of a step."""
        return shuffled(self._positions(step, rows), len(self.source), self.seed)

    def _positions(self, step: int, rows: np.ndarray) -> np.ndarray:
        return self.first_row + self.sizes.before(step - self.first_step) + rows

    def __call__(self, step: int) -> Batch:
        """The batch of a step. Each process reads exactly the rows that its devices hold."""
        rows, fields = self.local_fields(step)
        with self.spent.stage("transfer"):
            return place_rows(fields, rows, self.shape, self.sharding)

    def local_fields(self, step: int) -> tuple[np.ndarray, Row]:
        """The rows of a step that this process holds (see `local_rows`), and their fields, arrays [n, ...] in that order."""
        with self.spent.stage("batching"):
            rows = local_rows(self.shape, self.sharding)
            beyond = rows >= self.sizes.of(step - self.first_step)
            # A row beyond the step's is read as its first, then blanked.
            read = np.where(beyond, 0, rows)
            indices = self.record_indices(step, read)
            epochs = self._positions(step, read) // len(self.source)
            numbers = {"record_ids": indices.astype(np.int32), "epochs": epochs.astype(np.int32)}
        with self.spent.stage("reading"):
            records = self.source.fetch([int(index) for index in indices])
        with self.spent.stage("decoding"):
            decoded = self.source.decode(records)
        with self.spent.stage("batching"):
            return rows, {**blanked(self.source.stack(decoded), beyond, self.source.row_fields), **numbers}


class EvaluationBatches:
    """The first held-out rows in order, in batches of one microbatch: a sequence of `len(...)` batches.

    - `source`: the evaluation split.
    - `rows`: most rows used.
    - `microbatch`: rows a batch; the last batch is filled up with rows of padding, in which there is nothing to mask.

    `epochs` is 0 throughout: masks never change.
    """

    def __init__(self, source: RowSource, *, rows: int, microbatch: int, sharding: NamedSharding) -> None:
        self.source = source
        self.rows = min(rows, len(source))
        self.shape = (1, microbatch)
        self.sharding = sharding

    def __len__(self) -> int:
        return -(-self.rows // self.shape[1])

    def __call__(self, index: int) -> Batch:
        """The batch number `index`, from 0."""
        rows = local_rows(self.shape, self.sharding)
        numbers = index * self.shape[1] + rows
        # A row beyond the end is read as the last one, then blanked.
        fields = self.source.read([int(number) for number in np.minimum(numbers, self.rows - 1)])
        shown = blanked(fields, numbers >= self.rows, self.source.row_fields)
        numbered = {"record_ids": numbers.astype(np.int32), "epochs": np.zeros(len(rows), np.int32)}
        return place_rows({**shown, **numbered}, rows, self.shape, self.sharding)


def blanked(fields: Row, beyond: np.ndarray, row_fields: Row) -> Row:
    """Rows with padding in the place of some.

    - `fields`: arrays [n, ...]; `beyond`: bool [n], the rows to be padding; `row_fields`: the row of padding.
    """
    if not beyond.any():
        return fields
    return {
        name: np.where(beyond.reshape(-1, *(1,) * (values.ndim - 1)), row_fields[name], values)
        for name, values in fields.items()
    }


def abstract_batch(
    row_fields: Row, global_batch_size: int, accumulation: int, sharding: NamedSharding | None
) -> dict[str, jax.ShapeDtypeStruct]:
    """Shapes and types of the batch that `TrainingBatches` makes of rows with these fields."""
    numbers = {name: np.zeros((), np.int32) for name in ("record_ids", "epochs")}
    rows = (accumulation, global_batch_size // accumulation)
    return {
        name: jax.ShapeDtypeStruct((*rows, *value.shape), value.dtype, sharding=sharding)
        for name, value in {**row_fields, **numbers}.items()
    }


def local_rows(shape: tuple[int, int], sharding: NamedSharding) -> np.ndarray:
    """int64 [n]: the rows of a batch [accumulation, microbatch], counted through, that this process' devices hold, each once."""
    needed = np.zeros(shape, bool)
    for index in sharding.addressable_devices_indices_map(shape).values():
        needed[index] = True
    return np.flatnonzero(needed)


def place_rows(fields: Row, rows: np.ndarray, shape: tuple[int, int], sharding: NamedSharding) -> Batch:
    """Puts the rows of this process on its devices.

    - `fields`: arrays [n, ...], the rows that `local_rows` names, in its order.

    Returns global arrays [*shape, ...].
    """
    slots = np.zeros(shape, np.int64)
    slots.reshape(-1)[rows] = np.arange(len(rows))

    def place(values: np.ndarray) -> jax.Array:
        def read(index: tuple[slice, ...] | None) -> np.ndarray:
            return values[slots[index[:2] if index else ...]]

        return jax.make_array_from_callback((*shape, *values.shape[1:]), sharding, read, dtype=values.dtype)

    # This is where rows are meant to move to the devices; the loop forbids every transfer that is not meant.
    with jax.transfer_guard_host_to_device("allow"):
        return {name: place(values) for name, values in fields.items()}


class Prefetched:
    """Makes batches in a background thread while the devices work: `with Prefetched(...) as batches: for step, batch in batches`.

    - `make`: step -> batch; what it raises is raised where the batch is asked for.
    - `start`, `stop`: the steps, `stop` excluded.

    `waited` is the time in seconds that the loop has spent waiting for data since it was last set.
    """

    def __init__(self, make: Callable[[int], Batch], start: int, stop: int) -> None:
        self.waited = 0.0
        self._make = make
        self._steps = range(start, stop)
        self._ready: queue.Queue[tuple[Any, BaseException | None]] = queue.Queue(PREFETCHED)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._work, name="batches", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed.set()
        self._thread.join()

    def __iter__(self) -> Iterator[tuple[int, Batch]]:
        for step in self._steps:
            asked = time.perf_counter()
            batch, error = self._ready.get()
            self.waited += time.perf_counter() - asked
            if error is not None:
                raise error
            yield step, batch

    def _work(self) -> None:
        for step in self._steps:
            try:
                made: tuple[Any, BaseException | None] = (self._make(step), None)
            except BaseException as error:
                made = (None, error)
            while not self._closed.is_set():
                try:
                    self._ready.put(made, timeout=0.1)
                    break
                except queue.Full:
                    continue
            if self._closed.is_set() or made[1] is not None:
                return
