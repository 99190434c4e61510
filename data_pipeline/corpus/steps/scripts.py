"""What texts are written in: how many of their characters are Hangul, Han or Kana, and letters of any script."""

import re
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from data_pipeline.corpus.compiled import compiled

# Syllables, then jamo: modern, compatibility, extended A and B, halfwidth.
HANGUL = re.compile("[가-힣\u1100-\u11ff\u3130-\u318f\ua960-\ua97f\ud7b0-\ud7ff\uffa0-\uffdc]")
# Ideographs (with 々〆〇) and kana. The katakana middle dot U+30FB is left out: Korean text uses it as its own ·.
HAN_OR_KANA = re.compile(
    "[\u3005-\u3007\u3041-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f"
    "\U00020000-\U000323af]"
)
LETTERS_END = 0x323B0
"""No letter of a living script, no Han character stands behind it."""

_IS_HANGUL, _IS_HAN_OR_KANA, _IS_LETTER = 1, 2, 4


class Scripts(NamedTuple):
    """Characters of a text: Hangul with its jamo, Han and Kana together, and letters (Unicode category L) of any script."""

    hangul: int
    han_or_kana: int
    letters: int


def count_scripts(texts: Sequence[str]) -> NDArray[np.int32]:
    """int32 [texts, 3]: the columns of `Scripts` for each text."""
    code_points = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), np.uint32)
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    counts: NDArray[np.int32] = _count(code_points, lengths, _flags())
    return counts


@compiled
def _count(code_points, lengths, flags):  # type: ignore[no-untyped-def]
    counts = np.zeros((len(lengths), 3), np.int32)
    position = 0
    for text in range(len(lengths)):
        for code_point in code_points[position : position + lengths[text]]:
            flag = flags[min(code_point, np.uint32(LETTERS_END))]
            counts[text, 0] += flag & _IS_HANGUL != 0
            counts[text, 1] += flag & _IS_HAN_OR_KANA != 0
            counts[text, 2] += flag & _IS_LETTER != 0
        position += lengths[text]
    return counts


@cache
def _flags() -> NDArray[np.uint8]:
    """uint8 [LETTERS_END + 1]: what the character of each code point is; the last stands for all behind it."""
    characters = "".join(map(chr, range(LETTERS_END)))
    flags = np.zeros(LETTERS_END + 1, np.uint8)
    for flag, found in ((_IS_HANGUL, HANGUL.findall(characters)), (_IS_HAN_OR_KANA, HAN_OR_KANA.findall(characters))):
        flags[list(map(ord, found))] |= flag
    flags[:-1] |= np.fromiter(map(str.isalpha, characters), bool, LETTERS_END) * np.uint8(_IS_LETTER)
    return flags
