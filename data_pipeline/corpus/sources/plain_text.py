"""Plain text: documents separated by blank lines (as in CC-100), or one document a line."""

from collections.abc import Iterator
from typing import IO

from data_pipeline.contract.file_names import tidy_name
from data_pipeline.corpus.document import Document
from data_pipeline.corpus.sources.lines import Remark, Unreadable, decoded_lines
from data_pipeline.recipe import Source


def read_blocks(stream: IO[bytes], file: str, source: Source) -> Iterator[Document | Unreadable | Remark]:
    """One document for each run of non-blank lines; its lines are its paragraphs. An unreadable line ends one too."""
    block: list[str] = []
    first = 0
    for item in decoded_lines(stream, file):
        number, line = (0, "") if isinstance(item, Unreadable) else item
        if line.strip():
            first = first if block else number
            block.append(line)
            continue
        if block:
            yield _block(file, first, source, block)
            block = []
        if isinstance(item, Unreadable):
            yield item
    if block:
        yield _block(file, first, source, block)


def _block(file: str, first: int, source: Source, lines: list[str]) -> Document:
    return Document(
        f"{file}:{first}-{first + len(lines) - 1}", source.name, "\n".join(lines), category=tidy_name(source.category)
    )


def read_lines(stream: IO[bytes], file: str, source: Source) -> Iterator[Document | Unreadable | Remark]:
    """One document for each non-blank line."""
    for item in decoded_lines(stream, file):
        if isinstance(item, Unreadable):
            yield item
        elif item[1].strip():
            yield Document(f"{file}:{item[0]}", source.name, item[1], category=tidy_name(source.category))
