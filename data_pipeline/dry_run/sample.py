"""A sample of all sources that does not read them whole: stretches of documents, evenly spread over files and bytes."""

import io
import re
import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import accumulate, islice
from typing import IO

from data_pipeline.contract.compression import decompressed
from data_pipeline.contract.storage import InputFile, damage_named, find_input_files, name_of, open_stored
from data_pipeline.corpus.document import Document
from data_pipeline.corpus.sources.encodings import UTF8, standard_encoding
from data_pipeline.corpus.sources.lines import Remark, Unreadable
from data_pipeline.corpus.sources.reading import read_stream
from data_pipeline.recipe import Source
from data_pipeline.source_formats import FORMATS, read_source_file

PLACES, MOST_PLACES = 64, 1000
"""Stretches a source, or as many as it has files, and how many at most."""
PREFIX_BYTES = 256_000_000
"""Decompressed bytes of a source's compressed files that are read at most: nobody can begin in the middle of those."""
FIRST_WINDOW, BOUNDARY_READ = 64_000, 4_000


@dataclass
class Sample:
    """What was drawn from one source.

    - `file_bytes`: of all its files. `drawn_bytes`: how many of these the documents drawn take, so that their ratio
      projects the sample onto the source; estimated where a file is compressed.
    - `read_seconds`: of the processor, to parse the documents drawn.
    """

    source: Source
    file_bytes: int
    documents: list[Document] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)
    drawn_bytes: float = 0.0
    read_seconds: float = 0.0

    @property
    def factor(self) -> float:
        """The whole source in samples, at least 1."""
        return max(1.0, self.file_bytes / self.drawn_bytes) if self.drawn_bytes else 1.0


def draw(sources: Sequence[Source], number: int) -> list[Sample]:
    """About `number` documents, from each source as many as it has bytes; the same ones every time.

    A source's bytes are cut into PLACES equal stretches (more, where it has more files; fewer, where they would be shorter
    than FIRST_WINDOW), and the documents are those with which each stretch begins. Their ids are `FILE:LINE`, behind the
    first stretch `FILE@BYTE:LINE`, which counts lines from that byte on. Plain files whose documents are lines or blocks
    are read there and nowhere else. Compressed ones give the stretches of their beginning (PREFIX_BYTES in all); of the
    other formats the first documents of each file are taken.

    Raises InputError where a source has no file or a file is damaged, WorkError where it cannot be read.
    """
    files = {source.name: find_input_files(source.glob) for source in sources}
    total = max(1, sum(file.size for listed in files.values() for file in listed))
    samples = []
    for source in sources:
        size = sum(file.size for file in files[source.name])
        sample = Sample(source, size)
        wanted = max(1, round(number * size / total))
        _draw(sample, files[source.name], wanted)
        samples.append(sample)
    return samples


