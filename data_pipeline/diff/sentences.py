"""Which sentences only one of two runs has: a join by hash, range after range, so that memory is a constant."""

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from data_pipeline.corpus.corpus_files import read_sentences
from data_pipeline.diff.prepared import Prepared

PLACE = np.dtype([("hash", "<u8"), ("in_document", "<u8"), ("part", "<u4"), ("document", "<u4")])
"""A sentence: the hash of its text, that of its text and its document's id, the number of its part, its document's place there."""
SENTENCES_PER_RANGE = 4_000_000
"""Sentences of a run in memory at once, 24 bytes each."""
WAITING = 100_000


@dataclass(frozen=True)
class LostSentence:
    """A sentence that the other run does not have, or has fewer times.

    - `key`: of its document's cleaned text, hexadecimal.
    """

    text: str
    document: str
    source: str
    key: str


@dataclass(frozen=True)
class OnlyHere:
    """How many sentences only one run has, every copy counted, and some of them."""

    number: int
    sample: list[LostSentence]


def only_in_one(runs: tuple[Prepared, Prepared], most: int) -> tuple[OnlyHere, OnlyHere]:
    """Compares the sentences of two runs as texts, wherever they stand. `most`: sentences of each to return."""
    with TemporaryDirectory(prefix="diff-") as temporary:
        ranges = max(1, *(-(-run.stages["sentences"]["sentences"] // SENTENCES_PER_RANGE) for run in runs))
        files = [_by_hash(run, ranges, Path(temporary) / str(number)) for number, run in enumerate(runs)]
        numbers, samples = [0, 0], [np.empty(0, PLACE), np.empty(0, PLACE)]
        for paths in zip(*files, strict=True):
            tables = [np.fromfile(path, PLACE) for path in paths]
            for one, other in ((0, 1), (1, 0)):
                only = _surplus(tables[one], tables[other])
                numbers[one] += len(only)
                samples[one] = np.concatenate([samples[one], only[: most - len(samples[one])]])
        first, second = (
            OnlyHere(number, _fetched(run, sample)) for number, run, sample in zip(numbers, runs, samples, strict=True)
        )
        return first, second


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())


def _by_hash(run: Prepared, ranges: int, folder: Path) -> list[Path]:
    """Writes the places of all sentences of a run to a file for each range of hashes, in ascending order of ranges."""
    folder.mkdir()
    paths = [folder / f"{number:06d}" for number in range(ranges)]
    with ExitStack() as stack:
        streams = [stack.enter_context(open(path, "wb")) for path in paths]
        for places in _places(run):
            belongs = (places["hash"] >> np.uint64(32)).astype(np.int64) * ranges >> 32
            for number in np.unique(belongs):
                places[belongs == number].tofile(streams[number])
    return paths


def _places(run: Prepared) -> Iterator[NDArray[np.void]]:
    waiting: list[tuple[int, int, int, int]] = []
    for number, path in enumerate(run.sentence_parts.values()):
        for position, document in enumerate(read_sentences(str(path))):
            name = f"\0{document.source}\0{document.id}"
            texts = (sentence.text for sentence in document.sentences)
            waiting += [(_hash(text), _hash(text + name), number, position) for text in texts]
            if len(waiting) >= WAITING:
                yield np.array(waiting, PLACE)
                waiting = []
    yield np.array(waiting, PLACE)


def _surplus(table: NDArray[np.void], other: NDArray[np.void]) -> NDArray[np.void]:
    """As many of the sentences as there are more than in the other table, by text; those whose document there lacks them."""
    table = table[np.lexsort((table["document"], table["part"], table["in_document"]))]
    here = table["in_document"]
    lacking = table[_copy(here) >= _number(np.sort(other["in_document"]), here)]
    lacking = lacking[np.lexsort((lacking["document"], lacking["part"], lacking["hash"]))]
    hashes = lacking["hash"]
    more = _number(np.sort(table["hash"]), hashes) - _number(np.sort(other["hash"]), hashes)
    return lacking[_copy(hashes) < more]


def _copy(ascending: NDArray[np.uint64]) -> NDArray[np.int64]:
    """0 for the first of equal values, 1 for the second, and so on."""
    return np.arange(len(ascending)) - np.searchsorted(ascending, ascending)


def _number(ascending: NDArray[np.uint64], values: NDArray[np.uint64]) -> NDArray[np.int64]:
    """How often each of the values stands there."""
    return np.searchsorted(ascending, values, side="right") - np.searchsorted(ascending, values)


def _fetched(run: Prepared, sample: NDArray[np.void]) -> list[LostSentence]:
    """The texts of the sentences at these places, in the order of the run."""
    found = []
    paths = list(run.sentence_parts.values())
    for number in np.unique(sample["part"]):
        here = sample[sample["part"] == number]
        wanted: dict[int, list[int]] = {}
        for *_, position in here.tolist():
            wanted.setdefault(position, [])
        for hash_, *_, position in here.tolist():
            wanted[position].append(hash_)
        last = max(wanted)
        for position, document in enumerate(read_sentences(str(paths[number]))):
            for sentence in document.sentences if position in wanted else ():
                if _hash(sentence.text) in wanted[position]:
                    wanted[position].remove(_hash(sentence.text))
                    found.append(LostSentence(sentence.text, document.id, document.source, document.key))
            if position == last:
                break
    return found
