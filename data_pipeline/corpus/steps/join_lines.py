"""Hard-wrapped text: lines that were broken at a width are joined, so that a sentence is one line again."""

import re
import unicodedata
from itertools import pairwise

_STOP = re.compile(r"""[.?!…。！？:;][)\]}〉》」』】）〕］｝”’"']*+$""")
"""How a line ends that ends a sentence."""
_STARTS_ANEW = re.compile(r"\s*+(?:[-*•·∙■□▲△▶▷◆◇○●◎※☞]|\(?\d{1,3}[.)](?!\d)|[가-하][.)]\s|[①-⑳]|\t|   )")
"""How a line begins that does not go on with the one before it: an item of a list, an indent."""
SHORT = 1 / 3
"""A line narrower than this share of the widest was not broken at the width: a heading, the end of a paragraph without a stop."""


def join_lines(text: str) -> str:
    """The text with every line that ends without a stop joined to the next, up to a blank line.

    Where all lines that are joined have one width, within a column, and none ends with a blank, they were cut inside words and are joined
    without one; else with one. A short line, and one before an item of a list, stays as it is.
    """
    lines = re.split("\r\n|[\n\r\x0b\x0c\x85\u2028\u2029]", text)
    if len(lines) < 2:
        return text
    shortest = SHORT * max(map(_columns, lines))
    joined = [_goes_on(line, after, shortest) for line, after in pairwise(lines)]
    widths = [_columns(line) for line, goes_on in zip(lines, joined, strict=False) if goes_on]
    if not widths:
        return text
    as_cut = any(line.endswith(" ") for line, goes_on in zip(lines, joined, strict=False) if goes_on)
    inside_words = as_cut or (len(widths) > 1 and max(widths) - min(widths) <= 1)
    pieces = [lines[0]]
    for line, goes_on in zip(lines[1:], joined, strict=True):
        if not goes_on:
            pieces.append("\n")
        elif not inside_words:
            pieces.append(" ")
        pieces.append(line)
    return "".join(pieces)


def _goes_on(line: str, after: str, shortest: float) -> bool:
    stripped = line.rstrip()
    if not stripped or not after.strip() or _STOP.search(stripped) or _STARTS_ANEW.match(after):
        return False
    return _columns(stripped) >= shortest


def _columns(line: str) -> int:
    """Width on a terminal: a syllable takes two columns."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in line)