def _draw(sample: Sample, files: Sequence[InputFile], wanted: int) -> None:
    files = [file for file in files if file.size]
    if not files:
        return
    places = min(wanted, MOST_PLACES, max(PLACES, len(files)))
    ends = list(accumulate(file.size for file in files))
    places_of_file = Counter(bisect_right(ends, place * ends[-1] // places) for place in range(places))
    before = 0
    for number, in_file in sorted(places_of_file.items()):
        file, separator = files[number], FORMATS[sample.source.format].separator
        if standard_encoding(sample.source.encoding) != UTF8:
            separator = None  # a file of another encoding can be read from its start only
        first, before = before, before + in_file
        documents = wanted * before // places - wanted * first // places
        with damage_named(file.path):
            if separator is None:
                _first_documents(sample, file, documents)
                continue
            with _readable(file, PREFIX_BYTES // len(places_of_file)) as (stream, size, ratio):
                stretches = min(in_file, size // FIRST_WINDOW + 1)
                for place in range(stretches):
                    start, end = (size * edge // stretches for edge in (place, place + 1))
                    quota = documents * (place + 1) // stretches - documents * place // stretches
                    _stretch(sample, stream, file.path, re.compile(separator), (start, end), quota, ratio)


@contextmanager
def _readable(file: InputFile, most: int) -> Iterator[tuple[IO[bytes], int, float]]:
    """A stream that can be read anywhere, how many bytes it has, and how many of the file each of them takes."""
    with open_stored(file.path) as raw, decompressed(raw, file.path) as plain:
        if plain is raw:
            yield raw, file.size, 1.0
            return
        content = plain.read(most)
        whole = not plain.read(1)
        taken = file.size if whole else min(file.size, raw.tell())
        if not whole:
            content = content[: content.rfind(b"\n") + 1] or content
        yield io.BytesIO(content), len(content), taken / max(1, len(content))


def _stretch(
    sample: Sample,
    stream: IO[bytes],
    path: str,
    boundary: re.Pattern[bytes],
    stretch: tuple[int, int],
    wanted: int,
    ratio: float,
) -> None:
    """The first documents of those that begin in a stretch of bytes; they may end behind it."""
    start, end = (_after_boundary(stream, position, boundary) if position else 0 for position in stretch)
    window = FIRST_WINDOW
    while start < end:
        stop = end if end - start <= window else min(end, _after_boundary(stream, start + window, boundary))
        stream.seek(start)
        content = stream.read(stop - start)
        name = name_of(path) if start == 0 else f"{name_of(path)}@{start}"
        before = time.process_time()
        items = list(_records(io.BytesIO(content), path, name, sample.source))
        seconds = time.process_time() - before
        if len(items) >= wanted or stop == end:
            share = min(1.0, wanted / max(1, len(items)))
            _take(sample, items[:wanted], ratio * len(content) * share, seconds * share)
            return
        window *= 4


def _after_boundary(stream: IO[bytes], position: int, boundary: re.Pattern[bytes]) -> int:
    """Where the first boundary about a position or after it ends, or the stream; of one position always the same."""
    position = max(0, position - 2)
    stream.seek(position)
    content = b""
    while not (found := boundary.search(content)):
        more = stream.read(BOUNDARY_READ)
        if not more:
            return position + len(content)
        content += more
    return position + found.end()


def _first_documents(sample: Sample, file: InputFile, wanted: int) -> None:
    before = time.process_time()
    position = None
    read = FORMATS[sample.source.format]
    if not read.opens:
        with open_stored(file.path) as raw, decompressed(raw, file.path) as stream:
            reader = _records(stream, file.path, name_of(file.path), sample.source)
            items = list(islice(reader, wanted + 1))
            if read.in_order:
                position = raw.tell()
    else:
        items = list(islice(_but_remarks(read_source_file(file.path, sample.source)), wanted + 1))
    if len(items) <= wanted:
        position = file.size
    elif position is None:  # no reader tells; the text's own size is the best guess
        texts = (item.whole for item in items if isinstance(item, Document))
        position = sum(len(text.encode(errors="surrogatepass")) for text in texts)
    _take(sample, items[:wanted], min(file.size, position), time.process_time() - before)


def _records(stream: IO[bytes], path: str, called: str, source: Source) -> Iterator[Document | Unreadable]:
    of = FORMATS[source.format]
    return _but_remarks(read_stream(stream, path, called, source, of.reader, of.binary))


def _but_remarks(items: Iterable[Document | Unreadable | Remark]) -> Iterator[Document | Unreadable]:
    return (item for item in items if not isinstance(item, Remark))


def _take(sample: Sample, items: Sequence[Document | Unreadable], drawn_bytes: float, seconds: float) -> None:
    sample.documents += [item for item in items if isinstance(item, Document)]
    sample.unreadable += [item for item in items if isinstance(item, Unreadable)]
    sample.drawn_bytes += drawn_bytes
    sample.read_seconds += seconds
