"""Plain text: documents separated by blank lines (as in CC-100), or one document a line."""

from collections.abc import Iterator
from typing import IO

from data_pipeline.contract.file_names import tidy_name
from data_pipeline.corpus.document import Document
from data_pipeline.corpus.sources.lines import Remark, Unreadable, decoded_lines
from data_pipeline.recipe import Source

LONGEST_BLOCK = 1_000_000
"""Characters of a document at most, as far as its lines allow: a file without blank lines would be one, of any size."""
MANY_LINES = 10
"""Lines from which on a file without a blank line is worth a word."""
_UNSEEN = "\u200b\u200c\u200d\u200e\u200f\u2060\ufeff\xad\u3164\uffa0\u2800"


def _is_blank(line: str) -> bool:
    """Whether nobody sees anything in a line: blanks, zero-width characters, Hangul fillers."""
    seen = line.strip()
    return not seen or (seen[0] in _UNSEEN and not seen.strip(f"{_UNSEEN} \t\xa0\u3000"))


def read_blocks(stream: IO[bytes], file: str, source: Source) -> Iterator[Document | Unreadable | Remark]:
    """One document for each run of non-blank lines; its lines are its paragraphs. An unreadable line ends one too, and so does a line end
    behind LONGEST_BLOCK characters."""
    block: list[str] = []
    first = blocks = lines = characters = 0
    for item in decoded_lines(stream, file):
        number, line = (0, "") if isinstance(item, Unreadable) else item
        if not _is_blank(line):
            if block and characters + len(line) > LONGEST_BLOCK:
                yield _block(file, first, source, block)
                yield Remark("blocks_cut")
                block, characters = [], 0
            first = first if block else number
            block.append(line)
            lines, characters = lines + 1, characters + len(line)
            continue
        if block:
            yield _block(file, first, source, block)
            block, blocks, characters = [], blocks + 1, 0
        if isinstance(item, Unreadable):
            yield item
    if block:
        yield _block(file, first, source, block)
        blocks += 1
    if blocks == 1 and lines >= MANY_LINES:
        yield Remark("lines_of_one_block", lines)


def _block(file: str, first: int, source: Source, lines: list[str]) -> Document:
    return Document(
        f"{file}:{first}-{first + len(lines) - 1}", source.name, "\n".join(lines), category=tidy_name(source.category)
    )


def read_lines(stream: IO[bytes], file: str, source: Source) -> Iterator[Document | Unreadable | Remark]:
    """One document for each non-blank line."""
    for item in decoded_lines(stream, file):
        if isinstance(item, Unreadable):
            yield item
        elif not _is_blank(item[1]):
            yield Document(f"{file}:{item[0]}", source.name, item[1], category=tidy_name(source.category))
