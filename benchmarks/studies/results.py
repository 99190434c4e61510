"""What the cells of a study have given: two files each, which can be copied from machine to machine and committed."""

import fcntl
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.studies.grid import Cell
from data_pipeline.contract.storage import read_json, write_atomically, write_json

Values = NDArray[np.float64]
Facts = dict[str, Any]


@dataclass(frozen=True)
class Results:
    """The results of one study.

    - `folder`: CELL.json, what was scored, and CELL.npz, what each item says of the headline metric.
    - `locks`: on this machine, which cells are at work.
    """

    folder: Path
    locks: Path

    def read(self, cell: Cell) -> Facts | None:
        """What a cell has given; None where it was not run to its end, or the grid said something else of it then."""
        facts: Facts | None = read_json(self._path(cell, "json"))
        return facts if facts and facts["fingerprint"] == cell.fingerprint else None

    def outcomes(self, cell: Cell) -> list[Values]:
        """float64 [items, ...] of each fine-tuning seed; none where the metric is not kept by item."""
        path = self._path(cell, "npz")
        if not path.is_file():
            return []
        with np.load(path, allow_pickle=False) as stored:
            return [stored[name].astype(np.float64) for name in stored.files]

    def write(self, cell: Cell, facts: Facts, outcomes: Sequence[Values]) -> None:
        """Keeps a cell: its facts last, without which the outcomes count for nothing."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self._path(cell, "npz")
        path.unlink(missing_ok=True)
        if outcomes:
            buffer = io.BytesIO()
            np.savez_compressed(buffer, **{str(seed): compact(each) for seed, each in enumerate(outcomes)})  # type: ignore[arg-type]
            write_atomically(path, buffer.getvalue())
        write_json(self._path(cell, "json"), {"fingerprint": cell.fingerprint, **facts})

    @contextmanager
    def claimed(self, cell: Cell) -> Iterator[bool]:
        """Whether this process has a cell for itself; a process that dies gives it back."""
        self.locks.mkdir(parents=True, exist_ok=True)
        with (self.locks / f"{cell.name}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True

    def _path(self, cell: Cell, ending: str) -> Path:
        return self.folder / f"{cell.name}.{ending}"


def compact(values: Values) -> NDArray[Any]:
    """The same in the smallest type that a committed file needs: counts as bytes, scores in float32."""
    whole = values.astype(np.uint8)
    return whole if np.array_equal(whole, values) else values.astype(np.float32)
