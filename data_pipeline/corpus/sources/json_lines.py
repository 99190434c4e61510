"""JSON Lines: an object a line, with the text in a named field."""

import json
from collections.abc import Callable, Iterator
from typing import IO

from data_pipeline.corpus.document import Document
from data_pipeline.corpus.sources.lines import Remark, Unreadable, decoded_lines, left_in
from data_pipeline.corpus.sources.records import BadRecordError, Record, documents, text_at, text_of_fields
from data_pipeline.recipe import Source

READ_AS_JSON = "read it as json.FIELD:GLOB"
"""What to do about a file that is not JSON Lines."""


def read_json_lines(stream: IO[bytes], file: str, source: Source) -> Iterator[Document | Unreadable | Remark]:
    """One document for each object, from its field `source.text_field`."""
    return documents(json_lines(stream, file), source, text_of_fields(source.text_field))


def read_pairs(stream: IO[bytes], file: str, source: Source) -> Iterator[Document | Unreadable | Remark]:
    """One document for each pair, from its fields `source.text_field` and `source.summary_field`, of which neither may be blank."""

    def field(name: str) -> Callable[[object], str]:
        def read(value: object) -> str:
            text = text_at(value, name)
            if not text.strip():
                raise BadRecordError(f'field "{name}" is blank')
            return text

        return read

    return documents(json_lines(stream, file), source, field(source.text_field), field(source.summary_field))


def read_news(stream: IO[bytes], file: str, source: Source) -> Iterator[Document | Unreadable | Remark]:
    """One document for each article {title, text, ...}, whose title is its summary."""
    return documents(json_lines(stream, file), source, text_of_fields("text"), text_of_fields("title"))


def json_lines(stream: IO[bytes], file: str) -> Iterator[Record | Unreadable]:
    """The value of each line that is not blank."""
    first = True
    for item in decoded_lines(stream, file):
        if isinstance(item, Unreadable):
            yield item
            continue
        number, line = item
        if not line.strip():
            continue
        location = f"{file}:{number}"
        problem = ""
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            value, problem = None, f"not JSON ({error})"
        if first and (whole := _whole_file(line, value)):
            yield Unreadable(location, *whole, ends=True, unread=len(line.encode(errors="replace")) + left_in(stream))
            return
        first = False
        yield Unreadable(location, problem) if problem else (location, value)


def _whole_file(line: str, value: object) -> tuple[str, str] | None:
    """What a file is that is one JSON value instead of one a line, by its first line, and what to do; None of JSON Lines.

    - `value`: the line's, None where it is not JSON by itself.
    """
    text = line.strip()
    if (text.startswith("[") and value is None) or (isinstance(value, list) and value and isinstance(value[0], dict)):
        if text != "[" and not text[1:].lstrip().startswith(("{", '"')):
            return None
        return "the file is one JSON array, not an object a line", READ_AS_JSON
    if value is None and (text == "{" or (text.startswith("{") and text.endswith((",", "{", "[")))):
        return (
            "the file is one JSON object over several lines, not an object a line",
            READ_AS_JSON,
        )
    return None
