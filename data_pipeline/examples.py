"""Sentences to fixed-length rows: packed segments, or sentence pairs."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from data_pipeline.contract.records import bitmap
from data_pipeline.contract.tokenizer import SpecialIds

MOST_OPEN_ROWS = 256
SMALLEST_ROOM = 8
"""Rows with less room than this are closed: [CLS] and [SEP] around fewer than six tokens teach little."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens in a row, and which of them start a word."""

    ids: np.ndarray
    starts: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, part: slice) -> "Tokens":
        return Tokens(self.ids[part], self.starts[part])


def joined(pieces: Sequence[Tokens]) -> Tokens:
    """Several as one."""
    return Tokens(np.concatenate([piece.ids for piece in pieces]), np.concatenate([piece.starts for piece in pieces]))


class Packer:
    """Fills rows of `length` tokens with segments `[CLS] ... [SEP]`: best fit first, and what never fits is poured.

    A run of text longer than a row is cut before a word, and not between a word and the marks that close it; each piece
    becomes a segment, and goes into the open row with the least room that holds it. When many rows stay open, because no
    piece fits their room, their pieces are poured one after another into new rows and cut where a row ends, so that
    padding stays small whatever the lengths.
    Deterministic: rows depend on what is added, in its order, alone.
    `segment_lengths[n]` counts the segments of n tokens: position p is trained by every segment longer than p.

    - `closing`: bool [vocabulary], the pieces that close what stands before them (`Tokenizer.closing`); None means none.
    """

    def __init__(self, length: int, special: SpecialIds, closing: np.ndarray | None = None) -> None:
        self.length, self.special, self.closing = length, special, closing
        self.segment_lengths = [0] * (length + 1)
        self._open: dict[int, list[list[Tokens]]] = {}
        self._rooms = 0  # bit r is set while a row with r tokens of room is open
        self._count = 0

    def add(self, run: Tokens) -> Iterator[dict[str, np.ndarray]]:
        """Places one run of text; yields the rows that are finished by it."""
        while len(run):
            end = self._end_of_piece(run, self.length - 2)
            piece, run = run[:end], run[end:]
            yield from self._place(piece)
        if self._count > MOST_OPEN_ROWS:
            yield from self._pour()

    def finish(self) -> Iterator[dict[str, np.ndarray]]:
        """Yields the rows that are still open."""
        yield from self._pour()
        while self._open:
            yield self._row(self._take(min(self._open)))

    def _place(self, piece: Tokens) -> Iterator[dict[str, np.ndarray]]:
        need = len(piece) + 2
        fitting = self._rooms >> need
        if fitting:
            room = need + (fitting & -fitting).bit_length() - 1
            row = self._take(room)
        else:
            room, row = self.length, list[Tokens]()
        yield from self._put_back([*row, piece], room - need)

    def _put_back(self, row: list[Tokens], room: int) -> Iterator[dict[str, np.ndarray]]:
        if room < SMALLEST_ROOM:
            yield self._row(row)
            return
        self._open.setdefault(room, []).append(row)
        self._rooms |= 1 << room
        self._count += 1

    def _pour(self) -> Iterator[dict[str, np.ndarray]]:
        """Empties all open rows into as few as it takes; the last one stays open."""
        pieces = []
        while self._open:
            pieces += self._take(min(self._open))
        row, room = list[Tokens](), self.length
        for piece in pieces:
            while len(piece):
                end = self._end_of_piece(piece, room - 2)
                cuts_word = end < len(piece) and not piece.starts[end]
                if not (row and cuts_word):
                    row.append(piece[:end])
                    room -= end + 2
                    piece = piece[end:]
                if room < SMALLEST_ROOM or cuts_word:
                    yield self._row(row)
                    row, room = [], self.length
        if row:
            yield from self._put_back(row, room)

    def _end_of_piece(self, run: Tokens, most: int) -> int:
        """Where to cut a run: before the last word that would not fit whole; inside a word only if it alone is too long."""
        if len(run) <= most:
            return len(run)
        starts = run.starts[1 : most + 1]
        if self.closing is not None:
            opening = starts & ~self.closing[run.ids[1 : most + 1]]
            starts = opening if opening.any() else starts
        places = np.flatnonzero(starts)
        return int(places[-1]) + 1 if len(places) else most

    def _take(self, room: int) -> list[Tokens]:
        rows = self._open[room]
        row = rows.pop(0)
        self._count -= 1
        if not rows:
            del self._open[room]
            self._rooms &= ~(1 << room)
        return row

    def _row(self, segments: list[Tokens]) -> dict[str, np.ndarray]:
        tokens = np.full(self.length, self.special.pad, segments[0].ids.dtype)
        word_starts, segment_starts = np.zeros(self.length, bool), np.zeros(self.length, bool)
        position = 0
        for segment in segments:
            segment_starts[position] = True
            position = _write_segment(tokens, word_starts, position, segment, self.special, with_cls=True)
            self.segment_lengths[len(segment) + 2] += 1
        if position < self.length:
            segment_starts[position] = True
        return {"tokens": tokens, "word_starts": bitmap(word_starts), "segment_starts": bitmap(segment_starts)}


