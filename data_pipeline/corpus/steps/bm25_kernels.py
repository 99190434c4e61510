"""The compiled loops of the BM25 index: cutting text into character n-grams, and finding the closest benchmark text."""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from data_pipeline.corpus.compiled import compiled

SYMBOLS = 11_208
"""Kept characters: 10 digits, 26 letters (both cases, and both widths, are one), 11,172 Hangul syllables, counted from 0; the base of
n-grams. SYMBOLS ** 4 is below 2 ** 63."""

FIRST_SYLLABLE = 36
"""The symbol of 가."""

WIDER = 0xFEE0
"""Full-width digits and letters (０, Ａ) stand so far behind the usual ones."""

FNV_BASIS, FNV_PRIME = 0xCBF29CE484222325, 0x100000001B3
"""Of the 64-bit FNV-1a hash (http://www.isthe.com/chongo/tech/comp/fnv/)."""

GOLDEN = 0x9E3779B97F4A7C15
"""2 ** 64 over the golden ratio, odd."""

LAST_EPOCH = 255
"""Queries whose hits one filling of the scratch tells apart."""

IN_QUERY, LISTED = 1, 2
"""Marks of a term: in the query; listed in this stretch, or looked up by an earlier one."""


class Index(NamedTuple):
    """Benchmark texts: T terms, D texts, P pairs of a text and one of its terms; bm25_build.py says how they are made.

    - `slots`: int32, the hash table of the terms (`hash_terms`).
    - `term_codes`: int64 [T]; `idf`: float64 [T].
    - `posting_starts`: int64 [T + 1]; `posting_texts`: int32 [P].
    - `text_starts`: int64 [D + 1]; `text_terms`: int32 [P]; `text_weights`: float64 [P]; `self_scores`: float64 [D];
      `text_letters`: int32 [D], letters and digits of each.
    - `unknown_idf`: of a term that is not there. `k1`, `b`, `mean_length`: BM25's.
    """

    slots: NDArray[np.int32]
    term_codes: NDArray[np.int64]
    idf: NDArray[np.float64]
    posting_starts: NDArray[np.int64]
    posting_texts: NDArray[np.int32]
    text_starts: NDArray[np.int64]
    text_terms: NDArray[np.int32]
    text_weights: NDArray[np.float64]
    self_scores: NDArray[np.float64]
    text_letters: NDArray[np.int32]
    unknown_idf: float
    k1: float
    b: float
    mean_length: float


class Search(NamedTuple):
    """Which texts are scored (`Prefilter`), and what their scores are compared with. Queries below `min_letters` have no answer. A
    benchmark text of fewer than `short_letters` is as far above its thresholds as its scores times `short_factor` are."""

    rare_terms: int
    stretch: int
    frequency_cap: int
    min_hits: int
    min_letters: int
    threshold: float
    embedded_threshold: float
    short_letters: int
    short_factor: float


class Scratch(NamedTuple):
    """Memory that is used again.

    - `hits`: uint16 [D]; `candidates`: int64 [D]; both of any content.
    - `term_marks`: uint8 [T], all zero before and after.
    """

    hits: NDArray[np.uint16]
    candidates: NDArray[np.int64]
    term_marks: NDArray[np.uint8]


@njit
def symbol_of(code_point):  # type: ignore[no-untyped-def]
    """The symbol of a character, -1 for one that is not kept."""
    if 0xAC00 <= code_point <= 0xD7A3:
        return FIRST_SYLLABLE + code_point - 0xAC00
    if 0xFF10 <= code_point <= 0xFF5A:
        code_point -= WIDER
    if 97 <= code_point <= 122:
        return 10 + code_point - 97
    if 65 <= code_point <= 90:
        return 10 + code_point - 65
    if 48 <= code_point <= 57:
        return code_point - 48
    return -1


