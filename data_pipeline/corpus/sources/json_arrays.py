"""Large JSON files that hold one value with a long list: its members one by one, so that the file never stands in memory."""

import codecs
from collections.abc import Callable, Iterator
from itertools import chain
from typing import IO, Any

from data_pipeline.contract.packages import needed
from data_pipeline.corpus.sources.lines import Unreadable
from data_pipeline.corpus.sources.records import Record

READ_BYTES = 1 << 16
SEARCHED_BYTES = 1 << 26
"""How much of a file is looked through for the place where its documents begin."""
Chosen = Callable[[str, str, Any], str | None]
"""Of a place in a file (`data.item.text`), ijson's event there and its value: where the records are, in ijson's terms; None: not here."""


def array_members(stream: IO[bytes], file: str, path: str) -> Iterator[Record | Unreadable]:
    """The members of the list at `path` ("" is the file itself, "document" a field of it), or the one object there.

    What follows a place that is not JSON cannot be told apart, so it is the last thing that is reported of a file.
    """

    def chosen(place: str, event: str, _: Any) -> str | None:
        if place != path or event not in ("start_array", "start_map"):
            return None
        return f"{path}.item".lstrip(".") if event == "start_array" else path

    return chosen_members(stream, file, chosen, lambda: f"no list and no object at {path or 'the top'}")


def chosen_members(
    stream: IO[bytes], file: str, chosen: Chosen, nowhere: Callable[[], str]
) -> Iterator[Record | Unreadable]:
    """The values at the first place of a file that `chosen` names; `nowhere` is said of a file that has none."""
    ijson = needed("ijson", "the reading of large JSON files")
    first = stream.read(READ_BYTES).removeprefix(codecs.BOM_UTF8)
    if not first.strip():
        return
    number = 0
    try:
        read, path = _found(ijson, chain([first], iter(lambda: stream.read(READ_BYTES), b"")), chosen)
        if path is None:
            yield Unreadable(f"{file}:record 1", nowhere())
            return
        rest = chain(read, iter(lambda: stream.read(READ_BYTES), b""))
        for value in ijson.items(ijson.from_iter(rest), path, use_float=True):
            number += 1
            yield f"{file}:record {number}", value
    except ijson.JSONError as error:
        problem = " ".join(str(error).split())[:200]
        yield Unreadable(
            f"{file}:record {number + 1}", f"not JSON, and the file cannot be read on from here ({problem})"
        )
    except UnicodeDecodeError as error:
        yield Unreadable(
            f"{file}:record {number + 1}", f"not UTF-8, and the file cannot be read on from here ({error.reason})"
        )


def _found(ijson: Any, pieces: Iterator[bytes], chosen: Chosen) -> tuple[list[bytes], str | None]:
    """The pieces read until the place was found, and where the records are; None where the file, or what is searched of it, has none."""
    events: list[tuple[str, str, Any]] = ijson.sendable_list()
    parser = ijson.parse_coro(events)
    read: list[bytes] = []
    searched = 0
    for piece in pieces:
        read.append(piece)
        searched += len(piece)
        problem = None
        try:
            parser.send(piece)
        except (ijson.JSONError, UnicodeDecodeError) as error:  # perhaps behind the place; the second reading tells
            problem = error
        for place, event, value in events:
            if (path := chosen(place, event, value)) is not None:
                return read, path
        del events[:]
        if problem:
            raise problem
        if searched > SEARCHED_BYTES:
            return read, None
    parser.close()  # raises where the file ends too early
    return read, None
