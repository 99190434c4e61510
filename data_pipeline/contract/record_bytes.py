"""The bytes of a record: a tf.train.Example of constant size, in which each field has its place."""

from collections.abc import Mapping

import numpy as np
from tensorflow_datasets.proto import tf_example_pb2


def serialised(row: Mapping[str, np.ndarray]) -> bytes:
    """A row as TFDS writes it by `features`, with the order of the fields fixed; TFDS itself takes seven times as long."""
    example = tf_example_pb2.Example()
    for name, value in row.items():
        feature = example.features.feature[name]
        if value.ndim:
            feature.bytes_list.value.append(value.tobytes())
        else:
            feature.int64_list.value.append(int(value))
    # Protobuf's hash table would give another order in another process.
    return example.SerializeToString(deterministic=True)


class RecordBytes:
    """Where the fields lie in a record.

    - `row_fields`: arrays with the shapes and types of the fields; a scalar is uint8 and below 128, which is one byte.

    Whatever is no field's (names, lengths) is the same in all records, so many are decoded as one array, in a twentieth of
    protobuf's time.
    """

    def __init__(self, row_fields: Mapping[str, np.ndarray]) -> None:
        blank = {name: np.zeros_like(field) for name, field in row_fields.items()}
        self._template = np.frombuffer(serialised(blank), np.uint8)
        self._framing = np.full_like(self._template, 255)
        self._fields: dict[str, tuple[slice, np.ndarray]] = {}
        for name, field in row_fields.items():
            full = np.frombuffer(b"\xff" * field.nbytes, field.dtype) if field.ndim else np.uint8(127)
            marked = serialised({**blank, name: np.asarray(full).reshape(field.shape)})
            own = np.flatnonzero(np.frombuffer(marked, np.uint8) != self._template)
            self._framing[own] = 0 if field.ndim else 128  # the bit by which a longer integer continues
            self._fields[name] = slice(int(own[0]), int(own[-1]) + 1), field

    @property
    def size(self) -> int:
        """Bytes of a record."""
        return len(self._template)

    def foreign(self, records: np.ndarray) -> np.ndarray:
        """int64: which of the records, uint8 [n, size], have other bytes around their fields."""
        other = (records ^ self._template) & self._framing
        return np.flatnonzero(other.any(axis=1)) if other.any() else np.empty(0, np.int64)

    def rows(self, records: np.ndarray) -> dict[str, np.ndarray]:
        """The fields [n, ...] of records, uint8 [n, size]."""
        return {
            name: np.ascontiguousarray(records[:, place]).view(field.dtype).reshape(-1, *field.shape)
            for name, (place, field) in self._fields.items()
        }
