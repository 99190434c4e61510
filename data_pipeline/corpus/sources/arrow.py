"""Parquet and Arrow tables, read a batch of rows at a time."""

from collections.abc import Iterable, Iterator
from typing import IO, Any

from data_pipeline.contract.packages import needed
from data_pipeline.corpus.document import Document
from data_pipeline.corpus.sources.lines import Unreadable
from data_pipeline.corpus.sources.records import Record, documents, text_of_fields
from data_pipeline.recipe import Source

ROWS_PER_BATCH = 1024


def read_parquet(stream: IO[bytes], file: str, source: Source) -> Iterator[Document | Unreadable]:
    """One document for each row, from its column `source.text_field`; the other columns are not read."""
    return documents(_rows(_parquet(stream, source), file), source, text_of_fields(source.text_field))


def read_arrow(stream: IO[bytes], file: str, source: Source) -> Iterator[Document | Unreadable]:
    """The same from an Arrow stream, such as the files that `save_to_disk` of a Hugging Face dataset writes."""
    return documents(_rows(_arrow_stream(stream, source), file), source, text_of_fields(source.text_field))


def _parquet(stream: IO[bytes], source: Source) -> Iterator[Any]:
    table = needed("pyarrow.parquet", "the reading of Parquet").ParquetFile(stream)
    columns = _columns(table.schema_arrow.names, source)
    for group in range(table.num_row_groups):  # one call for all groups would fetch them all at once
        yield from table.iter_batches(batch_size=ROWS_PER_BATCH, columns=columns, row_groups=[group])


def _arrow_stream(stream: IO[bytes], source: Source) -> Iterator[Any]:
    reader = needed("pyarrow.ipc", "the reading of Arrow files").open_stream(stream)
    columns = _columns(reader.schema.names, source)
    for batch in reader:
        for start in range(0, batch.num_rows, ROWS_PER_BATCH):
            yield batch.select(columns).slice(start, ROWS_PER_BATCH)


def _columns(names: list[str], source: Source) -> list[str]:
    """The columns to read: those that are asked for, or, where one is missing, all, so that its absence is told of."""
    paths = filter(None, [source.text_field, source.category_field])
    asked = [path if path in names else path.partition(".")[0] for path in paths]
    return asked if set(asked) <= set(names) else names


def _rows(batches: Iterable[Any], file: str) -> Iterator[Record | Unreadable]:
    number = 0
    try:
        for batch in batches:
            for row in batch.to_pylist():
                number += 1
                yield f"{file}:record {number}", row
    except needed("pyarrow", "the reading of tables").ArrowInvalid as error:
        problem = (
            f"damaged, or of another format, and cannot be read on from here ({' '.join(str(error).split())[:200]})"
        )
        yield Unreadable(f"{file}:record {number + 1}", problem)
