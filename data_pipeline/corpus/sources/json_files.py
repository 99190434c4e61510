"""JSON files of one value, such as AI-Hub's: a path leads to the documents and to their text."""

import re
from collections.abc import Iterator
from typing import IO, Any

from data_pipeline.corpus.document import HOLE, Document
from data_pipeline.corpus.sources.holes import without_lone_holes
from data_pipeline.corpus.sources.json_places import chosen_members
from data_pipeline.corpus.sources.lines import Remark, Unreadable
from data_pipeline.corpus.sources.records import Record, documents, text_of_fields
from data_pipeline.recipe import Source

_EVENT = re.compile("#@이모티콘#|#@시스템#(?:[가-힣A-Za-z]+#)?")
_MASKED = re.compile("#@[가-힣A-Za-z ]{1,12}@? ?#")


def read_json(stream: IO[bytes], file: str, source: Source) -> Iterator[Document | Unreadable | Remark]:
    """One document for each member of the first list on the path `source.text_field`, with the texts at its end as paragraphs.

    A list at the path's end is a list of paragraphs, not of documents; a file without another list on the path is one document.
    `source.category_field` is a path from the top of the file too, through the same list.
    AI-Hub's masks (`#@이름#`) leave holes, its events (`#@시스템#사진#`) nothing.
    """
    read = text_of_fields(source.text_field)
    return documents(_records(stream, file, source.text_field), source, lambda value: _without_marks(read(value)))


def _without_marks(text: str) -> str:
    if "#@" not in text:
        return text
    text = _MASKED.sub(HOLE, _EVENT.sub("", text))
    return "\n".join(without_lone_holes(line.strip()) for line in text.split("\n"))


def _records(stream: IO[bytes], file: str, path: str) -> Iterator[Record | Unreadable]:
    """Each document as the file would be if its list held this one alone."""
    names = path.split(".")
    above = {".".join(names[:depth]): depth for depth in range(len(names))}
    found: dict[str, list[str]] = {}
    list_at: list[str] = []

    def chosen(place: str, event: str, value: Any) -> str | None:
        if event == "map_key" and place in above:
            found.setdefault(place, []).append(value)
        if event == "start_array" and place in above:
            list_at[:] = names[: above[place]]
            return f"{place}.item".lstrip(".")
        return "" if place == path and not event.startswith("end_") else None

    def nowhere() -> str:
        if not found:
            return f'field "{path}" is missing: the file holds no field'
        deepest = max(found, key=above.__getitem__, default="")
        below = f" below {deepest}" if deepest else ""
        return f'field "{path}" is missing (found{below}: {", ".join(found.get(deepest, []))})'

    for record in chosen_members(stream, file, chosen, nowhere):
        if isinstance(record, Unreadable):
            yield record
            continue
        location, value = record
        for name in reversed(list_at):
            value = {name: value}
        yield location, value
