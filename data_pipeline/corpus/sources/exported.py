"""What export-text wrote, read back: documents with their sentences, gaps and split as given."""

import re
from collections.abc import Iterator, Mapping
from functools import partial
from typing import IO, Any

from data_pipeline.contract.compression import head_of
from data_pipeline.corpus.document import Document, Given
from data_pipeline.corpus.sources.arrow import parquet_batches, rows_of_batches
from data_pipeline.corpus.sources.json_lines import json_lines
from data_pipeline.corpus.sources.lines import Remark, Unreadable
from data_pipeline.corpus.sources.records import BadRecordError, category_of, common_metadata, member, text_member
from data_pipeline.recipe import Source

COLUMNS = ("id", "text", "category", "split", "sentence_starts", "gaps", "metadata")
SPLITS = {"train": "train", "validation": "evaluation"}
_PARQUET = b"PAR1"
_KEY = re.compile(r"[0-9a-f]{32}")


def read_export(stream: IO[bytes], file: str, source: Source) -> Iterator[Document | Unreadable | Remark]:
    """One document for each row of a shard, Parquet or JSON Lines. Source, weight, licence and signals are not taken from the row: the recipe
    names its own."""
    head, stream = head_of(stream)
    if head.startswith(_PARQUET):
        records = rows_of_batches(partial(parquet_batches, columns=COLUMNS), stream, file, source)
    else:
        records = json_lines(stream, file)
    for record in records:
        if isinstance(record, Unreadable):
            yield record
            continue
        location, row = record
        try:
            yield _document(location, row, source)
        except BadRecordError as error:
            yield Unreadable(location, f"{error}; not as export-text writes it")


def _document(location: str, row: Any, source: Source) -> Document:
    text, key, split = (text_member(row, name) for name in ("text", "id", "split"))
    starts, gaps = _numbers(row, "sentence_starts"), _numbers(row, "gaps")
    if not _KEY.fullmatch(key):
        raise BadRecordError('field "id" is not 32 hexadecimal digits')
    if split not in SPLITS:
        raise BadRecordError(f'field "split" is {split!r}, neither train nor validation')
    if starts[:1] != (0,) or list(starts) != sorted(set(starts)) or starts[-1] >= len(text):
        raise BadRecordError('field "sentence_starts" does not rise from 0 inside the text')
    if not set(gaps) <= set(range(len(starts))):
        raise BadRecordError('field "gaps" names a sentence that does not exist')
    own = source.category or source.category_field
    place = row.get("metadata")
    told = place.get("location") if isinstance(place, Mapping) else None
    return Document(
        told or location,
        source.name,
        text,
        category=category_of(row, source) if own else text_member(row, "category"),
        metadata=common_metadata(place),  # not of the row: its `created` is in another form
        given=Given(starts, gaps, SPLITS[split], key),
    )


def _numbers(row: Any, name: str) -> tuple[int, ...]:
    found = member(row, name)
    if not isinstance(found, list) or not all(isinstance(each, int) for each in found):
        raise BadRecordError(f'field "{name}" is not a list of numbers')
    return tuple(found)
