"""The corpus inside a run folder: parts of documents and of sentences, as zstd-compressed JSON Lines."""

import io
import json
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Literal

import zstandard

from data_pipeline.corpus.document import NO_METADATA, Document, Given, Match, Metadata, Sentence

Split = Literal["train", "evaluation"]

MATCHES = "matches.zst"
"""Name of a part's sentences that stand in a benchmark."""


@dataclass(frozen=True, slots=True)
class SplitDocument:
    """A document that survived every step: its sentences, and whether it trains or is held out.

    - `key`: hexadecimal, stands for its whole cleaned text; equal texts have equal keys.
    """

    id: str
    source: str
    split: Split
    sentences: tuple[Sentence, ...]
    category: str = ""
    key: str = ""
    metadata: Metadata = field(default=NO_METADATA, compare=False)

    def runs(self) -> list[tuple[Sentence, ...]]:
        """Its sentences cut where something was removed: nothing may be learnt across such a break."""
        runs: list[list[Sentence]] = []
        for sentence in self.sentences:
            if sentence.after_break or not runs:
                runs.append([])
            runs[-1].append(sentence)
        return [tuple(run) for run in runs]

    def opened_runs(self) -> list[tuple[Sentence, ...]]:
        """Its first paragraph, then the runs of what follows; all sentences as one run where the first is not whole or alone."""
        end = next((place + 1 for place, sentence in enumerate(self.sentences) if "\n" in sentence.blanks), 0)
        first, rest = self.sentences[:end], replace(self, sentences=self.sentences[end:])
        if not first or not rest.sentences or any(each.after_break for each in self.sentences[: end + 1]):
            return [self.sentences]
        return [first, *rest.runs()]


@dataclass(frozen=True, slots=True)
class FoundMatch:
    """A sentence of a document that stands in a benchmark, and the text there.

    - `here`: only in this document, beside the sentences around it; else the sentence is a match wherever it stands.
    """

    id: str
    source: str
    sentence: str
    match: Match
    here: bool = False


class PartWriter(AbstractContextManager["PartWriter"]):
    """Writes a part; `bytes` counts what went in, before compression and without metadata: where a part ends depends on its text."""

    def __init__(self, path: Path) -> None:
        self._file = open(path, "wb")  # noqa: SIM115 (closed by __exit__)
        self._stream = zstandard.ZstdCompressor(level=1).stream_writer(self._file)
        self.bytes = 0

    def write_document(self, document: Document) -> None:
        beside = [document.metadata, document.given] if document.metadata != NO_METADATA or document.given else []
        self._write([document.id, document.source, document.text, document.category], beside)

    def write_sentences(self, document: SplitDocument) -> None:
        # The split first: `read_sentences` looks no further in what it leaves out.
        beside = [document.metadata] if document.metadata != NO_METADATA else []
        row = [document.split, document.id, document.source, document.sentences, document.category, document.key]
        self._write(row, beside)

    def write_match(self, document: Document, sentence: str, match: Match, here: bool) -> None:
        where = [match.benchmark, match.location, match.text, match.score]
        self._write([document.id, document.source, sentence, here, *where])

    def _write(self, row: Sequence[object], beside: Sequence[object] = ()) -> None:
        line = _as_json(row)
        self.bytes += len(line) + 1
        if beside:
            line = line[:-1] + b"," + _as_json(beside)[1:]
        self._stream.write(line + b"\n")

    def close(self) -> None:
        """Ends the part; nothing is in the file for sure before."""
        self._stream.close()
        self._file.close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def read_documents(path: str) -> Iterator[Document]:
    """The documents of a part written by `write_document`, in order."""
    for line in _lines(path):
        identifier, source, text, category, *beside = json.loads(line)
        metadata, given = beside or (NO_METADATA, None)
        yield Document(
            identifier,
            source,
            text,
            category=category,
            metadata=Metadata._make(metadata),
            given=Given(tuple(given[0]), tuple(given[1]), *given[2:]) if given else None,
        )


def read_sentences(path: str, split: Split | None = None) -> Iterator[SplitDocument]:
    """The documents of a part written by `write_sentences`, in order; of one split or of both."""
    beginning = f'["{split}",' if split else ""
    for line in _lines(path):
        if line.startswith(beginning):
            of, identifier, source, rows, category, key, *beside = json.loads(line)
            metadata = Metadata._make(beside[0]) if beside else NO_METADATA
            yield SplitDocument(identifier, source, of, tuple(map(Sentence._make, rows)), category, key, metadata)


def read_matches(path: str) -> Iterator[FoundMatch]:
    """What `write_match` wrote, in order."""
    for line in _lines(path):
        identifier, source, sentence, here, *match = json.loads(line)
        yield FoundMatch(identifier, source, sentence, Match(*match), here)


def _as_json(row: Sequence[object]) -> bytes:
    text = json.dumps(row, ensure_ascii=False, separators=(",", ":"))
    return text.encode(errors="backslashreplace")  # half a surrogate pair as JSON writes it


def _lines(path: str) -> Iterator[str]:
    with open(path, "rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as stream:
        yield from io.TextIOWrapper(stream, encoding="utf-8", newline="\n")
