"""Hashtags: those that label a text go, those that are words of a sentence stay as words."""

import re
from collections.abc import Iterator, Sequence

# Not #1위 (no letter first), C#, page#x, ?a=#x, &#38; and not the ##이가 that stands for a name made unreadable.
_HASHTAGS = re.compile(r"(?<![\w/=&%#])(?:#[^\W\d]\w*+)+")
_BETWEEN = re.compile(r"[\s,·/|]*")
"""What divides the tags of one list."""
_WORD = re.compile(r"\w")
_SENTENCE_END = re.compile(r"(?:^|[.!?…~♡♥)\]]) *$")
LIST = 3
"""So many tags in a row label the text, wherever they stand; at the beginning of a line or sentence one fewer is enough."""


def without_hashtags(text: str) -> str:
    """The text without lists of hashtags; a tag inside a sentence (오늘 #서울에 갔다) loses its # alone.

    A tag is inside a sentence where words follow it on its line, unless it is one of `LIST` tags in a row.
    """
    return "\n".join(_line(line) if "#" in line else line for line in text.split("\n"))


def _line(line: str) -> str:
    tags = list(_HASHTAGS.finditer(line))
    if not tags:
        return line
    last = len(tags)  # the first tag of those that no word follows
    while last and not _WORD.search(line, tags[last - 1].end(), tags[last].start() if last < len(tags) else len(line)):
        last -= 1
    end_of_words = tags[last].start() if last < len(tags) else len(line)
    pieces, position = [], 0
    for run in (*_runs(line, tags[:last]), *_runs(line, tags[last:])):
        number = sum(tag[0].count("#") for tag in run)
        if run[0].start() >= end_of_words or number >= LIST or (number == LIST - 1 and _begins(line, run[0].start())):
            pieces.append(line[position : run[0].start()])
            position = run[-1].end()
            continue
        for tag in run:
            pieces += [line[position : tag.start()], tag[0][1:].replace("#", " ")]
            position = tag.end()
    return "".join((*pieces, line[position:]))


def _runs(line: str, tags: Sequence[re.Match[str]]) -> Iterator[list[re.Match[str]]]:
    """Tags with nothing but blanks and commas between them."""
    run: list[re.Match[str]] = []
    for tag in tags:
        if run and not _BETWEEN.fullmatch(line, run[-1].end(), tag.start()):
            yield run
            run = []
        run.append(tag)
    if run:
        yield run


def _begins(line: str, position: int) -> bool:
    """Whether a line or a sentence begins here."""
    return bool(_SENTENCE_END.search(line[max(0, position - 8) : position]))
