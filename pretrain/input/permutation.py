"""The order of rows: each epoch a pseudorandom permutation, any position of which is computed by itself.

It is the order of grain 0.2.18, `MapDataset.range(size).seed(seed).shuffle().repeat(None)`, with which runs of older code were
trained, so that they resume in it, and no version of a package can change it. An index is encrypted by a Feistel network of four
rounds with the round function of Simon (Beaulieu et al. 2013, https://eprint.iacr.org/2013/404), in blocks of as many bits as an
epoch needs, an even number; while that leads out of the epoch, it is encrypted again (cycle walking: Black and Rogaway 2002,
https://www.cs.ucdavis.edu/~rogaway/papers/subset.pdf). The round keys are the words that C++'s `std::seed_seq` ([rand.util.seedseq])
makes of the epoch's seed, which is the run's seed, hashed by NumPy's SeedSequence, plus the number of the epoch.

grain takes two bits too few for 2**16 + 1, 2**18 + 1, 2**20 + 1, ... rows, and so does this: the last row of such records is never
read, and another one twice an epoch. Every other size is permuted exactly.
"""

from functools import lru_cache

import numpy as np

SMALLEST_BLOCK = 16
"""Bits. So small an epoch is permuted as a whole and kept: its indices may be encrypted thousands of times until they are back."""
MOST_ROWS = 2**40
"""For the tables of `_mixed` to stay below 8 MiB."""


def shuffled(positions: np.ndarray, size: int, seed: int) -> np.ndarray:
    """The rows at some positions of an endless sequence of epochs, each shuffled by itself.

    - `positions`: int64 [n], 0 or more.
    - `size`: rows of an epoch, 1 to MOST_ROWS.
    - `seed`: 0 to 2**32 - 1.

    Returns int64 [n], 0 to size - 1. Raises ValueError for another size or seed.
    """
    if not (1 <= size <= MOST_ROWS and 0 <= seed < 2**32):
        raise ValueError(f"{size} rows shuffled by seed {seed}: must be 1 to {MOST_ROWS} rows and a seed of 32 bits")
    # The 1 is grain's distance between the seed and the shuffle that takes it.
    first = int(np.random.SeedSequence([seed, 1]).generate_state(1)[0])
    epochs, places = np.divmod(positions, size)
    rows = np.empty_like(places)
    for epoch in np.unique(epochs):
        there = epochs == epoch
        rows[there] = _of_epoch(places[there], size, (first + int(epoch)) % 2**32)
    return rows


def _of_epoch(places: np.ndarray, size: int, seed: int) -> np.ndarray:
    """The rows at places of one epoch, int64 [n] both."""
    bits = (max(size - 1, 1) - 1).bit_length()  # the binary logarithm of size - 1, rounded up
    bits = max(bits + bits % 2, SMALLEST_BLOCK)
    if bits == SMALLEST_BLOCK:
        return _small_epoch(size, seed)[places]
    keys = _round_keys(seed)
    rows = _encrypted(places, bits, keys)
    outside = np.flatnonzero(rows >= size)
    while len(outside):
        rows[outside] = again = _encrypted(rows[outside], bits, keys)
        outside = outside[again >= size]
    return rows


@lru_cache(maxsize=8)
def _small_epoch(size: int, seed: int) -> np.ndarray:
    """All rows of one epoch in their order, int64 [size]."""
    numbers = np.arange(2**SMALLEST_BLOCK)
    encrypted = _encrypted(numbers, SMALLEST_BLOCK, _round_keys(seed))
    rows = encrypted[np.arange(size) % len(numbers)]
    # Each turn goes twice as many encryptions ahead as the one before, but not beyond the first that is in the epoch.
    ahead = np.where(numbers < size, numbers, encrypted)
    while (rows >= size).any():
        rows, ahead = ahead[rows], ahead[ahead]
    return rows


def _encrypted(indices: np.ndarray, bits: int, keys: np.ndarray) -> np.ndarray:
    """int64 [n] -> int64 [n], both of `bits` bits; what an index has beyond them is ignored."""
    word = bits // 2
    mask, mixed = (1 << word) - 1, _mixed(word)
    left, right = indices >> word & mask, indices & mask
    for key in keys & mask:
        left, right = right, left ^ mixed[right] ^ key
    return left << word | right


@lru_cache(maxsize=4)
def _mixed(word: int) -> np.ndarray:
    """Simon's round function of every word of so many bits, int64 [2**word]: rotated by 1 and by 8, and-ed, xor rotated by 2."""
    words = np.arange(2**word)
    twice = words << word | words  # any `word` bits of it in a row are a rotation
    return (twice >> word - 1 & twice >> word - 8 ^ twice >> word - 2) & (1 << word) - 1


@lru_cache(maxsize=64)
def _round_keys(seed: int) -> np.ndarray:
    """The four words that std::seed_seq{seed} generates, int64 [4]: in the standard's letters n = m = 4, s = p = t = 1, q = 2."""
    words = [0x8B8B8B8B] * 4
    added = (1, 1 + seed, 2, 3)
    for turn in range(8):
        k, after, next_but_one = turn % 4, (turn + 1) % 4, (turn + 2) % 4
        if turn < 4:
            more = 1664525 * _folded(words[k] ^ words[after] ^ words[k - 1])
            last = more + added[k]
            words[after], words[next_but_one] = words[after] + more, words[next_but_one] + last
        else:
            more = 1566083941 * _folded(words[k] + words[after] + words[k - 1])
            last = more - k
            words[after], words[next_but_one] = words[after] ^ more, words[next_but_one] ^ last
        words[k] = last
        words = [word % 2**32 for word in words]
    return np.array(words)


def _folded(word: int) -> int:
    word %= 2**32
    return word ^ word >> 27