def _write_segment(
    tokens: np.ndarray, word_starts: np.ndarray, position: int, segment: Tokens, special: SpecialIds, *, with_cls: bool
) -> int:
    """Writes `[CLS] segment [SEP]` (or `segment [SEP]`) at a position; returns where it ended."""
    if with_cls:
        tokens[position] = special.cls
        position += 1
    end = position + len(segment)
    tokens[position:end] = segment.ids
    word_starts[position:end] = segment.starts
    tokens[end] = special.sep
    return end + 1


Run = Sequence[Tokens]
"""The sentences of a document, or of a part of one between breaks, tokenised; none is empty."""


def sentence_pairs(
    documents: Sequence[Sequence[Run]],
    length: int,
    special: SpecialIds,
    random_next: float,
    short_share: float,
    seed: str,
) -> Iterator[dict[str, np.ndarray]]:
    """Rows `[CLS] A [SEP] B [SEP]`, as Google's create_pretraining_data.py makes them.

    - `documents`: the runs of each; none is empty.
    - `random_next`: share of rows whose B comes from another document (label 1); otherwise B follows A (label 0).
    - `short_share`: share of rows that aim at a random shorter length.

    A run of a single sentence can only be A of a random pair. Too long pairs lose tokens at a random end of the longer
    side. Without a second document there are no random pairs, and runs of a single sentence give no row.
    """
    generator = random.Random(seed)
    most = length - 3
    can_be_random = len(documents) > 1
    for number, run in ((number, run) for number, document in enumerate(documents) for run in document):
        target = generator.randint(2, most) if generator.random() < short_share else most
        chunk: list[Tokens] = []
        position = 0
        while position < len(run):
            chunk.append(run[position])
            is_full = position + 1 == len(run) or sum(map(len, chunk)) >= target
            if is_full and (len(chunk) > 1 or can_be_random):
                first_end = generator.randint(1, len(chunk) - 1) if len(chunk) > 1 else 1
                first = joined(chunk[:first_end])
                is_random = can_be_random and (len(chunk) == 1 or generator.random() < random_next)
                if is_random:
                    second = _random_sentences(documents, number, target - len(first), generator)
                    position -= len(chunk) - first_end  # what was not used stands first in the next chunk
                else:
                    second = joined(chunk[first_end:])
                first, second = _truncated(first, second, most, generator)
                yield _pair_row(first, second, is_random, length, special)
                chunk = []
            position += 1


def _random_sentences(documents: Sequence[Sequence[Run]], number: int, room: int, generator: random.Random) -> Tokens:
    """Sentences in a row from another document, from a random start, until the room is filled."""
    other = generator.randrange(len(documents) - 1)
    run = generator.choice(documents[other if other < number else other + 1])
    start = generator.randrange(len(run))
    end, total = start + 1, len(run[start])
    while end < len(run) and total < room:
        total += len(run[end])
        end += 1
    return joined(run[start:end])


def _truncated(first: Tokens, second: Tokens, most: int, generator: random.Random) -> tuple[Tokens, Tokens]:
    """Shortens the longer side until both fit, taking each token off its front or its back at random."""
    half = most // 2
    longest_second = max(half, most - len(first))
    longest_first = max(most - half, most - len(second))
    return _shortened(first, longest_first, generator), _shortened(second, longest_second, generator)


def _shortened(tokens: Tokens, most: int, generator: random.Random) -> Tokens:
    excess = max(0, len(tokens) - most)
    front = sum(generator.random() < 0.5 for _ in range(excess))
    return tokens[front : len(tokens) - (excess - front)]


def _pair_row(
    first: Tokens, second: Tokens, is_random: bool, length: int, special: SpecialIds
) -> dict[str, np.ndarray]:
    tokens = np.full(length, special.pad, first.ids.dtype)
    word_starts, segment_starts = np.zeros(length, bool), np.zeros(length, bool)
    middle = _write_segment(tokens, word_starts, 0, first, special, with_cls=True)
    segment_starts[[0, middle]] = True
    _write_segment(tokens, word_starts, middle, second, special, with_cls=False)
    return {
        "tokens": tokens,
        "word_starts": bitmap(word_starts),
        "segment_starts": bitmap(segment_starts),
        "label": np.array(is_random, np.uint8),
    }
