"""Full sentences: rows `[CLS] text [SEP] text [SEP]` of whole sentences in their order."""

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from data_pipeline.contract.records import Row
from data_pipeline.contract.tokenizer import SpecialIds
from data_pipeline.corpus.layouts.rows import RowWriter, Run, Tokens, joined, pieces_of


class FullSentenceRows:
    """Rows of whole sentences in their order (Liu et al. 2019, arXiv 1907.11692, section 4.2).

    A sentence that does not fit any more opens the next row; one that is longer than a row is cut before a word. Every token
    stands once.

    - `cross_documents`: True goes on with the next document in the same row, after a [SEP] (FULL-SENTENCES); False opens a
      row (DOC-SENTENCES). The two sides of a removed sentence are treated as two documents.
    - `closing`: as in `PackedRows`.
    """

    def __init__(
        self, length: int, special: SpecialIds, cross_documents: bool, closing: np.ndarray | None = None
    ) -> None:
        self.length, self.special, self.cross_documents, self.closing = length, special, cross_documents, closing
        self.counts = Counter[str]()
        self._runs: list[list[Tokens]] = []  # of the open row
        self._room = length - 1  # without its [CLS]

    def add(self, document: Sequence[Run]) -> Iterator[Row]:
        """Takes one document; yields the rows that are finished by it."""
        for run in document:
            if not self.cross_documents:
                yield from self.finish()
            self._runs.append([])
            self._room -= 1  # for its [SEP]
            for sentence in run:
                for piece in pieces_of(sentence, self.length - 2, self.closing):
                    if len(piece) > self._room:
                        yield from self.finish()
                        self._runs.append([])
                        self._room -= 1
                    self._runs[-1].append(piece)
                    self._room -= len(piece)

    def finish(self) -> Iterator[Row]:
        """Yields the open row, if there is text in it; `add` opens another."""
        runs = [joined(run) for run in self._runs if run]
        self._runs, self._room = [], self.length - 1
        if not runs:
            return
        writer = RowWriter(self.length, self.special, runs[0].ids.dtype)
        for number, run in enumerate(runs):
            writer.start_segment()
            writer.write(run, cls=number == 0, sep=True)
        yield writer.row()
