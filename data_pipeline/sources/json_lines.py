"""JSON Lines: a named text field, or the Blue House petitions."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import IO

from data_pipeline.document import Document
from data_pipeline.recipe import Source
from data_pipeline.sources.lines import Unreadable, decoded_lines

EDITED_NOTICE = "[본 게시물의 일부 내용이 국민 청원 요건에 위배되어 관리자에 의해 수정되었습니다]"


def read_json_lines(stream: IO[bytes], file: str, source: Source) -> Iterator[Document | Unreadable]:
    """One document for each object, from its field `source.text_field`."""
    return _read(stream, file, source, (source.text_field,))


def read_petitions(stream: IO[bytes], file: str, source: Source) -> Iterator[Document | Unreadable]:
    """One document for each petition of lovit/petitions_archive: the title, then the content, as paragraphs.

    The board's own notice that it edited a petition, which stands under nearly a third of them, is left out.
    """
    for item in _read(stream, file, source, ("title", "content")):
        yield item if isinstance(item, Unreadable) else replace(item, text=item.text.replace(EDITED_NOTICE, ""))


def _read(stream: IO[bytes], file: str, source: Source, fields: tuple[str, ...]) -> Iterator[Document | Unreadable]:
    for item in decoded_lines(stream, file):
        if isinstance(item, Unreadable):
            yield item
            continue
        number, line = item
        if not line.strip():
            continue
        location = f"{file}:{number}"
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            yield Unreadable(location, f"not JSON ({error})")
            continue
        problem = _problem(value, fields)
        if problem:
            yield Unreadable(location, problem)
        else:
            yield Document(location, source.name, "\n".join(value[name] for name in fields))


def _problem(value: object, fields: tuple[str, ...]) -> str:
    if not isinstance(value, dict):
        return f"not a JSON object but {type(value).__name__}"
    for name in fields:
        if name not in value:
            return f'field "{name}" is missing (found: {", ".join(map(str, value))})'
        if not isinstance(value[name], str):
            return f'field "{name}" is not text but {type(value[name]).__name__}'
    return ""
