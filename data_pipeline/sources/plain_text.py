"""Plain text: documents separated by blank lines (as in CC-100), or one document a line."""

from collections.abc import Iterator
from typing import IO

from data_pipeline.document import Document
from data_pipeline.recipe import Source
from data_pipeline.sources.lines import Unreadable, decoded_lines


def read_blocks(stream: IO[bytes], file: str, source: Source) -> Iterator[Document | Unreadable]:
    """One document for each run of non-blank lines; its lines are its paragraphs."""
    block: list[str] = []
    first = last = 0
    for item in decoded_lines(stream, file):
        if isinstance(item, Unreadable):
            yield item
            continue
        number, line = item
        if line.strip():
            first = first if block else number
            last = number
            block.append(line)
        elif block:
            yield Document(f"{file}:{first}-{last}", source.name, "\n".join(block))
            block = []
    if block:
        yield Document(f"{file}:{first}-{last}", source.name, "\n".join(block))


def read_lines(stream: IO[bytes], file: str, source: Source) -> Iterator[Document | Unreadable]:
    """One document for each non-blank line."""
    for item in decoded_lines(stream, file):
        if isinstance(item, Unreadable):
            yield item
        elif item[1].strip():
            yield Document(f"{file}:{item[0]}", source.name, item[1])
