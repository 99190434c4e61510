"""What the model sees of a place: the syllables before and behind it, alone and in pairs, and KSS's cut, each hashed into one table."""

import numpy as np
from numba import njit

from data_pipeline.corpus.steps.kss_repaired.characters import BLANK, DIGIT, HANGUL, LETTER, class_of

BITS = 18
"""The table has 2 ** BITS weights."""
FEATURES = 22
UNIT = 32
"""A weight of 32 multiplies the odds by e."""

_FNV_BASIS, _FNV_PRIME = 0xCBF29CE484222325, 0x100000001B3
# Not code points, so that they stand for whole classes.
_EDGE, _GAP, _NUMBER, _LATIN, _MARK = 1, 2, 3, 4, 5
_LONGEST_WORD = 8


@njit
def _symbol(codes, classes, place, start, end):  # type: ignore[no-untyped-def]
    """A character as the model sees it: syllables and Han as they are, others by class."""
    if place < start or place >= end:
        return np.uint64(_EDGE)
    code = np.int64(codes[place])
    kind = class_of(classes, code)
    if kind == HANGUL:
        return np.uint64(code)
    if kind == BLANK:
        return np.uint64(_GAP)
    if kind == DIGIT:
        return np.uint64(_NUMBER)
    if kind == LETTER:
        return np.uint64(_LATIN)
    return np.uint64(code) if code < 0x80 else np.uint64(_MARK)


@njit
def _mixed(number, one, other):  # type: ignore[no-untyped-def]
    """The entry of a feature: its number and one or two hashes."""
    value = (one * np.uint64(0x9E3779B97F4A7C15)) ^ (other + np.uint64(number) * np.uint64(0xC2B2AE3D27D4EB4F))
    value ^= value >> np.uint64(29)
    value *= np.uint64(0xBF58476D1CE4E5B9)
    return np.int64(value >> np.uint64(64 - BITS))


@njit
def place_features(codes, classes, cuts, start, end, left, right, first, entries):  # type: ignore[no-untyped-def]
    """Fills `entries` (int64 [FEATURES]) with entries of the table.

    - `left`: the last letter before the place; `right`: where the next sentence would start; `first`: its first letter.
    - `cuts`: KSS's, as `mark_kss_cuts` sets them; between `start` and `end`, the paragraph.
    """
    none = np.uint64(0)
    basis, prime = np.uint64(_FNV_BASIS), np.uint64(_FNV_PRIME)
    left1 = (basis ^ _symbol(codes, classes, left, start, end)) * prime
    left2 = (left1 ^ _symbol(codes, classes, left - 1, start, end)) * prime
    left3 = (left2 ^ _symbol(codes, classes, left - 2, start, end)) * prime
    left4 = (left3 ^ _symbol(codes, classes, left - 3, start, end)) * prime
    left5 = (left4 ^ _symbol(codes, classes, left - 4, start, end)) * prime
    right1 = (basis ^ _symbol(codes, classes, first, start, end)) * prime
    right2 = (right1 ^ _symbol(codes, classes, first + 1, start, end)) * prime
    right3 = (right2 ^ _symbol(codes, classes, first + 2, start, end)) * prime
    right4 = (right3 ^ _symbol(codes, classes, first + 3, start, end)) * prime
    left_word, place, left_length = basis, left, 0
    while place >= start and left_length < _LONGEST_WORD:
        symbol = _symbol(codes, classes, place, start, end)
        if symbol == np.uint64(_GAP):
            break
        left_word = (left_word ^ symbol) * prime
        left_length += 1
        place -= 1
    before1 = (basis ^ _symbol(codes, classes, place - 1, start, end)) * prime
    before2 = (before1 ^ _symbol(codes, classes, place - 2, start, end)) * prime
    right_word, place, right_length = basis, first, 0
    last = np.uint64(_EDGE)
    while place < end and right_length < _LONGEST_WORD:
        symbol = _symbol(codes, classes, place, start, end)
        if symbol == np.uint64(_GAP):
            break
        right_word = (right_word ^ symbol) * prime
        last = symbol
        right_length += 1
        place += 1
    next1 = (basis ^ _symbol(codes, classes, place + 1, start, end)) * prime
    next2 = (next1 ^ _symbol(codes, classes, place + 2, start, end)) * prime
    kss = np.uint64(0)
    for place in range(left + 1, right + 1):
        kss |= np.uint64(cuts[place])
    opened = np.uint64(first - right)
    entries[0] = _mixed(0, left1, none)
    entries[1] = _mixed(1, left2, none)
    entries[2] = _mixed(2, left3, none)
    entries[3] = _mixed(3, left4, none)
    entries[4] = _mixed(4, left5, none)
    entries[5] = _mixed(5, left_word, np.uint64(left_length))
    entries[6] = _mixed(6, right1, opened)
    entries[7] = _mixed(7, right2, none)
    entries[8] = _mixed(8, right3, none)
    entries[9] = _mixed(9, right4, none)
    entries[10] = _mixed(10, right_word, np.uint64(right_length))
    entries[11] = _mixed(11, left1, right1)
    entries[12] = _mixed(12, left2, right1)
    entries[13] = _mixed(13, left1, right2)
    entries[14] = _mixed(14, left2, right2)
    entries[15] = _mixed(15, left3, right2)
    entries[16] = _mixed(16, left2, right_word)
    entries[17] = _mixed(17, left1, kss)
    entries[18] = _mixed(18, left2, before2)
    entries[19] = _mixed(19, left2, last)
    entries[20] = _mixed(20, left2, np.uint64(min(left_length, 5) * 8 + min(right_length, 5)))
    entries[21] = _mixed(21, right2, next2)
