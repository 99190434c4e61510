"""Records of a structured file become documents: what all such formats share."""

import html
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from typing import Any

from data_pipeline.contract.file_names import printable, tidy_name
from data_pipeline.corpus.document import NO_METADATA, Document, Metadata
from data_pipeline.corpus.sources.lines import Remark, Unreadable
from data_pipeline.recipe import Source

Record = tuple[str, Any]
"""Where a record stands (`FILE:LINE` or `FILE:record NUMBER`), and what it holds."""


METADATA_FIELDS = (("title",), ("url",), ("date", "created", "timestamp"))
"""Where records tell title, url and date: in the first of these fields that holds text, of the record or of an object in BESIDE."""
BESIDE = ("metadata", "meta")
_URL = re.compile(r"https?://\S+")


class BadRecordError(Exception):
    """A record that is no document; its message says what is wrong with it."""


def documents(
    records: Iterable[Record | Unreadable | Remark],
    source: Source,
    text_of: Callable[[Any], str | None],
    summary_of: Callable[[Any], str | None] = lambda value: None,
    metadata_of: Callable[[Any], Metadata] | None = None,
) -> Iterator[Document | Unreadable | Remark]:
    """One document for each record.

    - `text_of`: the text of what a record holds; None where it is no document by design (a redirect). It raises
      BadRecordError where the record is damaged, which becomes Unreadable.
    - `summary_of`: what is to be written from that text, likewise. `metadata_of`: title, url and date, where they are not in METADATA_FIELDS.
    """
    metadata_of = metadata_of or common_metadata
    for record in records:
        if isinstance(record, Unreadable | Remark):
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
            metadata = metadata_of(value)
            if metadata.title == text and metadata_of is common_metadata:  # a source of titles alone
                metadata = metadata._replace(title="")
            yield Document(location, source.name, text, category=category, summary=summary, metadata=metadata)


def common_metadata(value: object) -> Metadata:
    """What a record tells in METADATA_FIELDS."""
    if not isinstance(value, Mapping):
        return NO_METADATA
    places = [value, *(value[name] for name in BESIDE if isinstance(value.get(name), Mapping))]
    return metadata_from(*(_first(places, names) for names in METADATA_FIELDS))


def metadata_from(title: object = "", url: object = "", day: object = "") -> Metadata:
    """Metadata of what a record says; what is no text, no address with a scheme or no date is left out."""
    return Metadata(
        tidy_name(html.unescape(title)) if isinstance(title, str) else "",
        url.strip() if isinstance(url, str) and _URL.fullmatch(url.strip()) else "",
        day.isoformat() if isinstance(day, date) else tidy_name(day) if isinstance(day, str) else "",
    )


def _first(places: Iterable[Mapping[str, Any]], names: Iterable[str]) -> object:
    found = (place.get(name) for place in places for name in names)
    return next((each for each in found if isinstance(each, date) or (isinstance(each, str) and each.strip())), "")


def category_of(value: object, source: Source) -> str:
    """The category of a record: its source's, or what the field `source.category_field` holds (numbers as text, null as none)."""
    if not source.category_field:
        return tidy_name(source.category)
    value = value_at(value, source.category_field)
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise BadRecordError(f'field "{source.category_field}" is no category but {type(value).__name__}')
    return tidy_name(str(value))


def value_at(value: object, path: str) -> Any:
    """What a dotted path leads to in a record: the field of that very name, or field by field; in a list, what it leads to in each
    member, as a list.

    Raises BadRecordError that names the place where the path ends too early.
    """
    return _below(value, path, "", path)


def _below(value: object, path: str, above: str, whole: str) -> Any:
    if isinstance(value, list) and above:
        return [_below(each, path, above, whole) for each in value]
    if not isinstance(value, Mapping):
        where = f'field "{whole}": {above} is' if above else ""
        raise BadRecordError(f"{where} not a JSON object but {type(value).__name__}".lstrip())
    stored = stored_name(path, value)
    if stored is not None:
        return value[stored]
    first, _, rest = path.partition(".")
    stored = stored_name(first, value) if rest else None
    if stored is None:
        below = f" below {above}" if above else ""
        raise BadRecordError(
            f'field "{printable(whole)}" is missing (found{below}: {printable(", ".join(map(str, value)))})'
        )
    return _below(value[stored], rest, f"{above}.{first}" if above else first, whole)


def text_at(value: object, path: str) -> str:
    """The text that a dotted path leads to; of lists, each text a line.

    Raises BadRecordError where it is something else, or nowhere.
    """
    return "\n".join(_texts(value_at(value, path), path))


def _texts(found: object, path: str) -> Iterator[str]:
    if isinstance(found, str):
        yield found
    elif isinstance(found, list):
        for each in found:
            yield from _texts(each, path)
    else:
        raise BadRecordError(f'field "{path}" is not text but {type(found).__name__}')


def member(value: object, name: str) -> Any:
    """A field of a record, its name in any Unicode form; BadRecordError where the record is no object or lacks it."""
    if not isinstance(value, Mapping):
        raise BadRecordError(f"not a JSON object but {type(value).__name__}")
    stored = stored_name(name, value)
    if stored is None:
        raise BadRecordError(f'field "{printable(name)}" is missing (found: {printable(", ".join(map(str, value)))})')
    return value[stored]


def stored_name(name: str, names: Iterable[str]) -> str | None:
    """How a field or column of this name is called among these: macOS and careless tables write NFD, blanks and byte order marks."""
    if isinstance(names, Mapping) and name in names:
        return name
    listed = list(names)
    return name if name in listed else next((each for each in listed if tidy_name(str(each)) == tidy_name(name)), None)


def text_member(value: object, name: str) -> str:
    """A field of a record that must be text."""
    text = member(value, name)
    if not isinstance(text, str):
        raise BadRecordError(f'field "{name}" is not text but {type(text).__name__}')
    return text


def text_of_fields(*paths: str) -> Callable[[object], str]:
    """Record -> the text at each of these paths, each a paragraph."""
    return lambda value: "\n".join(text_at(value, path) for path in paths)
