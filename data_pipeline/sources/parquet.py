"""Parquet, read a batch of rows at a time and only the column that holds the text."""

from collections.abc import Iterator
from typing import IO

from data_pipeline.contract.packages import needed
from data_pipeline.document import Document
from data_pipeline.recipe import Source
from data_pipeline.sources.lines import Unreadable
from data_pipeline.sources.records import Record, documents, text_of_fields

ROWS_PER_BATCH = 1024


def read_parquet(stream: IO[bytes], file: str, source: Source) -> Iterator[Document | Unreadable]:
    """One document for each row, from its column `source.text_field`."""
    return documents(_rows(stream, file, [source.text_field]), source, text_of_fields(source.text_field))


def _rows(stream: IO[bytes], file: str, columns: list[str]) -> Iterator[Record | Unreadable]:
    """The named columns of each row. A table without them gives its rows with the columns that it has instead."""
    arrow, parquet = needed("pyarrow", "the reading of Parquet"), needed("pyarrow.parquet", "the reading of Parquet")
    number = 0
    try:
        table = parquet.ParquetFile(stream)
        names = table.schema_arrow.names
        chosen = columns if set(columns) <= set(names) else names
        for group in range(table.num_row_groups):  # one call for all groups would fetch them all at once
            for batch in table.iter_batches(batch_size=ROWS_PER_BATCH, columns=chosen, row_groups=[group]):
                for row in batch.to_pylist():
                    number += 1
                    yield f"{file}:record {number}", row
    except arrow.ArrowInvalid as error:
        problem = " ".join(str(error).split())[:200]
        yield Unreadable(
            f"{file}:record {number + 1}", f"not Parquet, and the file cannot be read on from here ({problem})"
        )
