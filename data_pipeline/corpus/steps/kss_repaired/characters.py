"""What each character is to the scanner: one byte a character of the basic plane."""

from functools import cache

import numpy as np
from numba import njit
from numpy.typing import NDArray

OTHER, BLANK, HANGUL, LETTER, DIGIT, STOP, COMMA, OPEN, CLOSE, QUOTE, OPEN_QUOTE, CLOSE_QUOTE, JAMO, CHEER, BULLET = (
    range(15)
)
"""- `BLANK`: what `str.isspace` says. `HANGUL`: a syllable. `LETTER`: of any other script; Latin ones are below 0x250.
- `STOP`: . ! ? … and their wide forms. `COMMA`: , and its wide forms.
- `QUOTE`: " ' and their like, which open as well as close.
- `JAMO`: loose ones, as in ㅋㅋ; ㅇ and ㅁ stand for a hidden syllable, and are letters. `CHEER`: ~ ^ ; hearts, faces, notes and other emoji.
- `BULLET`: ■ ※ ① and what else opens a line, but follows a word without a blank as a decoration."""

PLANE = 0x10000

_MEMBERS = {
    STOP: ".!?…‥⋯。！？．‼⁇⁈⁉｡",
    COMMA: ",、，､",
    OPEN: "([{<〈《「『【〔（［｛＜",
    CLOSE: ")]}>〉》」』】〕）］｝＞",
    QUOTE: "\"'´`＂＇",
    OPEN_QUOTE: "“‘‟‛",
    CLOSE_QUOTE: "”’",
    CHEER: "~∼～〜^;♥♡❤❣☺☻☹♪♬♩♫ಠ✌✨\ufe0e\ufe0f\u200d",
    BULLET: "■□▪▫▶▷►◆◇●○◎◉•※★☆▲△▼▽☞☛✔✓✅➡→⇒➜➤♣♠◈▣❖",
}
BRACKETS = tuple(zip(_MEMBERS[OPEN], _MEMBERS[CLOSE], strict=True))


@cache
def character_classes() -> NDArray[np.uint8]:
    """uint8 [PLANE]."""
    classes = np.zeros(PLANE, np.uint8)
    for code in range(PLANE):
        character = chr(code)
        if character.isspace():
            classes[code] = BLANK
        elif "가" <= character <= "힣":
            classes[code] = HANGUL
        elif "ㄱ" <= character <= "ㅣ" or "\u1100" <= character <= "\u11ff":
            classes[code] = LETTER if character in "ㅇㅁ" else JAMO
        elif "①" <= character <= "⓿":
            classes[code] = BULLET
        elif character in "0123456789":
            classes[code] = DIGIT
        elif character.isalnum():
            classes[code] = LETTER
        elif 0x2600 <= code <= 0x27BF:
            classes[code] = CHEER
    for kind, members in _MEMBERS.items():
        for character in members:
            if classes[ord(character)] != JAMO:
                classes[ord(character)] = kind
    return classes


@njit
def class_of(classes, code):  # type: ignore[no-untyped-def]
    """What a character is; beyond the basic plane emoji are told by their blocks, and the rest are letters."""
    if code < PLANE:
        return np.int64(classes[code])
    if code < 0x1F000 or code > 0x1FAFF:
        return LETTER
    return CHEER
