"""MinHash: a signature for each text, whose agreement with another estimates how much of their texts two documents share.

Broder 1997, "On the resemblance and containment of documents"; banding as in Leskovec, Rajaraman and Ullman, "Mining of
Massive Datasets", chapter 3.4; rensa computes the signatures.
"""

import sys
from collections.abc import Sequence
from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from data_pipeline.contract.packages import needed

SEED = 1
RECALL = 0.95
"""Least probability that two documents exactly as similar as the threshold meet in a band."""

_ODD = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: multiplying by it spreads small differences upwards
_SHIFT = np.uint64(29)


def bands_and_rows(threshold: float, permutations: int) -> tuple[int, int]:
    """How many bands of how many rows a signature is cut into: the longest bands in which `RECALL` of the pairs meet.

    A pair of Jaccard similarity s meets with probability 1 - (1 - s^rows)^bands; longer bands bring fewer strangers together.
    """
    fitting = [
        rows for rows in range(1, permutations + 1) if 1 - (1 - threshold**rows) ** (permutations // rows) >= RECALL
    ]
    rows = max(fitting, default=1)
    return permutations // rows, rows


def shingles(texts: Sequence[str], ngram: int) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Hashes of the n-grams of each text, counted over letters and digits in lower case; blanks and marks do not matter.

    Returns the hashes of all texts one after another (repeats included), and where each text's begin, with the end: [n + 1].
    """
    lengths = np.array([len(text) for text in texts], np.int64)
    codes = _folded()[np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), np.uint32)]
    counts = _sums(codes > 0, lengths)
    codes = codes[codes > 0].astype(np.uint64)
    windows = max(0, len(codes) - ngram + 1)
    hashes = np.zeros(windows, np.uint64)
    for offset in range(ngram):
        hashes = (hashes ^ codes[offset : offset + windows]) * _ODD
        hashes ^= hashes >> _SHIFT
    owner = np.repeat(np.arange(len(texts)), counts)
    inside = owner[:windows] == owner[len(owner) - windows :]  # a window that reaches into the next text is nobody's
    return hashes[inside], np.concatenate([[0], np.cumsum(np.maximum(counts - ngram + 1, 0))])


def signatures(hashes: NDArray[np.uint64], starts: NDArray[np.int64], permutations: int) -> NDArray[np.uint16]:
    """MinHash signatures [n, permutations] of texts that `shingles` hashed; equal sets have equal ones.

    Of rensa's 32 bits 16 are kept: two that differ then agree by accident once in 65,536, which no estimate notices.
    """
    min_hash = needed("rensa", "--data.near-duplicates").RMinHash
    matrix = min_hash.digest_matrix_from_flat_token_hashes(hashes, starts.astype(np.uint64), permutations, SEED)
    return np.array(matrix.to_rows(), np.uint32).reshape(-1, permutations).astype(np.uint16)


def worths(hashes: NDArray[np.uint64], starts: NDArray[np.int64]) -> NDArray[np.int64]:
    """How much each text says, of texts that `shingles` hashed: four for each different n-gram, one less for each repetition.

    So the longer of two near copies is worth more, unless it is longer because it says the same again. Four to one, because a
    fifth of what is added to a long text is different n-grams at the least.
    """
    different = [len(np.unique(hashes[start:end])) for start, end in pairwise(starts.tolist())]
    return 5 * np.array(different, np.int64) - np.diff(starts)


def band_hashes(signature: NDArray[np.uint16], bands: int, rows: int) -> NDArray[np.uint64]:
    """A hash for each band of each signature, [n, bands]; equal only for the same band with the same rows, but for accidents."""
    cut = signature[:, : bands * rows].reshape(-1, bands, rows).astype(np.uint64)
    hashes = np.broadcast_to(np.arange(1, bands + 1, dtype=np.uint64), cut.shape[:2]) * _ODD
    for row in range(rows):
        hashes = (hashes ^ cut[:, :, row]) * _ODD
        hashes ^= hashes >> _SHIFT
    return hashes


@cache
def _folded() -> NDArray[np.uint32]:
    """What each code point counts as: its lower case, or 0 where it is neither letter nor digit."""
    return np.array(
        [ord(character.lower()[0]) if character.isalnum() else 0 for character in map(chr, range(sys.maxunicode + 1))],
        np.uint32,
    )


def _sums(flags: NDArray[np.bool_], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many flags are set in each stretch of the given lengths."""
    running = np.concatenate([[0], np.cumsum(flags)])
    ends = np.cumsum(lengths)
    return running[ends] - running[ends - lengths]
