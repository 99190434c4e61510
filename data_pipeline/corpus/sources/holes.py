"""What a reader leaves out, and a sentence may not be whole without."""

import re

from data_pipeline.corpus.document import HOLE

_PLAIN_FORMULA = re.compile(r"[A-Za-z0-9 .,+\-=<>()]{1,40}")
_NOTHING_ELSE = re.compile(f"[^\\w{HOLE}]*{HOLE}[^\\w{HOLE}]*")


def formula(source: str) -> str:
    """A formula in a sentence: itself where it is plain (n, x = 1), or a hole."""
    source = source.strip()
    return source if _PLAIN_FORMULA.fullmatch(source) else HOLE


def without_lone_holes(line: str) -> str:
    """A line of text; empty where it is nothing but a hole, such as a formula on a line of its own."""
    return "" if HOLE in line and _NOTHING_ELSE.fullmatch(line.replace(HOLE + HOLE, HOLE)) else line
