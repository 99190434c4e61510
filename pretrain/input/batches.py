"""From (seed, step, records) to a global batch on the devices, without any state between steps.

A batch is a dict of arrays [accumulation, microbatch, ...]: the fields of a row (`RowSource.row_fields`), and `record_ids` and
`epochs`, int32 [accumulation, microbatch], which decide each row's mask: the row's number in its source and how often it has
been read before. Row j of a step is at position first_row + (rows left out) + (rows of the steps before) + j of an endless sequence
of shuffled epochs; neither accumulation nor devices change that. While the batch size grows, its last rows are padding.
"""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import zip_longest
from types import TracebackType
from typing import Self

import jax
import numpy as np
from jax.sharding import NamedSharding

from data_pipeline.contract.records import Row, source_names
from pretrain.input.batch_sizes import BatchSizes
from pretrain.input.permutation import shuffled
from pretrain.input.row_source import RowSource
from pretrain.objectives.protocols import Batch
from pretrain.recipe import BatchWarmup

READERS = 4
"""Threads that make batches. ArrayRecord reads outside Python's lock, and slow disks serve several reads at once."""
PREFETCHED = READERS + 2
"""Batches made or being made ahead of the step that needs them."""
STAGES = ("order", "reading", "decoding", "transfer")
"""The making of a batch: which rows belong to it, their records off the disk, their fields, to the devices."""
PATIENCE = 40e-6
"""Seconds a row for which a thread leaves reading to others: more than all READERS in turn take where rows are in memory."""
EVALUATION_ORDER = 0
"""Seed of the shuffle whose first rows are evaluated. Not the run's: runs on the same records are measured on the same rows."""
MOST_SOURCES = 32
"""Sources with batches of their own in evaluation; each may cost one batch that is not full."""


class StageSeconds:
    """Time by the clock that the stages of batches have taken since it was last reset, in all threads together."""

    def __init__(self) -> None:
        self._adding = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Begins at 0 again."""
        with self._adding:
            self.seconds = dict.fromkeys(STAGES, 0.0)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Adds the time inside the block to one of STAGES."""
        started = time.perf_counter()
        yield
        spent = time.perf_counter() - started
        with self._adding:
            self.seconds[name] += spent


