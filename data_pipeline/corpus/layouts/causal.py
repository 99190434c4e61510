"""Causal rows: all text as one stream, cut where a row is full."""

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from data_pipeline.contract.records import Row
from data_pipeline.contract.tokenizer import SpecialIds
from data_pipeline.corpus.layouts.rows import RowWriter, Run, Tokens, joined


class CausalRows:
    """Rows of a stream in which [SEP] ends each text (Brown et al. 2020, arXiv 2005.14165, appendix B).

    Rows begin and end anywhere; only the last is padded. Every token stands once. A text also ends where a sentence was
    removed, so that what follows is never predicted from what stood before.
    """

    def __init__(self, length: int, special: SpecialIds) -> None:
        self.length, self.special = length, special
        self.counts = Counter[str]()
        self._writer: RowWriter | None = None

    def add(self, document: Sequence[Run]) -> Iterator[Row]:
        """Takes one document; yields the rows that are finished by it."""
        for run in document:
            text = joined(run)
            end = text.ids.dtype.type(self.special.sep)
            text = Tokens(np.append(text.ids, end), np.append(text.starts, False))
            is_start = True
            while len(text):
                writer = self._writer or RowWriter(self.length, self.special, text.ids.dtype)
                if is_start or writer.position == 0:
                    writer.start_segment()
                room = self.length - writer.position
                writer.write(text[:room])
                is_full, text, is_start = len(text) >= room, text[room:], False
                self._writer = None if is_full else writer
                if is_full:
                    yield writer.row()

    def finish(self) -> Iterator[Row]:
        """Yields the last row."""
        if self._writer:
            yield self._writer.row()
