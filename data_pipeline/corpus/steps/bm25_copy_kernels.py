"""The compiled loop that finds benchmark texts in a document's stream of letters, whatever sentences it is cut into."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from data_pipeline.corpus.compiled import compiled, number_of_code
from data_pipeline.corpus.steps import bm25_kernels
from data_pipeline.corpus.steps.bm25_kernels import GOLDEN, SYMBOLS, find_term, self_score_of, symbol_of

GRAM = 6
"""Letters of a gram: 6 of Korean text are some two eojeols, which few texts share by chance."""

BASE = 0x9E3779B97F4A7C15
"""Of the polynomial hash of a gram, mod 2 ** 64."""
LEAVING = pow(BASE, GRAM, 2**64)
"""What a letter counts once it has left the gram."""

EDITED_LETTERS = 20
"""Letters and digits from which on edited copies count: half a shorter text is a phrase that stands in any text."""
WHOLE = 0.99
"""How much of a shorter text must stand in the span: all of it, but for rounding."""

SHIFT = 4
"""Letters that may be missing or too many between the first and the last gram of a copy."""

DIAGONALS = 1 << 30
"""Makes diagonals, which begin below 0, natural numbers; longer than any text."""


class Grams(NamedTuple):
    """The grams of the benchmark texts that are looked for in streams; bm25_build.py says which.

    - `codes`: uint64 [G], ascending. `bits`: uint8 [a power of two], a bit for each value of a code's leading bits, set where
      some code has these; `shift`: how far right they lie in a code.
    - `starts`: int64 [G + 1]; `texts`, `offsets`: int32 [postings], the texts of each gram, and where in its letters each has it first.
    """

    codes: NDArray[np.uint64]
    bits: NDArray[np.uint8]
    shift: int
    starts: NDArray[np.int64]
    texts: NDArray[np.int32]
    offsets: NDArray[np.int32]


class CopySearch(NamedTuple):
    """Grams that a copy must have on a diagonal, n of the scored n-grams, and what the scores are compared with."""

    min_grams: int
    ngram: int
    threshold: float
    embedded_threshold: float


@compiled
def symbols_of(code_points, text_ends):  # type: ignore[no-untyped-def]
    """The letters and digits of texts as symbols: uint16, one text behind the other, and int64 [texts], where each ends.

    - `code_points`: uint32, all texts one behind the other. - `text_ends`: int64 [texts], where each ends in it.
    """
    symbols = np.empty(len(code_points), np.uint16)
    ends = np.empty(len(text_ends), np.int64)
    position, filled = 0, 0
    for text in range(len(text_ends)):
        while position < text_ends[text]:
            symbol = symbol_of(np.int64(code_points[position]))
            position += 1
            if symbol >= 0:
                symbols[filled] = symbol
                filled += 1
        ends[text] = filled
    return symbols[:filled], ends


@njit
def _moved(code, symbols, position, start):  # type: ignore[no-untyped-def]
    """The polynomial code of the gram that ends at a position, from that of the one before; `start`: where the text starts."""
    code = code * np.uint64(BASE) + np.uint64(symbols[position]) + np.uint64(1)
    if position - start >= GRAM:
        code -= (np.uint64(symbols[position - GRAM]) + np.uint64(1)) * np.uint64(LEAVING)
    return code


@njit
def _mixed(code):  # type: ignore[no-untyped-def]
    """Makes every bit of a code depend on all (the finaliser of SplitMix64, shortened: Steele et al. 2014)."""
    code = (code ^ (code >> np.uint64(32))) * np.uint64(GOLDEN)
    return code ^ (code >> np.uint64(29))


@compiled
def grams_of(symbols, ends):  # type: ignore[no-untyped-def]
    """The gram codes of texts, uint64, one text behind the other; a text shorter than GRAM has none.

    - `symbols`, `ends`: as `symbols_of` makes them.
    """
    codes = np.empty(len(symbols), np.uint64)
    start, filled = 0, 0
    for text in range(len(ends)):
        code = np.uint64(0)
        for position in range(start, ends[text]):
            code = _moved(code, symbols, position, start)
            if position - start >= GRAM - 1:
                codes[filled] = _mixed(code)
                filled += 1
        start = ends[text]
    return codes[:filled]


@njit
def _hits(symbols, start, end, grams, keys, positions):  # type: ignore[no-untyped-def]
    """Every (text, diagonal) of a document's grams, in the order of the stream; returns their number and the two arrays, longer
    where they did not suffice."""
    found = 0
    code = np.uint64(0)
    shift = np.uint64(grams.shift)
    for position in range(start, end):
        code = _moved(code, symbols, position, start)
        if position - start < GRAM - 1:
            continue
        mixed = _mixed(code)
        bit = np.int64(mixed >> shift)
        if not (grams.bits[bit >> 3] >> (bit & 7)) & 1:
            continue
        gram = np.searchsorted(grams.codes, mixed)
        if gram == len(grams.codes) or grams.codes[gram] != mixed:
            continue
        first = position - GRAM + 1
        for posting in range(grams.starts[gram], grams.starts[gram + 1]):
            if found == len(keys):
                keys = np.concatenate((keys, np.empty_like(keys)))
                positions = np.concatenate((positions, np.empty_like(positions)))
            diagonal = first - start - np.int64(grams.offsets[posting])
            keys[found] = (np.int64(grams.texts[posting]) << 32) + diagonal + DIAGONALS
            positions[found] = first
            found += 1
    return found, keys, positions


def _copies(code: int) -> Callable[..., Any]:
    """The search, whose compiled form is kept as long as `code` is the same."""

    def copies(symbols, document_ends, index, grams, search, term_marks):  # type: ignore[no-untyped-def]
        """The spans of the documents that are copies of a benchmark text; `Bm25Index.copies` says what is computed.

        - `symbols`, `document_ends`: as `symbols_of` makes them.
        - `index`, `grams`, `search`: Index, Grams, CopySearch.
        - `term_marks`: uint8 [T], all zero before and after.

        Returns `spans` int64 [copies, 3]: start and end in the symbols, and the text; `scores` float64 [copies, 2]: symmetric, embedded.
        Those of a document stand by text and diagonal.
        """
        _ = code
        ngram = search.ngram
        highest = SYMBOLS ** (ngram - 1)
        spans, scores = np.empty((16, 3), np.int64), np.empty((16, 2), np.float64)
        keys, positions = np.empty(1024, np.int64), np.empty(1024, np.int64)
        codes, terms = np.empty(64, np.int64), np.empty(64, np.int64)
        found, start = 0, 0
        for document in range(len(document_ends)):
            end = document_ends[document]
            hits, keys, positions = _hits(symbols, start, end, grams, keys, positions)
            order = np.argsort(keys[:hits], kind="mergesort")
            place = 0
            while place < hits:
                lowest = keys[order[place]]
                text = lowest >> 32
                first = last = order[place]
                number = 0
                # The next text's diagonals are 2 ** 32 away: one comparison tells both.
                while place < hits and keys[order[place]] - lowest <= SHIFT:
                    hit = order[place]
                    if positions[hit] < positions[first]:
                        first = hit
                    if positions[hit] > positions[last]:
                        last = hit
                    number += 1
                    place += 1
                if number < search.min_grams:
                    continue
                of_first = (keys[first] & 0xFFFFFFFF) - DIAGONALS
                of_last = (keys[last] & 0xFFFFFFFF) - DIAGONALS
                left = start + max(of_first, 0)
                right = min(start + of_last + index.text_letters[text], end)
                length = right - left - ngram + 1
                if length < 1:
                    continue
                if length > len(codes):
                    codes, terms = np.empty(2 * length, np.int64), np.empty(2 * length, np.int64)
                term_code = np.int64(0)
                for position in range(left, right):
                    term_code = (term_code % highest) * SYMBOLS + np.int64(symbols[position])
                    if position - left >= ngram - 1:
                        codes[position - left - ngram + 1] = term_code
                for position in range(length):
                    term = find_term(codes[position], index.term_codes, index.slots)
                    terms[position] = term
                    if term >= 0:
                        term_marks[term] = 1
                score = 0.0
                for pair in range(index.text_starts[text], index.text_starts[text + 1]):
                    if term_marks[index.text_terms[pair]]:
                        score += index.text_weights[pair]
                        term_marks[index.text_terms[pair]] = 2
                norm = index.k1 * (1 - index.b + index.b * length / index.mean_length)
                self_score = self_score_of(codes[:length], index, norm)
                symmetric = 2 * score / (self_score + index.self_scores[text])
                embedded = score / index.self_scores[text]
                edited = index.text_letters[text] >= EDITED_LETTERS
                counts = symmetric >= search.threshold or embedded >= search.embedded_threshold
                if counts and (edited or embedded >= WHOLE):
                    # What is not the text's at the ends is its neighbour's: a copy need not be whole.
                    head, tail = 0, length - 1
                    while terms[head] < 0 or term_marks[terms[head]] != 2:
                        head += 1
                    while terms[tail] < 0 or term_marks[terms[tail]] != 2:
                        tail -= 1
                    if found == len(spans):
                        spans = np.concatenate((spans, np.empty_like(spans)))
                        scores = np.concatenate((scores, np.empty_like(scores)))
                    spans[found] = left + head, left + tail + ngram, text
                    scores[found] = symmetric, embedded
                    found += 1
                for position in range(length):
                    if terms[position] >= 0:
                        term_marks[terms[position]] = 0
            start = end
        return spans[:found], scores[:found]

    return compiled(copies)


copies = _copies(number_of_code(bm25_kernels))
