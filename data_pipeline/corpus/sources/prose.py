"""An article as paragraphs: sections that hold no prose go."""

import re
from collections.abc import Iterable

Paragraph = tuple[int, str]
"""The level of a heading (1 is the highest), or 0 for text; and its text."""
APPENDICES = re.compile(
    "같이 보기|함께 보기|관련 (?:문서|항목|문헌)|둘러보기|각주|주석|주해|내용주|참조주|출처|인용|참고|참고 ?(?:문헌|자료)|외부 ?링크|바깥 고리|"
    "각주(?: 및|와) 참고 ?문헌|더 읽(?:어보기|을거리)"
)
"""Sections of references and links, with all below them."""


def prose(paragraphs: Iterable[Paragraph]) -> str:
    """The text of an article, a paragraph a line, without appendices and without headings that have nothing below them."""
    kept: list[Paragraph] = []
    appendix = 0  # the level of the one that we are in
    for level, text in paragraphs:
        if level and (not appendix or level <= appendix):
            appendix = level if APPENDICES.fullmatch(text) else 0
        if not appendix and text:
            kept.append((level, text))
    lines: list[str] = []
    level_below = 1
    for level, text in reversed(kept):
        if not level or level_below == 0 or level_below > level:
            lines.append(text)
            level_below = level
    return "\n".join(reversed(lines))