@compiled
def ngrams(code_points, text_ends, n):  # type: ignore[no-untyped-def]
    """Cuts texts into character n-grams over their letters and digits.

    - `code_points`: uint32, all texts one behind the other.
    - `text_ends`: int64 [texts], where each text ends in it.
    - `n`: 1 to 4.

    Returns `codes` int64, the n-grams of all texts; `ends` int64 [texts], where each text ends in it; `letters` int64
    [texts], letters and digits of each; `keys` uint64 [texts], a hash of these (FNV-1a, over symbols instead of bytes).
    """
    codes = np.empty(len(code_points), np.int64)
    ends = np.empty(len(text_ends), np.int64)
    letters = np.zeros(len(text_ends), np.int64)
    keys = np.empty(len(text_ends), np.uint64)
    highest = SYMBOLS ** (n - 1)
    position, filled = 0, 0
    for text in range(len(text_ends)):
        code, kept, key = np.int64(0), 0, np.uint64(FNV_BASIS)
        while position < text_ends[text]:
            symbol = symbol_of(np.int64(code_points[position]))
            position += 1
            if symbol < 0:
                continue
            code = (code % highest) * SYMBOLS + symbol
            key = (key ^ np.uint64(symbol)) * np.uint64(FNV_PRIME)
            kept += 1
            if kept >= n:
                codes[filled] = code
                filled += 1
        ends[text] = filled
        letters[text] = kept
        keys[text] = key
    return codes[:filled], ends, letters, keys


@njit
def _slot(code, slots):  # type: ignore[no-untyped-def]
    """Where the search for an n-gram begins (Fibonacci hashing: Knuth 1998, The Art of Computer Programming 3, section 6.4)."""
    return np.int64((np.uint64(code) * np.uint64(GOLDEN)) >> np.uint64(32)) & (len(slots) - 1)


@compiled
def hash_terms(term_codes):  # type: ignore[no-untyped-def]
    """The hash table of the terms, with linear probing: int32 [a power of two], a term or -1; at most half of it is filled."""
    size = 2
    while size < 2 * len(term_codes):
        size *= 2
    slots = np.full(size, -1, np.int32)
    for term in range(len(term_codes)):
        slot = _slot(term_codes[term], slots)
        while slots[slot] >= 0:
            slot = (slot + 1) & (size - 1)
        slots[slot] = term
    return slots


@njit
def find_term(code, term_codes, slots):  # type: ignore[no-untyped-def]
    """The term of an n-gram, -1 if the index does not know it."""
    slot = _slot(code, slots)
    while slots[slot] >= 0 and term_codes[slots[slot]] != code:
        slot = (slot + 1) & (len(slots) - 1)
    return np.int64(slots[slot])


@njit
def self_score_of(codes, index, norm):  # type: ignore[no-untyped-def]
    """s(q, q) of a query's n-grams; `norm` is k1 (1 - b + b |q| / m)."""
    score = 0.0
    codes = np.sort(codes)
    position = 0
    while position < len(codes):
        first = position
        while position < len(codes) and codes[position] == codes[first]:
            position += 1
        count = position - first
        term = find_term(codes[first], index.term_codes, index.slots)
        score += (index.idf[term] if term >= 0 else index.unknown_idf) * count * (index.k1 + 1) / (count + norm)
    return score


@njit
def _rarest_first(terms, frequencies, known, count):  # type: ignore[no-untyped-def]
    """Brings the `count` rarest of the first `known` terms to the front, ascending; of equally rare ones the smaller first."""
    for rank in range(count):
        rarest = rank
        for other in range(rank + 1, known):
            if frequencies[other] < frequencies[rarest] or (
                frequencies[other] == frequencies[rarest] and terms[other] < terms[rarest]
            ):
                rarest = other
        terms[rank], terms[rarest] = terms[rarest], terms[rank]
        frequencies[rank], frequencies[rarest] = frequencies[rarest], frequencies[rank]


