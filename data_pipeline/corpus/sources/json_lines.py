"""JSON Lines: an object a line, with the text in a named field."""

import json
from collections.abc import Callable, Iterator
from typing import IO

from data_pipeline.corpus.document import Document
from data_pipeline.corpus.sources.lines import Unreadable, decoded_lines
from data_pipeline.corpus.sources.records import BadRecordError, Record, documents, text_at, text_of_fields
from data_pipeline.recipe import Source

ONE_VALUE = "a file that is one JSON array or object is read as json.FIELD:GLOB"
"""What to do about a file that is not JSON Lines."""


def read_json_lines(stream: IO[bytes], file: str, source: Source) -> Iterator[Document | Unreadable]:
    """One document for each object, from its field `source.text_field`."""
    return documents(json_lines(stream, file), source, text_of_fields(source.text_field))


def read_pairs(stream: IO[bytes], file: str, source: Source) -> Iterator[Document | Unreadable]:
    """One document for each pair, from its fields `source.text_field` and `source.summary_field`, of which neither may be blank."""

    def field(name: str) -> Callable[[object], str]:
        def read(value: object) -> str:
            text = text_at(value, name)
            if not text.strip():
                raise BadRecordError(f'field "{name}" is blank')
            return text

        return read

    return documents(json_lines(stream, file), source, field(source.text_field), field(source.summary_field))


def read_news(stream: IO[bytes], file: str, source: Source) -> Iterator[Document | Unreadable]:
    """One document for each article {title, text, ...}, whose title is its summary."""
    return documents(json_lines(stream, file), source, text_of_fields("text"), text_of_fields("title"))


def json_lines(stream: IO[bytes], file: str) -> Iterator[Record | Unreadable]:
    """The value of each line that is not blank. A byte order mark may begin any line: files are glued together."""
    for item in decoded_lines(stream, file):
        if isinstance(item, Unreadable):
            yield item
            continue
        number, line = item
        if not line.strip():
            continue
        location = f"{file}:{number}"
        try:
            value = json.loads(line.removeprefix("\ufeff"))
        except (ValueError, RecursionError) as error:
            one_value = line.startswith("[") or line.rstrip().endswith(("{", "[", ","))
            yield Unreadable(location, f"not JSON ({error})" + (f"; {ONE_VALUE}" if one_value else ""))
            continue
        if isinstance(value, list):
            yield Unreadable(location, f"not a JSON object but list; {ONE_VALUE}")
            continue
        yield location, value
