"""CSV and TSV with a line of column names; the text stands in a named column."""

import csv
from collections.abc import Iterator
from typing import IO

from data_pipeline.corpus.document import Document
from data_pipeline.corpus.sources.lines import Remark, Unreadable, decoded_lines
from data_pipeline.corpus.sources.records import Record, documents, text_of_fields
from data_pipeline.recipe import Source

LONGEST_FIELD = 1 << 30


def read_csv(stream: IO[bytes], file: str, source: Source) -> Iterator[Document | Unreadable | Remark]:
    """One document for each row, from its column `source.text_field`; fields may be quoted and span lines."""
    return documents(table_rows(stream, file, ",", quoted=True), source, text_of_fields(source.text_field))


def read_tsv(stream: IO[bytes], file: str, source: Source) -> Iterator[Document | Unreadable | Remark]:
    """One document for each line, from its column `source.text_field`; quotation marks are text, as in NSMC."""
    return documents(table_rows(stream, file, "\t", quoted=False), source, text_of_fields(source.text_field))


def table_rows(stream: IO[bytes], file: str, delimiter: str, *, quoted: bool) -> Iterator[Record | Unreadable]:
    """The rows after the first as column name -> field. A location is the line on which a row begins."""
    damaged: list[Unreadable] = []
    last, taken, ended = 0, 0, False

    def lines() -> Iterator[str]:
        nonlocal last, taken, ended
        for item in decoded_lines(stream, file):
            if isinstance(item, Unreadable):
                damaged.append(item)  # its row is unreadable with it: a quoted field may span lines
                last += 1
                yield "\n"
            else:
                last, line = item
                taken += len(line.encode(errors="replace")) + 1
                yield line + "\n"
        ended = True

    csv.field_size_limit(LONGEST_FIELD)
    rows = csv.reader(
        lines(), delimiter=delimiter, quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE, strict=True
    )
    names: list[str] | None = None
    while True:
        location, first, before = f"{file}:{last + 1}", last + 1, taken
        try:
            row = next(rows, None)
        except csv.Error as error:
            if ended and last > first:
                problem = "a quotation mark opens here and is never closed, and the file cannot be read on from here"
                yield Unreadable(location, problem, ends=True, unread=taken - before)
                return
            to = f", which goes to line {last}" if last > first else ""
            yield Unreadable(location, f"not a row of a table ({error}){to}")
            continue
        if damaged:
            yield from damaged
            damaged.clear()
        elif row and names is None:
            names = row
        elif row and len(row) != len(names or ()):
            yield Unreadable(location, f"{len(row)} fields, but {len(names or ())} column names in the first line")
        elif row:
            yield location, dict(zip(names or (), row, strict=True))
        if row is None:
            return
