"""Large JSON files that hold one long array: its members one by one, so that the file never stands in memory."""

import codecs
from collections.abc import Iterator
from itertools import chain
from typing import IO

from data_pipeline.contract.packages import needed
from data_pipeline.corpus.sources.lines import Unreadable
from data_pipeline.corpus.sources.records import Record

READ_BYTES = 1 << 16


def array_members(stream: IO[bytes], file: str, path: str) -> Iterator[Record | Unreadable]:
    """The members of the array at `path` ("item": the file is the array; "document.item": it is the field document), or the one value
    that is no array there ("", "document").

    What follows a place that is not JSON cannot be told apart, so it is the last thing that is reported of a file.
    """
    ijson = needed("ijson", "the reading of large JSON files")
    first = stream.read(READ_BYTES).removeprefix(codecs.BOM_UTF8)
    if not first.strip():
        return
    members = ijson.items(
        ijson.from_iter(chain([first], iter(lambda: stream.read(READ_BYTES), b""))), path, use_float=True
    )
    end = object()
    number = 0
    while True:
        number += 1
        location = f"{file}:record {number}"
        try:
            value = next(members, end)
        except ijson.JSONError as error:
            problem = " ".join(str(error).split())[:200]
            yield Unreadable(location, f"not JSON, and the file cannot be read on from here ({problem})")
            return
        except UnicodeDecodeError as error:
            yield Unreadable(location, f"not UTF-8, and the file cannot be read on from here ({error.reason})")
            return
        if value is end:
            break
        yield location, value
