"""Sources and targets: text, and what is to be written from it, in two rows of their own."""

import random
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from data_pipeline.contract.records import Row
from data_pipeline.contract.tokenizer import SpecialIds
from data_pipeline.corpus.layouts.rows import RowWriter, Run, Tokens, end_of_piece, joined, pieces_of


class SourceTargetRows:
    """Pairs `[CLS] source [SEP]` and `[CLS] target [SEP]` of one run; the target goes on where the source ends (the prefix
    language modelling of Raffel et al. 2019, arXiv 1910.10683, section 3.2.1, with whole sentences).

    A pair takes as many sentences as fit; between which of them it is divided is drawn among the places where both sides
    fit. A sentence that is longer than a side is cut before a word. Every token stands once, but for a sentence at the end
    of a run that finds no partner, which is left out.

    - `length`, `target_length`: tokens of the two sides.
    - `closing`: as in `PackedRows`.
    """

    def __init__(
        self, length: int, target_length: int, special: SpecialIds, seed: str, closing: np.ndarray | None = None
    ) -> None:
        self.length, self.target_length, self.special, self.closing = length, target_length, special, closing
        self.counts = Counter[str]()
        self._generator = random.Random(seed)

    def add(self, document: Sequence[Run]) -> Iterator[Row]:
        """Yields the pairs of a document."""
        most = min(self.length, self.target_length) - 2
        for run in document:
            pieces = [piece for sentence in run for piece in pieces_of(sentence, most, self.closing)]
            while len(pieces) > 1:
                number, borders = self._fitting(pieces)
                border = self._generator.choice(borders)
                source, target = joined(pieces[:border]), joined(pieces[border:number])
                yield pair(source, self.length, target, self.target_length, self.special)
                pieces = pieces[number:]
            self.counts["tokens_left_out"] += sum(map(len, pieces))

    def finish(self) -> Iterator[Row]:
        """Nothing is open."""
        yield from ()

    def _fitting(self, pieces: Sequence[Tokens]) -> tuple[int, list[int]]:
        """How many pieces, two or more, make the next pair, and where it may be divided."""
        ends = np.cumsum([len(piece) for piece in pieces])
        found = 0, list[int]()
        for number in range(2, len(pieces) + 1):
            sources = ends[: number - 1]
            fits = (sources <= self.length - 2) & (ends[number - 1] - sources <= self.target_length - 2)
            if not fits.any():
                break
            if number != len(pieces) - 1 or number == 2:  # three or more leave no last one alone
                found = number, (np.flatnonzero(fits) + 1).tolist()
        return found


class FirstParagraphRows:
    """Pairs `[CLS] source [SEP]` and `[CLS] target [SEP]` of a document: the target is its first run, which must be its first paragraph,
    the source the run that follows.

    Both are cut before a word where they are too long: `tokens_cut` of sources, `target_tokens_cut`. What follows a gap in the source,
    and a document of one run, are in no pair. Arguments are those of `SourceTargetRows`.
    """

    def __init__(self, length: int, target_length: int, special: SpecialIds, closing: np.ndarray | None = None) -> None:
        self.length, self.target_length, self.special, self.closing = length, target_length, special, closing
        self.counts = Counter[str]()

    def add(self, document: Sequence[Run]) -> Iterator[Row]:
        """Yields the pair of a document."""
        first, *after = map(joined, document)
        for run in after[1:] if after else [first]:
            self.counts["tokens_left_out"] += len(run)
        if after:
            source = self._cut(after[0], self.length - 2, "tokens_cut")
            target = self._cut(first, self.target_length - 2, "target_tokens_cut")
            yield pair(source, self.length, target, self.target_length, self.special)

    def finish(self) -> Iterator[Row]:
        """Nothing is open."""
        yield from ()

    def _cut(self, text: Tokens, most: int, counted: str) -> Tokens:
        kept = text[: end_of_piece(text, most, self.closing)]
        self.counts[counted] += len(text) - len(kept)
        return kept


def pair(source: Tokens, length: int, target: Tokens, target_length: int, special: SpecialIds) -> Row:
    """The row of a pair whose sides fit, with [CLS] before each and [SEP] after it."""
    row, aim = _side(source, length, special), _side(target, target_length, special)
    return {**row, "target_tokens": aim["tokens"], "target_word_starts": aim["word_starts"]}


def _side(text: Tokens, length: int, special: SpecialIds) -> dict[str, np.ndarray]:
    writer = RowWriter(length, special, text.ids.dtype)
    writer.start_segment()
    writer.write(text, cls=True, sep=True)
    return writer.row()
