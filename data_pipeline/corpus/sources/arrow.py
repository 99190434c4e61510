"""Parquet and Arrow tables, read a batch of rows at a time."""

import io
from collections.abc import Callable, Iterator, Sequence
from typing import IO, Any

from data_pipeline.contract.packages import needed
from data_pipeline.corpus.document import Document
from data_pipeline.corpus.sources.lines import Remark, Unreadable
from data_pipeline.corpus.sources.records import METADATA_FIELDS, Record, documents, stored_name, text_of_fields
from data_pipeline.recipe import Source

ROWS_PER_BATCH = 1024


def read_parquet(stream: IO[bytes], file: str, source: Source) -> Iterator[Document | Unreadable | Remark]:
    """One document for each row, from its column `source.text_field`; of the others those of METADATA_FIELDS are read."""
    return documents(rows_of_batches(parquet_batches, stream, file, source), source, text_of_fields(source.text_field))


def read_arrow(stream: IO[bytes], file: str, source: Source) -> Iterator[Document | Unreadable | Remark]:
    """The same from an Arrow stream, such as the files that `save_to_disk` of a Hugging Face dataset writes."""
    return documents(rows_of_batches(_arrow_stream, stream, file, source), source, text_of_fields(source.text_field))


class _Progress:
    """Bytes of the file behind the batch that is being read."""

    left = 0


def parquet_batches(
    stream: IO[bytes], source: Source, progress: _Progress, columns: Sequence[str] = ()
) -> Iterator[Any]:
    """Batches of a Parquet file; of all columns, these (where one is missing, all), or those that the source needs."""
    progress.left = _size(stream)
    table = needed("pyarrow.parquet", "the reading of Parquet").ParquetFile(stream)
    names = table.schema_arrow.names
    columns = (columns if set(columns) <= set(names) else names) or _columns(names, source)
    groups = [table.metadata.row_group(number) for number in range(table.num_row_groups)]
    sizes = [sum(of.column(each).total_compressed_size for each in range(of.num_columns)) for of in groups]
    for group in range(table.num_row_groups):  # one call for all groups would fetch them all at once
        progress.left = sum(sizes[group:])
        yield from table.iter_batches(batch_size=ROWS_PER_BATCH, columns=list(columns), row_groups=[group])


def _arrow_stream(stream: IO[bytes], source: Source, progress: _Progress) -> Iterator[Any]:
    size = progress.left = _size(stream)
    reader = needed("pyarrow.ipc", "the reading of Arrow files").open_stream(stream)
    columns = _columns(reader.schema.names, source)
    progress.left = size - stream.tell() if size else 0
    for batch in reader:
        for start in range(0, batch.num_rows, ROWS_PER_BATCH):
            yield batch.select(columns).slice(start, ROWS_PER_BATCH)
        progress.left = size - stream.tell() if size else 0


def _size(stream: IO[bytes]) -> int:
    if not stream.seekable():
        return 0
    position, size = stream.tell(), stream.seek(0, io.SEEK_END)
    stream.seek(position)
    return size


def _columns(names: list[str], source: Source) -> list[str]:
    """The columns to read: those that are asked for, or, where one is missing, all, so that its absence is told of."""
    paths = filter(None, [source.text_field, source.category_field])
    stored = [stored_name(path, names) or stored_name(path.partition(".")[0], names) for path in paths]
    told = [name for of in METADATA_FIELDS for name in of if name in names]
    return names if None in stored else list(dict.fromkeys(name for name in (*stored, *told) if name is not None))


def rows_of_batches(
    batches: Callable[[IO[bytes], Source, _Progress], Iterator[Any]], stream: IO[bytes], file: str, source: Source
) -> Iterator[Record | Unreadable]:
    """The rows of the batches of a file, with their places."""
    pyarrow = needed("pyarrow", "the reading of tables")
    number, progress = 0, _Progress()
    try:
        for batch in batches(stream, source, progress):
            for row in _values(batch):
                number += 1
                location = f"{file}:record {number}"
                yield Unreadable(location, row) if isinstance(row, str) else (location, row)
    except (pyarrow.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # the machine's or the network's
            raise
        reason = " ".join(str(error).split())[:200]
        problem = f"damaged, or of another format, and cannot be read on from here ({reason})"
        yield Unreadable(f"{file}:record {number + 1}", problem, "fetch it again", True, progress.left)


def _values(batch: Any) -> Iterator[dict[str, Any] | str]:
    """The rows of a batch; what is wrong with one whose text is not UTF-8."""
    try:
        yield from batch.to_pylist()
    except UnicodeDecodeError:
        for place in range(batch.num_rows):
            try:
                yield batch.slice(place, 1).to_pylist()[0]
            except UnicodeDecodeError as error:
                yield f"not UTF-8 ({error.reason} at byte {error.start + 1})"
