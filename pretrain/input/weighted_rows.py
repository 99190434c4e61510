"""Rows of some categories read more often than others, in each epoch."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.records import Records


class WeightedRows:
    """A `pretrain.input.row_source.RowSource` of the rows of records, each as often as its category says.

    - `records`: whose header says the categories of their rows.
    - `weights`: by category; 1 for those not named. 2.5 is each row twice, and half of the rows, evenly spread, a third time.

    A row's copies have numbers of their own, so that masks hide other words of each. Raises InputError where the records do not say
    categories, have none of such a name, or nothing is left.
    """

    def __init__(self, records: Records, weights: Sequence[tuple[str, float]]) -> None:
        self._records, self.row_fields = records, records.row_fields
        in_turn, of_category = records.header.categories.get(records.split, ()), dict(weights)
        if not in_turn:
            raise InputError(
                f"category_weights: the records in {records.folder} do not keep categories apart; prepare with "
                "--data.rows-by-category"
            )
        if unknown := sorted(of_category.keys() - {name for name, _ in in_turn}):
            found = ", ".join(sorted({name or "(none)" for name, _ in in_turn}))
            raise InputError(f"category_weights: no row is of the category {unknown[0]!r} (found: {found}); correct it")
        self._rows = np.array([rows for _, rows in in_turn], np.int64)
        self._first = np.cumsum(self._rows) - self._rows
        self._read = np.array([round(rows * of_category.get(name, 1.0)) for name, rows in in_turn], np.int64)
        self._ends = np.cumsum(self._read)
        if not self._ends[-1]:
            raise InputError("category_weights: leave no row to train on; give some category a weight above 0")

    def __len__(self) -> int:
        return int(self._ends[-1])

    def records_at(self, indices: ArrayLike) -> NDArray[np.int64]:
        """The records, int64 [n], that rows [n] are copies of."""
        wanted = np.asarray(indices, np.int64)
        turn = np.searchsorted(self._ends, wanted, side="right")
        rows, read = self._rows[turn], self._read[turn]
        place = wanted - (self._ends[turn] - read)
        last = read // rows * rows  # of whole copies; the rows beyond are spread over all
        spread = (place - last) * rows // np.maximum(read - last, 1)
        found: NDArray[np.int64] = self._first[turn] + np.where(place < last, place % rows, spread)
        return found

    def read(self, indices: ArrayLike) -> dict[str, np.ndarray]:
        """See `RowSource`."""
        return self.decode(self.fetch(indices))

    def fetch(self, indices: ArrayLike) -> Any:
        """See `RowSource`."""
        return self._records.fetch(self.records_at(indices))

    def decode(self, stored: Any) -> dict[str, np.ndarray]:
        """See `RowSource`."""
        return self._records.decode(stored)


def training_rows(records: Records, weights: Sequence[tuple[str, float]]) -> Records | WeightedRows:
    """The rows that a phase reads of its records; all once in an epoch where it weighs no category."""
    return WeightedRows(records, weights) if weights else records
