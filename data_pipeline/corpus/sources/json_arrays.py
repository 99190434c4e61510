"""Large JSON files that hold one long array: its members one by one, so that the file never stands in memory."""

import codecs
import re
from collections.abc import Iterator
from typing import IO

from data_pipeline.contract.packages import needed
from data_pipeline.corpus.sources.encodings import looks_like, to_convert
from data_pipeline.corpus.sources.lines import Unreadable, left_in
from data_pipeline.corpus.sources.records import Record

READ_BYTES = 1 << 16


def array_members(stream: IO[bytes], file: str, path: str) -> Iterator[Record | Unreadable]:
    """The members of the array at `path` ("item": the file is the array; "document.item": it is the field document), or the one value
    that is no array there ("", "document").

    What follows a place that is not JSON cannot be told apart, so it is the last thing that is reported of a file.
    """
    ijson = needed("ijson", "the reading of large JSON files")
    taken = _Taken(stream)
    if not taken.content.strip():
        return
    members = ijson.items(taken, path, use_float=True)
    end = object()
    number = 0
    while True:
        number += 1
        location = f"{file}:record {number}"
        try:
            value = next(members, end)
        except ijson.JSONError as error:
            yield _damage(location, error.args[0], taken)
            return
        if value is end:
            break
        yield location, value


class _Taken:
    """A stream as ijson reads it, with the last pieces that it took."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream = stream
        self.content = self._waiting = stream.read(READ_BYTES).removeprefix(codecs.BOM_UTF8)

    def read(self, size: int) -> bytes:
        if self._waiting or not size:
            content, self._waiting = self._waiting[:size], self._waiting[size:]
            return content
        content = self.stream.read(size)
        if content:
            self.content = self.content[-READ_BYTES:] + content
        return content


def _damage(location: str, told: object, taken: _Taken) -> Unreadable:
    """The place at which ijson stopped; it tells the reason, the bytes about the place, and an arrow below them."""
    lines = (told if isinstance(told, bytes) else str(told).encode()).split(b"\n")
    reason = lines[0].decode(errors="replace").partition(": ")[2] or lines[0].decode(errors="replace")
    if "EOF" in reason or "ncomplete" in reason:
        return Unreadable(
            location, "cut off in this record, and the file cannot be read on from here", "fetch it again", ends=True
        )
    position = _place(lines, taken.content)
    unread = len(taken.content) - position + left_in(taken.stream)
    if "trailing garbage" in reason:
        problem = "the file holds more than one JSON value, and cannot be read on from here"
        return Unreadable(location, problem, "read a file of one object a line as jsonl.FIELD:GLOB", True, unread)
    problem = f"not JSON, and the file cannot be read on from here ({reason.rstrip('.')})"
    if "UTF8" in reason:
        found = looks_like(taken.content[max(0, position - 50) : position + 200])
        if found:
            return Unreadable(location, f"looks like {found[0]}, not UTF-8", to_convert(found[1]), True, unread)
        problem = "not UTF-8, and the file cannot be read on from here"
    return Unreadable(location, problem, ends=True, unread=unread)


def _place(lines: list[bytes], content: bytes) -> int:
    """Where in the last bytes that were read the arrow points; their start where that cannot be told."""
    if len(lines) < 3 or b"^" not in lines[-2]:
        return 0
    arrow = lines[-2].index(b"^")
    about = b"\n".join(lines[1:-2])
    before = about[:arrow].lstrip(b" ")
    # Line ends come as blanks.
    pattern = re.escape(before + about[arrow:].rstrip()).replace(rb"\ ", rb"[ \r\n]")
    found = list(re.finditer(pattern, content)) if pattern else []
    return found[-1].start() + len(before) if found else 0
