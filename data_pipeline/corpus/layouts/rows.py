"""What all layouts are made of: tokenised text, and the arrays of a row that it is written into."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np

from data_pipeline.contract.records import Row, bitmap
from data_pipeline.contract.tokenizer import SpecialIds
from data_pipeline.corpus.compiled import compiled


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens in a row, and which of them start a word."""

    ids: np.ndarray
    starts: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, part: slice) -> "Tokens":
        return Tokens(self.ids[part], self.starts[part])


Run = Sequence[Tokens]
"""The sentences of a document, or of a part of one between breaks, tokenised; none is empty."""


class RowMaker(Protocol):
    """Makes the rows of one layout from documents; deterministic: they depend on what is added, in its order, alone.

    `counts` tells what the layout does to the text beyond writing each token once: `tokens_cut`, `target_tokens_cut`
    (of targets) and `tokens_left_out` are in no row, `tokens_again` are in rows more than once; and `labelled_1`, the rows whose label is 1.
    """

    counts: Counter[str]

    def add(self, document: Sequence[Run]) -> Iterator[Row]:
        """Takes one document, as its runs, of which none is empty; yields the rows that are finished by it."""
        ...

    def finish(self) -> Iterator[Row]:
        """Yields the rows that are still open; nothing may be added afterwards."""
        ...


def joined(pieces: Sequence[Tokens]) -> Tokens:
    """Several as one."""
    return Tokens(np.concatenate([piece.ids for piece in pieces]), np.concatenate([piece.starts for piece in pieces]))


def pieces_of(run: Tokens, most: int, closing: np.ndarray | None = None) -> list[Tokens]:
    """A run cut into pieces that fit, each as long as may be: before the last word that would not fit whole; inside a word
    only if it alone is too long.

    - `most`: tokens that fit, at least 1.
    - `closing`: bool [vocabulary], pieces that close what stands before them (`Tokenizer.closing`) and do not begin a piece.
    """
    if len(run) <= most:
        return [run]
    ends = _ends_of_pieces(run.starts, _opening(run, closing), most).tolist()
    return [run[start:end] for start, end in pairwise([0, *ends])]


def end_of_piece(run: Tokens, most: int, closing: np.ndarray | None = None) -> int:
    """Where the first piece of a run ends, as `pieces_of` cuts it."""
    if len(run) <= most:
        return len(run)
    return len(pieces_of(run[: most + 1], most, closing)[0])


def _opening(run: Tokens, closing: np.ndarray | None) -> np.ndarray:
    """bool [tokens]: where a piece should rather begin."""
    return run.starts if closing is None else run.starts & ~closing[run.ids]


@compiled
def _ends_of_pieces(starts, opening, most):  # type: ignore[no-untyped-def]
    ends = np.empty(len(starts), np.int64)
    start, number = 0, 0
    while start < len(starts):
        end, closing = min(start + most, len(starts)), 0
        if end < len(starts):
            while end > start and not opening[end]:
                if starts[end] and closing == 0:
                    closing = end
                end -= 1
            if end == start:
                end = closing if closing else start + most
        ends[number] = end
        number += 1
        start = end
    return ends[:number]


class RowWriter:
    """The arrays of one row, filled from the left."""

    def __init__(self, length: int, special: SpecialIds, dtype: np.dtype[np.generic]) -> None:
        self.special = special
        self.position = 0
        self._tokens = np.full(length, special.pad, dtype)
        self._word_starts, self._segment_starts = np.zeros(length, bool), np.zeros(length, bool)

    def start_segment(self) -> None:
        """The next token starts a segment; at the end of the row, nothing does."""
        if self.position < len(self._tokens):
            self._segment_starts[self.position] = True

    def write(self, text: Tokens, *, cls: bool = False, sep: bool = False) -> None:
        """Writes text, with [CLS] before it or [SEP] after it."""
        if cls:
            self._tokens[self.position] = self.special.cls
            self.position += 1
        end = self.position + len(text)
        self._tokens[self.position : end] = text.ids
        self._word_starts[self.position : end] = text.starts
        self.position = end
        if sep:
            self._tokens[end] = self.special.sep
            self.position += 1

    def row(self) -> dict[str, np.ndarray]:
        """The record, as `data_pipeline.contract.records` describes it, without a label."""
        starts = {"word_starts": bitmap(self._word_starts), "segment_starts": bitmap(self._segment_starts)}
        return {"tokens": self._tokens, **starts}
