"""Wikipedia's XML dumps (pages-articles), page by page."""

from collections import Counter
from collections.abc import Iterator
from typing import IO
from xml.etree import ElementTree

from data_pipeline.corpus.document import Document
from data_pipeline.corpus.sources.lines import Remark, Skipped, Unreadable, left_in
from data_pipeline.corpus.sources.records import BadRecordError, Record, documents, text_member
from data_pipeline.corpus.sources.wikitext import wikitext_converter
from data_pipeline.recipe import Source

REDIRECTS = ("#redirect", "#넘겨주기")


def read_wikipedia(stream: IO[bytes], file: str, source: Source) -> Iterator[Document | Unreadable | Remark]:
    """One document for each article (name space 0, no redirect). A record's number is the page's place in the dump.

    Other pages are Skipped one by one; what is left out of the articles, at the end, for each kind of construct.
    """
    hidden: Counter[str] = Counter()
    hidden_bytes: Counter[str] = Counter()
    convert = wikitext_converter(hidden, hidden_bytes)

    def text_of(page: object) -> str:
        try:
            return convert(text_member(page, "text"))
        except ValueError as error:
            raise BadRecordError(str(error)) from None

    for item in _articles(stream, file):
        if isinstance(item, Skipped):
            yield item
        else:
            yield from documents([item], source, text_of)
    for what, number in sorted(hidden.items()):
        yield Skipped(what, number, hidden_bytes[what])


def _articles(stream: IO[bytes], file: str) -> Iterator[Record | Unreadable | Skipped]:
    number, taken = 0, _Taken(stream)
    try:
        events = ElementTree.iterparse(taken, events=("start", "end"))
        root = None
        for event, element in events:
            root = element if root is None else root
            if event == "start" or element.tag.rpartition("}")[2] != "page":
                continue
            number += 1
            page = {child.tag.rpartition("}")[2]: child for child in element.iter()}
            fields = {name: page[name].text or "" for name in ("ns", "title", "text", "timestamp") if name in page}
            redirect = "redirect" in page or fields.get("text", "").lstrip().lower().startswith(REDIRECTS)
            root.clear()
            size = len(fields.get("text", "").encode())
            if fields.get("ns", "0") != "0":
                yield Skipped("pages of other name spaces", size=size)
            elif redirect:
                yield Skipped("redirects", size=size)
            else:
                yield f"{file}:record {number}", fields
    except ElementTree.ParseError as error:
        if error.position != (1, 0):  # an empty file holds nothing
            location = f"{file}:record {number + 1}"
            if taken.ended:
                problem = "cut off in this record, and the file cannot be read on from here"
                yield Unreadable(location, problem, "fetch it again", ends=True)
            else:
                problem = f"not XML, and the file cannot be read on from here ({error})"
                yield Unreadable(location, problem, ends=True, unread=taken.left_from(error.position[0]))


class _Taken:
    """A stream as the parser reads it, with the last piece that it took."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self._last, self._lines_before = stream, b"", 0
        self.ended = False

    def read(self, size: int = -1) -> bytes:
        self._lines_before += self._last.count(b"\n")
        self._last = self._stream.read(size)
        self.ended = not self._last
        return self._last

    def left_from(self, line: int) -> int:
        """Bytes from the start of a line of the file on; those from the start of the last piece, where the line began before it."""
        position = 0
        for _ in range(line - 1 - self._lines_before):
            position = self._last.index(b"\n", position) + 1
        return len(self._last) - position + left_in(self._stream)
