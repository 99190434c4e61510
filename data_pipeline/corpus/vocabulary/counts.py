"""Tables of counts on disk, sorted by text: written and added up as streams, so that no corpus' counts need fit in memory."""

import heapq
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from tempfile import TemporaryDirectory

import zstandard

Count = tuple[str, int]
Counts = Iterable[Count]
"""Sorted by text, each text once; may be iterated over several times."""
COUNTED_AT_ONCE = 500_000
"""Different texts that are counted in memory, in some 100 MB, before they go to disk."""
MOST_AT_ONCE = 64
"""Tables that are read at the same time; more are added up in several passes."""
WINDOW_LOG = 20
"""Of the compression: a table that is read keeps 1 MiB, not 8."""


class CountTable:
    """The pairs of text and count of a table on disk, sorted by text, each text once; read anew in each iteration."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def __iter__(self) -> Iterator[Count]:
        with open(self.path, "rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as stream:
            for line in io.TextIOWrapper(stream, encoding="utf-8", newline="\n"):
                text, _, number = line.partition("\t")
                yield text, int(number)


def write_table(path: Path, counts: Iterable[Count]) -> CountTable:
    """Writes a table as the pairs come: sorted by text, each text once, none with a tab or a line end."""
    parameters = zstandard.ZstdCompressionParameters.from_level(3, window_log=WINDOW_LOG)
    compressor = zstandard.ZstdCompressor(compression_params=parameters)
    with (
        open(path, "wb") as file,
        compressor.stream_writer(file) as stream,
        io.TextIOWrapper(stream, encoding="utf-8", newline="\n") as lines,
    ):
        lines.writelines(f"{text}\t{number}\n" for text, number in counts)
    return CountTable(path)


def added(tables: Iterable[Iterable[Count]]) -> Iterator[Count]:
    """The sum of sorted tables, sorted. Counts are Python's integers: they never overflow."""
    for text, pairs in groupby(heapq.merge(*tables), key=itemgetter(0)):
        yield text, sum(number for _, number in pairs)


def write_sum(path: Path, tables: Sequence[CountTable]) -> CountTable:
    """Writes the sum of any number of tables, with at most MOST_AT_ONCE of them open; what lies between is beside `path`."""
    with TemporaryDirectory(dir=path.parent) as place:
        passes = 0
        while len(tables) > MOST_AT_ONCE:
            groups = [tables[start : start + MOST_AT_ONCE] for start in range(0, len(tables), MOST_AT_ONCE)]
            tables = [
                write_table(Path(place) / f"{passes}-{number}", added(group)) for number, group in enumerate(groups)
            ]
            passes += 1
        return write_table(path, added(tables))


def least_count(counts: Counts, min_count: int, most_types: int) -> int:
    """The smallest count, `min_count` or more, that at most so many texts reach."""
    types_of = Counter(number for _, number in counts if number >= min_count)
    types, least = 0, min_count
    for number in sorted(types_of, reverse=True):
        types += types_of[number]
        if types > most_types:
            return max(least, number + 1)
    return least
