"""Of export-text: the sentences of a part become a shard of each split."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import zstandard

from data_pipeline.contract.packages import needed
from data_pipeline.corpus.corpus_files import read_sentences
from data_pipeline.corpus.exported import SPLITS, Described, arrow_schema, rows_of
from data_pipeline.tasks.shard_task import ShardTask

DUPLICATES = np.dtype([("key", "S16"), ("number", "<i4")])
"""How many documents more had the cleaned text of this key; sorted by key."""
ROWS_PER_GROUP = 4096


def write_shards(task: ShardTask, folder: Path) -> dict[str, Any]:
    """Writes `SPLIT.FORMAT` for each split that the part has documents of, and counts their documents, sentences and bytes of text."""
    described = Described(**task.parameters["described"])
    [part], [table] = task.inputs["part"], task.inputs["duplicates"]
    found = np.load(table.path)
    duplicates = {
        key.ljust(16, b"\0").hex(): int(number)
        for key, number in zip(found["key"].tolist(), found["number"].tolist(), strict=True)
    }
    write = {"parquet": _write_parquet, "jsonl.zst": _write_json_lines}[task.parameters["format"]]
    counts: dict[str, Any] = {"documents": 0, "text_bytes": 0, "splits": {}}
    for split, name in SPLITS.items():
        numbers = {"documents": 0, "sentences": 0, "text_bytes": 0}
        rows = _counted(rows_of(read_sentences(part.path, split), described, duplicates), numbers)
        if first := next(rows, None):
            write(folder / f"{name}.{task.parameters['format']}", _chained(first, rows))
            counts["splits"][name] = numbers
        counts["documents"] += numbers["documents"]
        counts["text_bytes"] += numbers["text_bytes"]
    return counts


def _counted(rows: Iterator[dict[str, Any]], numbers: dict[str, int]) -> Iterator[dict[str, Any]]:
    for row in rows:
        numbers["documents"] += 1
        numbers["sentences"] += len(row["sentence_starts"])
        numbers["text_bytes"] += len(row["text"].encode())
        yield row


def _chained(first: dict[str, Any], rest: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    yield first
    yield from rest


def _write_parquet(path: Path, rows: Iterator[dict[str, Any]]) -> None:
    arrow, parquet = needed("pyarrow", "Parquet"), needed("pyarrow.parquet", "Parquet")
    schema = arrow_schema()
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        group: list[dict[str, Any]] = []
        for row in rows:
            group.append(row)
            if len(group) == ROWS_PER_GROUP:
                writer.write_table(arrow.Table.from_pylist(group, schema))
                group = []
        if group:
            writer.write_table(arrow.Table.from_pylist(group, schema))


def _write_json_lines(path: Path, rows: Iterator[dict[str, Any]]) -> None:
    with open(path, "wb") as file, zstandard.ZstdCompressor(level=3).stream_writer(file) as stream:
        for row in rows:
            stream.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
