"""kowikitext and namuwikitext: articles as text, a heading being ` = title = `, ` = = section = = ` and so on, as in WikiText-103."""

import re
from collections.abc import Iterator
from typing import IO

from data_pipeline.corpus.document import Document, Metadata
from data_pipeline.corpus.sources.lines import Unreadable, decoded_lines
from data_pipeline.corpus.sources.prose import Paragraph, prose
from data_pipeline.recipe import Source

_HEADING = re.compile(r" ?((?:= )+)(\S.*?)((?: =)+) *")
_MARKUP = re.compile("^ *:+ +|'{3,}")
"""What those who made the corpora left of it: indents and bold."""


def read_wikitext(stream: IO[bytes], file: str, source: Source) -> Iterator[Document | Unreadable]:
    """One document for each article: its title, then its text, each heading and line a paragraph.

    Appendices go, and headings under which nothing is left; of an article without text nothing is left, so that cleaning drops it. An
    unreadable line is told of, and its article goes on behind it.
    """
    title, paragraphs = "", list[Paragraph]()
    first = last = 0

    def article() -> Iterator[Document]:
        if first:
            text = prose(paragraphs)
            whole = f"{title}\n{text}" if title and text else text
            place = f"{file}:{first}-{last}"
            yield Document(place, source.name, whole, category=source.category, metadata=Metadata(title))

    for item in decoded_lines(stream, file):
        if isinstance(item, Unreadable):
            yield item
            continue
        number, line = item
        if not line.strip():
            continue
        level, text = _heading(line)
        if level == 1:
            yield from article()
            title, paragraphs, first = text, [], number
        else:
            first = first or number
            paragraphs.append((level, text))
        last = number
    yield from article()


def _heading(line: str) -> Paragraph:
    """Its level, 1 the title of an article and 0 a line of text; and its text without marks."""
    found = _HEADING.fullmatch(line)
    if found is None or found[1].count("=") != found[3].count("="):
        return 0, _MARKUP.sub("", line).strip()
    return found[1].count("="), found[2].strip()
