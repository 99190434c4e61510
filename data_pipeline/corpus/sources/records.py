"""Records of a structured file become documents: what all such formats share."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from data_pipeline.corpus.document import Document
from data_pipeline.corpus.sources.lines import Unreadable
from data_pipeline.recipe import Source

Record = tuple[str, Any]
"""Where a record stands (`FILE:LINE` or `FILE:record NUMBER`), and what it holds."""


class BadRecordError(Exception):
    """A record that is no document; its message says what is wrong with it."""


def documents(
    records: Iterable[Record | Unreadable],
    source: Source,
    text_of: Callable[[Any], str | None],
    summary_of: Callable[[Any], str | None] = lambda value: None,
) -> Iterator[Document | Unreadable]:
    """One document for each record.

    - `text_of`: the text of what a record holds; None where it is no document by design (a redirect). It raises
      BadRecordError where the record is damaged, which becomes Unreadable.
    - `summary_of`: what is to be written from that text, likewise.
    """
    for record in records:
        if isinstance(record, Unreadable):
            yield record
            continue
        location, value = record
        try:
            text = text_of(value)
            category, summary = (category_of(value, source), summary_of(value)) if text is not None else ("", None)
        except BadRecordError as error:
            yield Unreadable(location, str(error))
            continue
        if text is not None:
            yield Document(location, source.name, text, category=category, summary=summary)


def category_of(value: object, source: Source) -> str:
    """The category of a record: its source's, or what the field `source.category_field` holds (numbers as text, null as none)."""
    if not source.category_field:
        return source.category
    for name in source.category_field.split("."):
        value = member(value, name)
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise BadRecordError(f'field "{source.category_field}" is no category but {type(value).__name__}')
    return str(value)


def member(value: object, name: str) -> Any:
    """A field of a record; BadRecordError where the record is no object or lacks it."""
    if not isinstance(value, Mapping):
        raise BadRecordError(f"not a JSON object but {type(value).__name__}")
    if name not in value:
        raise BadRecordError(f'field "{name}" is missing (found: {", ".join(map(str, value))})')
    return value[name]


def text_member(value: object, name: str) -> str:
    """A field of a record that must be text."""
    text = member(value, name)
    if not isinstance(text, str):
        raise BadRecordError(f'field "{name}" is not text but {type(text).__name__}')
    return text


def text_of_fields(*names: str) -> Callable[[object], str]:
    """Record -> the named fields, each a paragraph."""
    return lambda value: "\n".join(text_member(value, name) for name in names)
