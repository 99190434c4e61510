"""Writing training records: rows into shards, and finished shards published under TFDS names, the header last."""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from array_record.python.array_record_module import ArrayRecordReader, ArrayRecordWriter

from data_pipeline.contract.errors import WorkError, machine_error, machine_errors_at
from data_pipeline.contract.record_bytes import serialised
from data_pipeline.contract.records import HEADER, TOKEN_FIELDS, Layout, RecordsHeader, Row, features
from data_pipeline.contract.storage import read_json, sync_file, sync_folder, write_json

NAME = "korean_records"
FILE_TEMPLATE = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"
ROWS_PER_CHUNK = 4
"""A chunk is compressed as a whole, and opened for a single row of it: docs/decisions.md has what other numbers take."""
METADATA = ("dataset_info.json", "features.json")


@dataclass(frozen=True)
class Shard:
    """One ArrayRecord file: how many records, real tokens and bytes it holds, and the SHA-256 of its records in order."""

    file: str
    rows: int
    tokens: int
    bytes: int
    sha256: str


class ShardWriter(AbstractContextManager["ShardWriter"]):
    """Writes rows to one ArrayRecord file, durably; `shard` says what it holds once the block has ended, and nobody may
    trust the file before. `rows` counts those that were written.

    Raises WorkError where the disk does not take it.
    """

    def __init__(self, path: Path, pad_id: int) -> None:
        self.path, self.pad_id = path, pad_id
        self.shard = Shard(path.name, 0, 0, 0, "")
        self.rows = 0
        self._digest, self._tokens = hashlib.sha256(), 0
        self._writer = ArrayRecordWriter(str(path), f"group_size:{ROWS_PER_CHUNK},snappy")

    def write(self, rows: Iterable[Row]) -> None:
        """Writes rows, in their order."""
        for row in rows:
            record = serialised(row)
            self._digest.update(record)
            _on_disk(self.path, self._writer.write, record)
            self.rows += 1
            self._tokens += sum(int(np.count_nonzero(row[name] != self.pad_id)) for name in TOKEN_FIELDS if name in row)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _on_disk(self.path, self._writer.close)
        if error is not None:
            return
        sync_file(self.path)
        found = ArrayRecordReader(str(self.path)).num_records()
        if found != self.rows:
            raise WorkError(
                f"{self.path}: {found} of {self.rows} records reached the disk; see to it and run the same command again"
            )
        size, digest = self.path.stat().st_size, self._digest.hexdigest()
        self.shard = Shard(self.path.name, self.rows, self._tokens, size, digest)


def write_shard(
    path: Path, layout: Layout, length: int, token_dtype: str, pad_id: int, rows: Iterable[Row], target_length: int = 0
) -> Shard:
    """Writes rows to one ArrayRecord file by `ShardWriter`."""
    features(layout, length, token_dtype, target_length)
    with ShardWriter(path, pad_id) as writer:
        writer.write(rows)
    return writer.shard


def _on_disk(path: Path, action: Callable[..., None], *arguments: bytes) -> None:
    """ArrayRecord tells of a full disk by a RuntimeError of its own."""
    try:
        action(*arguments)
    except RuntimeError as error:
        unknown = WorkError(f"{path}: cannot be written ({error}); see to the disk and run the same command again")
        raise machine_error(error, path) or unknown from None


def publish(folder: Path, written: Mapping[str, Sequence[tuple[Path, Shard]]], header: RecordsHeader) -> None:
    """Gives finished shards their TFDS names in a folder and writes the metadata, the header last.

    - `written`: for each split its shard files in order, with what `write_shard` said of them.

    Shards are linked, not copied: the originals may stay. Nothing is touched where the same records stand whole already.
    Raises WorkError where the disk does not take it; there is no header then.
    """
    templates = {
        split: tfds.core.ShardedFileTemplate(
            dataset_name=NAME, data_dir=str(folder), split=split, filetype_suffix="array_record", template=FILE_TEMPLATE
        )
        for split in written
    }
    links = {
        folder / templates[split].sharded_filepath(shard_index=index, num_shards=len(shards)).name: shard
        for split, shards in written.items()
        for index, shard in enumerate(shards)
    }
    if is_published(folder, header) and all(
        path.is_file() and path.stat().st_size == shard.bytes for path, (_, shard) in links.items()
    ):
        return
    with machine_errors_at(folder):
        folder.mkdir(parents=True, exist_ok=True)
        withdraw(folder)
        for stale in [*folder.glob(f"{NAME}-*"), *(folder / name for name in METADATA)]:
            stale.unlink(missing_ok=True)
        for link, (path, _) in links.items():
            os.link(path, link)
        splits = [
            tfds.core.SplitInfo(
                name=split,
                shard_lengths=[shard.rows for _, shard in shards],
                num_bytes=sum(shard.bytes for _, shard in shards),
                filename_template=templates[split],
            )
            for split, shards in written.items()
        ]
        tfds.folder_dataset.write_metadata(
            data_dir=str(folder),
            features=features(header.layout, header.length, header.token_dtype, header.target_length),
            split_infos=splits,
            filename_template=FILE_TEMPLATE,
            check_data=False,
        )
        for name in METADATA:
            sync_file(folder / name)
        sync_folder(folder)
        write_json(folder / HEADER, _plain(header))


def _plain(header: RecordsHeader) -> dict[str, Any]:
    """JSON-ready; without categories where rows are not of one each, as headers were before they could be."""
    return {name: value for name, value in asdict(header).items() if value or name != "categories"}


def is_published(folder: Path, header: RecordsHeader) -> bool:
    """Whether a folder's records are the ones of this header."""
    return read_json(folder / HEADER) == json.loads(json.dumps(_plain(header)))


def withdraw(folder: Path) -> None:
    """Takes the header away: nobody reads the folder's records until they are published again."""
    if (folder / HEADER).exists():
        (folder / HEADER).unlink()
        sync_folder(folder)
