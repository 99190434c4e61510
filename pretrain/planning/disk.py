"""What records take of each host: bytes on its disk, and memory for the indexes of opened shards."""

from dataclasses import replace
from pathlib import Path

from data_pipeline.contract.record_bytes import RecordBytes
from data_pipeline.contract.records import Records, RecordsHeader, read_header, records_folders, row_fields
from data_pipeline.contract.write_records import ROWS_PER_CHUNK
from pretrain.input.schedule import stretches
from pretrain.recipe import TrainingRecipe

CHUNK_BYTES, INDEX_BYTES = 62, 32
"""Of a chunk: what ArrayRecord adds to its records on disk, and memory of the index; measured with 300,000 and 1.5 million rows."""


def disk(recipe: TrainingRecipe, header: RecordsHeader, examples: Path | None) -> str:
    """What the records of all lengths that the recipe trains take, in words.

    - `header`: of the main records, planned or prepared.
    - `examples`: of a prepared run, whose records are counted; for None, or a length that was not prepared, sizes are given per row.
    """
    prepared = {read_header(folder).length: folder for folder in records_folders(examples)} if examples else {}
    lengths = dict.fromkeys(stretch.length or header.length for stretch in stretches(recipe))
    parts = [
        _counted(prepared[length]) if length in prepared else _by_the_row(replace(header, length=length))
        for length in lengths
    ]
    return f"each host: {'; '.join(parts)}"


def _counted(folder: Path) -> str:
    header = read_header(folder)
    splits = [Records(folder, split, staged=False) for split, rows in header.rows.items() if rows]
    rows, stored = sum(map(len, splits)), sum(split.stored_bytes for split in splits)
    return (
        f"{rows:,} rows of {header.length} tokens take {stored / 1e9:,.3f} GB, and "
        f"{rows * INDEX_BYTES / ROWS_PER_CHUNK / 1e6:,.1f} MB of memory when their shards are open"
    )


def _by_the_row(header: RecordsHeader) -> str:
    most = RecordBytes(row_fields(header)).size + CHUNK_BYTES / ROWS_PER_CHUNK
    return (
        f"a row of {header.length_in_words} tokens takes at most {most:,.0f} bytes ({most / header.row_tokens:.2f} GB a billion tokens; "
        f"petitions 0.8 of that), and {INDEX_BYTES / ROWS_PER_CHUNK:g} bytes of memory when its shard is open"
    )
