"""The marks of NIKL's corpora in their text, as the corpora's descriptions list them: what was masked, what happened, how it was heard.

&name1&, &company-name&, &social-security-num&      masked: a hole
{laughing}, {share:photo}, {system: call}, {emoji}  what happened: nothing
(()), ((xx)), ((추정 전사))                         not heard at all, syllables not heard: holes; a guess: itself
-그-, 어~                                           a word broken off, a filler drawn out: nothing, the filler
"""

import re

from data_pipeline.corpus.document import HOLE
from data_pipeline.corpus.sources.holes import without_lone_holes

_MASKED = re.compile(r"&[a-z]{3,}(?:-[a-z]+)*\d*&")
_EVENT = re.compile(r"\{ *[a-z]+(?: *: *[a-z]+)? *\}")
_NOT_HEARD = re.compile(r"(?:[xX*]+|\s)*")
_HEARD = re.compile(r"\(\(([^()]*)\)\)")
_UNHEARD_SYLLABLES = re.compile(r"(?<![a-zA-Z])[xX]+(?![a-zA-Z])")
_BROKEN_OFF = re.compile(r"(?<![\w-])-([가-힣ㄱ-ㆎ]+(?: [가-힣ㄱ-ㆎ]+)*)-(?![\d-])")
_DRAWN_OUT = re.compile(r"~+")
_BLANKS = re.compile(r"[ \t]{2,}")


def written(form: str, *, spoken: bool) -> str:
    """The text of a form without its marks.

    - `spoken`: it was transcribed, and not typed: brackets, dashes and ~ are marks.
    """
    text = _EVENT.sub("", _MASKED.sub(HOLE, form)) if "&" in form or "{" in form else form
    if spoken:
        text = _DRAWN_OUT.sub("", _BROKEN_OFF.sub("", _HEARD.sub(_heard, text)))
    return text if text == form else without_lone_holes(_BLANKS.sub(" ", text).strip())


def _heard(guess: re.Match[str]) -> str:
    if _NOT_HEARD.fullmatch(guess[1]):
        return HOLE
    return _UNHEARD_SYLLABLES.sub(HOLE, guess[1]).strip()
