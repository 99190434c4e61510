"""Characters that a vocabulary of Korean need not hold, and letters repeated for emphasis."""

import re
from functools import cache

import numpy as np

from data_pipeline.corpus.document import HOLE

_FOREIGN = re.compile(rf"[^ .,?!/@$%~％·∼()\x00-\x7Fㄱ-ㅣ가-힣{HOLE}]+")
"""KcBERT's published class, with our sign of a hole; LMkor, which names no class, also deletes Han characters and emoji."""


def without_foreign_characters(text: str) -> str:
    """The text with a blank for each run of what is neither Hangul, Latin, a digit nor a usual mark (Han, Kana, emoji, ...)."""
    return text if text.isascii() else _FOREIGN.sub(" ", text)


def shorten_repeats(text: str, longest: int) -> str:
    """The text with runs of one letter cut to `longest`: ㅋㅋㅋㅋㅋ to ㅋㅋ, as soynlp's repeat_normalize, which KcBERT calls.

    Unlike there digits stay (100,000 is no emphasis), and so does the www of an address.
    """
    if not _repeats_anything(text, longest):
        return text
    return _long_run(longest).sub(lambda run: run[1] * longest, text)


def _repeats_anything(text: str, longest: int) -> bool:
    """Whether a run is too long, of letters as far as a glance tells: six times as fast as the search for one."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    repeated = (codes[1:] == codes[:-1]) & (codes[1:] > ord("9"))
    together = repeated[: max(0, len(repeated) - longest + 1)].copy()
    for offset in range(1, longest):
        together &= repeated[offset : offset + len(together)]
    return bool(together.any())


@cache
def _long_run(longest: int) -> re.Pattern[str]:
    return re.compile(rf"(?!www\.)([^\W\d])\1{{{longest},}}")
