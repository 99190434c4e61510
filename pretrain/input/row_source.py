"""What batches are made of: rows that can be read by number, from records on disk or arrays in memory."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from data_pipeline.contract.records import Row


class RowSource(Protocol):
    """Random access to rows of the same fields, from several threads; `data_pipeline.contract.records.Records` is one.

    `read` is `fetch` and `decode`, which `TrainingBatches` calls one by one to time them.
    """

    @property
    def row_fields(self) -> Row:
        """The row of padding, whose arrays give the names, shapes, types and padding of the fields."""

    def __len__(self) -> int: ...

    def read(self, indices: ArrayLike) -> dict[str, np.ndarray]:
        """The rows at these indices, each field stacked: arrays [n, ...]."""

    def fetch(self, indices: ArrayLike) -> Any:
        """The rows at these indices as they are stored."""

    def decode(self, stored: Any) -> dict[str, np.ndarray]:
        """What `fetch` returned, as arrays [n, ...]."""


class ArraySource:
    """Rows that are arrays in memory.

    - `arrays`: the fields, each [n, ...] with the same n, 1 or more.
    - `padding`: of each field, a single value or all values of a row.

    Raises ValueError where fields have different numbers of rows, no rows, or no padding.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], padding: Mapping[str, ArrayLike]) -> None:
        lengths = {name: len(values) for name, values in arrays.items()}
        if len(set(lengths.values())) != 1 or 0 in lengths.values():
            raise ValueError(f"rows of each field {lengths}: must be the same number, 1 or more")
        if padding.keys() != arrays.keys():
            raise ValueError(f"padding for {', '.join(padding)}: must be for the fields {', '.join(arrays)}")
        self.arrays = arrays
        self.row_fields: Row = {
            name: np.full(values.shape[1:], padding[name], values.dtype) for name, values in arrays.items()
        }

    def __len__(self) -> int:
        return len(next(iter(self.arrays.values())))

    def read(self, indices: ArrayLike) -> dict[str, np.ndarray]:
        """See `RowSource`."""
        return self.decode(self.fetch(indices))

    def fetch(self, indices: ArrayLike) -> dict[str, np.ndarray]:
        """See `RowSource`."""
        return {name: values[np.asarray(indices)] for name, values in self.arrays.items()}

    def decode(self, stored: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """What `fetch` returned: nothing is encoded."""
        return stored
