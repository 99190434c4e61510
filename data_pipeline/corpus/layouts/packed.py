"""Packed rows: segments `[CLS] ... [SEP]` of several documents, best fit first."""

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from data_pipeline.contract.records import Row
from data_pipeline.contract.tokenizer import SpecialIds
from data_pipeline.corpus.layouts.rows import RowWriter, Run, Tokens, end_of_piece, joined, pieces_of

MOST_OPEN_ROWS = 256
SMALLEST_ROOM = 8
"""Rows with less room than this are closed: [CLS] and [SEP] around fewer than six tokens teach little."""


class PackedRows:
    """Fills rows of `length` tokens with segments `[CLS] ... [SEP]`: best fit first, and what never fits is poured.

    A run of text longer than a row is cut before a word, and not between a word and the marks that close it; each piece
    becomes a segment, and goes into the open row with the least room that holds it. When many rows stay open, because no
    piece fits their room, their pieces are poured one after another into new rows and cut where a row ends, so that
    padding stays small whatever the lengths. Every token stands once.
    `segment_lengths[n]` counts the segments of n tokens: position p is trained by every segment longer than p.

    - `closing`: bool [vocabulary], the pieces that close what stands before them (`Tokenizer.closing`); None means none.
    """

    def __init__(self, length: int, special: SpecialIds, closing: np.ndarray | None = None) -> None:
        self.length, self.special, self.closing = length, special, closing
        self.counts = Counter[str]()
        self.segment_lengths = [0] * (length + 1)
        self._open: dict[int, list[list[Tokens]]] = {}
        self._rooms = 0  # bit r is set while a row with r tokens of room is open
        self._count = 0

    def add(self, document: Sequence[Run]) -> Iterator[Row]:
        """Places each run; yields the rows that are finished by it."""
        for run in document:
            for piece in pieces_of(joined(run), self.length - 2, self.closing):
                yield from self._place(piece)
            if self._count > MOST_OPEN_ROWS:
                yield from self._pour()

    def finish(self) -> Iterator[Row]:
        """Yields the rows that are still open."""
        yield from self._pour()
        while self._open:
            yield self._row(self._take(min(self._open)))

    def _place(self, piece: Tokens) -> Iterator[Row]:
        need = len(piece) + 2
        fitting = self._rooms >> need
        if fitting:
            room = need + (fitting & -fitting).bit_length() - 1
            row = self._take(room)
        else:
            room, row = self.length, list[Tokens]()
        yield from self._put_back([*row, piece], room - need)

    def _put_back(self, row: list[Tokens], room: int) -> Iterator[Row]:
        if room < SMALLEST_ROOM:
            yield self._row(row)
            return
        self._open.setdefault(room, []).append(row)
        self._rooms |= 1 << room
        self._count += 1

    def _pour(self) -> Iterator[Row]:
        """Empties all open rows into as few as it takes; the last one stays open."""
        pieces = []
        while self._open:
            pieces += self._take(min(self._open))
        row, room = list[Tokens](), self.length
        for piece in pieces:
            while len(piece):
                end = end_of_piece(piece, room - 2, self.closing)
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

    def _take(self, room: int) -> list[Tokens]:
        rows = self._open[room]
        row = rows.pop(0)
        self._count -= 1
        if not rows:
            del self._open[room]
            self._rooms &= ~(1 << room)
        return row

    def _row(self, segments: list[Tokens]) -> Row:
        writer = RowWriter(self.length, self.special, segments[0].ids.dtype)
        for segment in segments:
            writer.start_segment()
            writer.write(segment, cls=True, sep=True)
            self.segment_lengths[len(segment) + 2] += 1
        writer.start_segment()  # of the padding
        return writer.row()