class TrainingBatches:
    """The training batch of any step.

    - `source`: the training split.
    - `seed`: 0 to 2**32 - 1; it shuffles each epoch (`pretrain.input.permutation`).
    - `global_batch_size`: rows a step, a multiple of `accumulation` times the devices that split rows.
    - `sharding`: from `pretrain.devices.sharding.batch_sharding`.
    - `first_step`, `first_row`: the first step of these batches, and where in the sequence it begins.
    - `warmup`: how the batch grows to that many rows; None means that it has them from the first step on.

    `spent` tells how long the stages have taken. `left_out` are pairs (step, rows): from a step on, so many rows of the sequence are
    passed over.
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
        self.left_out: tuple[tuple[int, int], ...] = ()
        self.spent = StageSeconds()
        self._turn = threading.Lock()

    def record_indices(self, step: int, rows: np.ndarray) -> np.ndarray:
        """The records (int64 [n]) that stand at rows [n], counted from 0, of a step."""
        return shuffled(self._positions(step, rows), len(self.source), self.seed)

    def _positions(self, step: int, rows: np.ndarray) -> np.ndarray:
        passed_over = sum(count for start, count in self.left_out if start <= step)
        return self.first_row + passed_over + self.sizes.before(step - self.first_step) + rows

    def __call__(self, step: int) -> Batch:
        """The batch of a step. Each process reads exactly the rows that its devices hold."""
        rows, fields = self.local_fields(step)
        with self.spent.stage("transfer"):
            return place_rows(fields, rows, self.shape, self.sharding)

    def local_fields(self, step: int) -> tuple[np.ndarray, Row]:
        """The rows of a step that this process holds (see `local_rows`), and their fields, arrays [n, ...] in that order."""
        with self.spent.stage("order"):
            rows = local_rows(self.shape, self.sharding)
            beyond = rows >= self.sizes.of(step - self.first_step)
            # A row beyond the step's is read as its first, then blanked.
            read = np.where(beyond, 0, rows)
            indices = self.record_indices(step, read)
            epochs = self._positions(step, read) // len(self.source)
            numbers = {"record_ids": indices.astype(np.int32), "epochs": epochs.astype(np.int32)}
        with self._in_turn(len(indices)), self.spent.stage("reading"):
            stored = self.source.fetch(indices)
        with self.spent.stage("decoding"):
            fields = self.source.decode(stored)
            return rows, {**blanked(fields, beyond, self.source.row_fields), **numbers}

    @contextmanager
    def _in_turn(self, rows: int) -> Iterator[None]:
        """Waits until no other thread reads, but not for one that waits for its disk.

        A record is read in microseconds, and Python's lock is given away and taken back for each: several threads at that spend most
        of their time in handing it over (two of them made half as many rows as one). From a slow disk all read at once.
        """
        alone = self._turn.acquire(timeout=rows * PATIENCE)
        try:
            yield
        finally:
            if alone:
                self._turn.release()


class EvaluationBatches:
    """Held-out rows from all over the split, in batches of one microbatch, each of one source: a sequence of `len(...)` batches.

    - `source`: the evaluation split.
    - `rows`: most rows used; which ones depends on this and on how many the split has, on nothing else.
    - `microbatch`: rows a batch; the last batch of a source is filled up with rows of padding, in which there is nothing to mask.
    - `sources`: of the split, from `RecordsHeader.sources`; none where they are not known.

    `names` has the name of each batch's source; "" where it is not known, and for the batches that are shared by all sources but
    the MOST_SOURCES with the most rows. `epochs` is 0 throughout: masks never change.
    """

    def __init__(
        self,
        source: RowSource,
        *,
        rows: int,
        microbatch: int,
        sharding: NamedSharding,
        sources: Sequence[tuple[str, int]] = (),
    ) -> None:
        self.source, self.sources = source, sources
        self.shape = (1, microbatch)
        self.sharding = sharding
        chosen = shuffled(np.arange(min(rows, len(source))), len(source), EVALUATION_ORDER)
        self._by_source = _by_source(chosen, sources)
        self._batches = [
            (name, np.sort(of_source)[start : start + microbatch])
            for name, of_source in self._by_source.items()
            for start in range(0, len(of_source), microbatch)
        ]
        self.names = tuple(name for name, _ in self._batches)

    def __len__(self) -> int:
        return len(self._batches)

    def __call__(self, index: int) -> Batch:
        """The batch number `index`, from 0."""
        return self._batch(self._batches[index][1])

    def sample(self, rows: int) -> tuple[Batch, list[str]]:
        """A batch of so many rows, or all of a smaller microbatch, of the sources in turn, then padding; and the source of each."""
        turns = zip_longest(*self._by_source.values())
        numbers = np.array([number for turn in turns for number in turn if number is not None])
        numbers = numbers[: min(rows, self.shape[1])]
        return self._batch(numbers), source_names(self.sources, numbers)

    def _batch(self, numbers: np.ndarray) -> Batch:
        """A batch of the rows with these numbers, int64 [n], 1 to a microbatch."""
        rows = local_rows(self.shape, self.sharding)
        # A row beyond the last is read as the last, then blanked.
        read = numbers[np.minimum(rows, len(numbers) - 1)]
        fields = self.source.read([int(number) for number in read])
        shown = blanked(fields, rows >= len(numbers), self.source.row_fields)
        numbered = {"record_ids": read.astype(np.int32), "epochs": np.zeros(len(rows), np.int32)}
        return place_rows({**shown, **numbered}, rows, self.shape, self.sharding)


def _by_source(rows: np.ndarray, sources: Sequence[tuple[str, int]]) -> dict[str, np.ndarray]:
    """Rows int64 [n] of a split by the name of their source, in the order of `sources`; under "" at the end the smallest of too many."""
    names = np.array(source_names(sources, rows))
    own = {name for name, _ in Counter(names.tolist()).most_common(MOST_SOURCES)}
    groups = {name: rows[names == name] for name, _ in sources if name in own}
    others = rows[~np.isin(names, list(groups))]
    return {**groups, "": others} if len(others) else groups


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
    """Makes batches in background threads while the devices work: `with Prefetched(...) as batches: for step, batch in batches`.

    - `make`: step -> batch, called from READERS threads; what it raises is raised where the batch is asked for.
    - `start`, `stop`: the steps, `stop` excluded. Batches come in their order, PREFETCHED at most being ahead.

    `waited` is the time in seconds that the loop has spent waiting for data since it was last set.
    """

    def __init__(self, make: Callable[[int], Batch], start: int, stop: int) -> None:
        self.waited = 0.0
        self._make = make
        self._steps = range(start, stop)
        self._threads = ThreadPoolExecutor(READERS, thread_name_prefix="batches")
        self._ahead: deque[Future[Batch]] = deque()

    def __enter__(self) -> Self:
        for step in self._steps[:PREFETCHED]:
            self._ahead.append(self._threads.submit(self._make, step))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._threads.shutdown(cancel_futures=True)

    def __iter__(self) -> Iterator[tuple[int, Batch]]:
        for step in self._steps:
            asked = time.perf_counter()
            batch = self._ahead.popleft().result()
            self.waited += time.perf_counter() - asked
            if step + PREFETCHED in self._steps:
                self._ahead.append(self._threads.submit(self._make, step + PREFETCHED))
            yield step, batch