@njit
def _choose_terms(codes, index, search, term_marks, query_terms, looked_up, terms, frequencies):  # type: ignore[no-untyped-def]
    """Marks the query's known terms and lists them in `query_terms`, and in `looked_up` the rarest of each stretch that
    no earlier stretch chose, the most frequent last. Returns how many there are of both."""
    distinct, chosen = 0, 0
    stretches = (len(codes) + search.stretch - 1) // search.stretch
    for number in range(stretches):
        known = 0
        for code in codes[number * len(codes) // stretches : (number + 1) * len(codes) // stretches]:
            term = find_term(code, index.term_codes, index.slots)
            if term < 0 or term_marks[term] == LISTED:
                continue
            if term_marks[term] == 0:
                query_terms[distinct] = term
                distinct += 1
            term_marks[term] = LISTED
            terms[known] = term
            frequencies[known] = index.posting_starts[term + 1] - index.posting_starts[term]
            known += 1
        count = min(search.rare_terms, known)
        _rarest_first(terms, frequencies, known, count)
        for rank in range(known):
            if rank < count and (rank < search.min_hits or frequencies[rank] <= search.frequency_cap):
                looked_up[chosen] = terms[rank]
                chosen += 1
            else:
                term_marks[terms[rank]] = IN_QUERY
    for rank in range(chosen):
        frequencies[rank] = index.posting_starts[looked_up[rank] + 1] - index.posting_starts[looked_up[rank]]
    looked_up[:chosen] = looked_up[:chosen][np.argsort(frequencies[:chosen])]
    return distinct, chosen


@njit
def _find_candidates(looked_up, needed, posting_starts, posting_texts, hits, epoch, candidates):  # type: ignore[no-untyped-def]
    """Writes the texts that hold `needed` of the terms into `candidates`; returns how many.

    `hits` counts in its low bytes, and says in the high ones for which query (`epoch`): it need not be emptied for each.
    """
    found = 0
    base = np.int64(epoch) << 8
    # A text without a hit when fewer than `needed` terms are left cannot become one: the longest lists only count on.
    for rank in range(len(looked_up)):
        term = looked_up[rank]
        least = base + max(needed - (len(looked_up) - rank), 0)
        for posting in range(posting_starts[term], posting_starts[term + 1]):
            text = np.uint32(posting_texts[posting])  # unsigned: spares numba's check for indices from the end
            count = max(np.int64(hits[text]), base)
            if count >= least and count < base + needed:
                hits[text] = count + 1
                if count + 1 == base + needed:
                    candidates[found] = text
                    found += 1
    return found


@compiled
def closest(codes, ends, letters, index, search, scratch):  # type: ignore[no-untyped-def]
    """The closest benchmark text of each query that is not short; `Bm25Index.closest` says what is computed.

    - `codes`, `ends`, `letters`: the queries, as `ngrams` cuts them.
    - `index`, `search`, `scratch`: Index, Search, Scratch.

    Returns `best` int64 [queries], -1 for no candidate, and `scores` float64 [queries, 3]: symmetric, embedded, margin.
    """
    posting_starts, posting_texts = index.posting_starts, index.posting_texts
    text_starts, text_terms, text_weights = index.text_starts, index.text_terms, index.text_weights
    self_scores = index.self_scores
    hits, candidates, term_marks = scratch.hits, scratch.candidates, scratch.term_marks
    best = np.full(len(ends), -1, np.int64)
    scores = np.zeros((len(ends), 3), np.float64)
    query_terms = np.empty(len(codes), np.int64)
    looked_up = np.empty(len(codes), np.int64)
    terms = np.empty(len(codes), np.int64)
    frequencies = np.empty(len(codes), np.int64)
    start, epoch = 0, 0
    for query in range(len(ends)):
        query_codes = codes[start : ends[query]]
        start = ends[query]
        length = len(query_codes)
        if letters[query] < search.min_letters or length == 0:
            continue

        distinct, chosen = _choose_terms(
            query_codes, index, search, term_marks, query_terms, looked_up, terms, frequencies
        )
        if chosen == 0:
            continue
        if epoch % LAST_EPOCH == 0:
            hits[:] = 0
        found = _find_candidates(
            looked_up[:chosen],
            min(search.min_hits, chosen),
            posting_starts,
            posting_texts,
            hits,
            epoch % LAST_EPOCH + 1,
            candidates,
        )
        epoch += 1
        self_score = 0.0
        if found:
            norm = index.k1 * (1 - index.b + index.b * length / index.mean_length)
            self_score = self_score_of(query_codes, index, norm)
        best_margin = -1.0
        for text in candidates[:found]:
            score = 0.0
            for position in range(text_starts[text], text_starts[text + 1]):
                score += text_weights[position] * (term_marks[text_terms[position]] != 0)
            symmetric = 2 * score / (self_score + self_scores[text])
            embedded = score / self_scores[text]
            margin = max(symmetric / search.threshold, embedded / search.embedded_threshold)
            if index.text_letters[text] < search.short_letters:
                margin *= search.short_factor
            if margin > best_margin or (margin == best_margin and text < best[query]):
                best_margin = margin
                best[query] = text
                scores[query, 0] = symmetric
                scores[query, 1] = embedded
                scores[query, 2] = margin
        for term in query_terms[:distinct]:
            term_marks[term] = 0
    return best, scores
