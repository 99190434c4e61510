"""Sentence pairs: rows `[CLS] A [SEP] B [SEP]` whose label says how B stands to A."""

import random
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from data_pipeline.contract.records import Row
from data_pipeline.contract.tokenizer import SpecialIds
from data_pipeline.corpus.layouts.rows import RowWriter, Run, Tokens, joined


class _PairRows:
    """What both kinds of pairs share: the length that rows aim at, and rows that lose what does not fit."""

    def __init__(self, length: int, special: SpecialIds, short_share: float, seed: str) -> None:
        self.length, self.special, self.short_share = length, special, short_share
        self.counts = Counter[str]()
        self._generator = random.Random(seed)

    def _target(self) -> int:
        """The tokens that the rows of a run aim at (BERT, appendix A.2)."""
        most = self.length - 3
        return self._generator.randint(2, most) if self._generator.random() < self.short_share else most

    def _row(self, first: Tokens, second: Tokens, label: bool) -> Row:
        """A row, its longer side shortened until both fit."""
        most = self.length - 3
        half = most // 2
        longest_second = max(half, most - len(first))
        longest_first = max(most - half, most - len(second))
        first, second = self._shortened(first, longest_first), self._shortened(second, longest_second)
        self.counts["labelled_1"] += label
        writer = RowWriter(self.length, self.special, first.ids.dtype)
        writer.start_segment()
        writer.write(first, cls=True, sep=True)
        writer.start_segment()
        writer.write(second, sep=True)
        return {**writer.row(), "label": np.array(label, np.uint8)}

    def _shortened(self, tokens: Tokens, most: int) -> Tokens:
        """Takes each token that is too many off the front or the back, at random."""
        excess = max(0, len(tokens) - most)
        self.counts["tokens_cut"] += excess
        front = sum(self._generator.random() < 0.5 for _ in range(excess))
        return tokens[front : len(tokens) - (excess - front)]


class NextSentenceRows(_PairRows):
    """Pairs for next-sentence prediction, as Google's create_pretraining_data.py makes them.

    - `random_next`: share of rows whose B comes from another document (label 1); otherwise B follows A (label 0).
    - `short_share`: share of rows that aim at a random shorter length.

    A run of a single sentence can only be A of a random pair. Too long pairs lose tokens at a random end of the longer
    side. Without a second document there are no random pairs, and runs of a single sentence give no row.
    All documents are kept until `finish`, for any of them may give a second sentence.
    """

    def __init__(self, length: int, special: SpecialIds, random_next: float, short_share: float, seed: str) -> None:
        super().__init__(length, special, short_share, seed)
        self.random_next = random_next
        self._documents: list[Sequence[Run]] = []

    def add(self, document: Sequence[Run]) -> Iterator[Row]:
        """Keeps the document."""
        self._documents.append(document)
        yield from ()

    def finish(self) -> Iterator[Row]:
        """Yields all rows."""
        for number, document in enumerate(self._documents):
            for run in document:
                yield from self._rows(number, run)

    def _rows(self, number: int, run: Run) -> Iterator[Row]:
        """The rows whose A stands in a run of document `number`."""
        generator, target = self._generator, self._target()
        can_be_random = len(self._documents) > 1
        chunk: list[Tokens] = []
        position = 0
        while position < len(run):
            chunk.append(run[position])
            is_full = position + 1 == len(run) or sum(map(len, chunk)) >= target
            if is_full and (len(chunk) > 1 or can_be_random):
                first_end = generator.randint(1, len(chunk) - 1) if len(chunk) > 1 else 1
                first = joined(chunk[:first_end])
                is_random = can_be_random and (len(chunk) == 1 or generator.random() < self.random_next)
                if is_random:
                    second = self._random_sentences(number, target - len(first))
                    position -= len(chunk) - first_end  # what was not used stands first in the next chunk
                    self.counts["tokens_again"] += len(second)
                else:
                    second = joined(chunk[first_end:])
                yield self._row(first, second, is_random)
                chunk = []
            position += 1
        self.counts["tokens_left_out"] += sum(map(len, chunk))

    def _random_sentences(self, number: int, room: int) -> Tokens:
        """Sentences in a row from another document than `number`, from a random start, until the room is filled."""
        generator = self._generator
        other = generator.randrange(len(self._documents) - 1)
        run = generator.choice(self._documents[other if other < number else other + 1])
        start = generator.randrange(len(run))
        end, total = start + 1, len(run[start])
        while end < len(run) and total < room:
            total += len(run[end])
            end += 1
        return joined(run[start:end])


class SentenceOrderRows(_PairRows):
    """Pairs for sentence-order prediction (Lan et al. 2019, arXiv 1909.11942, section 3.1): A and B follow each other in one run.

    - `swapped`: share of rows in which the two have changed places (label 1); otherwise B follows A (label 0).
    - `short_share`: share of runs whose rows aim at a random shorter length.

    Too long pairs lose tokens as in `NextSentenceRows`. Runs of a single sentence give no row. Where ALBERT's code gives
    the last sentence of a text a random partner, with the label of a swapped pair, it goes into the row before.
    """

    def __init__(self, length: int, special: SpecialIds, swapped: float, short_share: float, seed: str) -> None:
        super().__init__(length, special, short_share, seed)
        self.swapped = swapped

    def add(self, document: Sequence[Run]) -> Iterator[Row]:
        """Yields the rows of a document."""
        for run in document:
            if len(run) == 1:
                self.counts["tokens_left_out"] += len(run[0])
                continue
            for chunk in _chunks(run, self._target()):
                end = self._generator.randint(1, len(chunk) - 1)
                sides = joined(chunk[:end]), joined(chunk[end:])
                is_swapped = self._generator.random() < self.swapped
                first, second = sides[::-1] if is_swapped else sides
                yield self._row(first, second, is_swapped)

    def finish(self) -> Iterator[Row]:
        """Nothing is open."""
        yield from ()


def _chunks(run: Run, target: int) -> list[list[Tokens]]:
    """A run of two sentences or more as chunks of two or more, each but the last of at least `target` tokens."""
    chunks: list[list[Tokens]] = [[]]
    for sentence in run:
        if len(chunks[-1]) > 1 and sum(map(len, chunks[-1])) >= target:
            chunks.append([])
        chunks[-1].append(sentence)
    if len(chunks[-1]) == 1:
        [last] = chunks.pop()
        chunks[-1].append(last)
    return chunks
