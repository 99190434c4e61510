"""Where in a JSON file its documents are: a list of them, or one object in its place."""

import codecs
from collections.abc import Callable, Iterator
from typing import IO, Any, cast

from data_pipeline.contract.packages import needed
from data_pipeline.corpus.sources.json_arrays import READ_BYTES, array_members
from data_pipeline.corpus.sources.lines import Unreadable
from data_pipeline.corpus.sources.records import Record

SEARCHED_BYTES = 1 << 26
"""How much of a file is looked through for the place where its documents begin."""
Chosen = Callable[[str, str, Any], str | None]
"""Of a place in a file (`data.item.text`), ijson's event there and its value: where the records are, in ijson's terms; None: not here."""


def members_at(stream: IO[bytes], file: str, path: str) -> Iterator[Record | Unreadable]:
    """The members of the list at `path` ("" is the file itself, "document" a field of it), or the one object there."""

    def chosen(place: str, event: str, _: Any) -> str | None:
        if place != path or event not in ("start_array", "start_map"):
            return None
        return f"{path}.item".lstrip(".") if event == "start_array" else path

    return chosen_members(stream, file, chosen, lambda: f"no list and no object at {path or 'the top'}")


def chosen_members(
    stream: IO[bytes], file: str, chosen: Chosen, nowhere: Callable[[], str]
) -> Iterator[Record | Unreadable]:
    """The values at the first place of a file that `chosen` names; `nowhere` is said of a file that has none."""
    read: list[bytes] = []
    try:
        path = _place(stream, read, chosen)
    except (needed("ijson", "the reading of large JSON files").JSONError, UnicodeDecodeError):
        path = "item"  # the second reading tells what is wrong with the file
    if path is not None:
        yield from array_members(cast("IO[bytes]", _Again(read, stream)), file, path)
    elif b"".join(read).strip():
        yield Unreadable(f"{file}:record 1", nowhere())


def _place(stream: IO[bytes], read: list[bytes], chosen: Chosen) -> str | None:
    """Where the records are; None where the file, or what is searched of it, has none. What was read of the stream is added to `read`."""
    ijson = needed("ijson", "the reading of large JSON files")
    events: list[tuple[str, str, Any]] = ijson.sendable_list()
    parser = ijson.parse_coro(events)
    searched = 0
    while searched <= SEARCHED_BYTES:
        piece = stream.read(READ_BYTES)
        read.append(piece)
        if not piece:
            break
        problem = None
        try:
            parser.send(piece if searched else piece.removeprefix(codecs.BOM_UTF8))
        except (ijson.JSONError, UnicodeDecodeError) as error:
            problem = error
        for place, event, value in events:
            if (path := chosen(place, event, value)) is not None:
                return path
        del events[:]
        if problem:
            raise problem
        searched += len(piece)
    if 0 < searched <= SEARCHED_BYTES:
        parser.close()  # raises where the file ends too early
    return None


class _Again:
    """A stream from its beginning, the pieces read so far first."""

    def __init__(self, read: list[bytes], stream: IO[bytes]) -> None:
        self._read, self._stream = read[::-1], stream

    def read(self, size: int = -1) -> bytes:
        while self._read and not self._read[-1]:
            self._read.pop()
        if not self._read:
            return self._stream.read(size)
        piece = self._read.pop()
        if 0 <= size < len(piece):
            self._read.append(piece[size:])
            piece = piece[:size]
        return piece
