"""What is decided by marks and not by the model: lists, dates, initials, and what goes on behind a quotation."""

import numpy as np
from numba import njit

from data_pipeline.corpus.steps.kss_repaired.characters import (
    BLANK,
    BULLET,
    CLOSE,
    DIGIT,
    HANGUL,
    LETTER,
    OPEN,
    OTHER,
    STOP,
    class_of,
)
from data_pipeline.corpus.steps.kss_repaired.features import UNIT
from data_pipeline.corpus.steps.kss_repaired.places import COMMAED, DOTTED, QUOTED, TAILED

NEVER = -(1 << 20)
LIST_BONUS = UNIT
BULLET_BONUS = 3 * UNIT
LATIN_END = 0x250

_MARKERS = np.array(list(map(ord, "가나다라마바사아자차카타파하")), np.int64)
_QUOTES_ON = np.array(list(map(ord, "고는며던")), np.int64)
_PARTICLES = np.array(list(map(ord, "고며는은을를이가도의와과란")), np.int64)
_TITLE_OPENERS = np.array(list(map(ord, "〈《「『<＜")), np.int64)
_RA, _I, _MYEON, _SEO, _HA = map(ord, "라이면서하")


@njit
def _is_in(code, members):  # type: ignore[no-untyped-def]
    for member in members:  # noqa: SIM110 - no generators in numba
        if code == member:
            return True
    return False


@njit
def _goes_on(codes, classes, first, end, quoted):  # type: ignore[no-untyped-def]
    """Whether what follows belongs to what was said before it: 라고, 이라는, 라며; behind a quotation also 고, 는, 하며."""
    place = first
    if place < end and codes[place] == _I:
        place += 1
    if place + 1 < end and codes[place] == _RA:
        if _is_in(codes[place + 1], _QUOTES_ON):
            return True
        if place + 2 < end and codes[place + 1] == _MYEON and codes[place + 2] == _SEO:
            return True
    if not quoted:
        return False
    if codes[first] == _HA and first + 1 < end and _is_in(codes[first + 1], _QUOTES_ON):
        return True
    alone = first + 1 == end or class_of(classes, np.int64(codes[first + 1])) == BLANK
    return alone and _is_in(codes[first], _PARTICLES)


@njit
def _opens_list(codes, classes, right, end):  # type: ignore[no-untyped-def]
    """Whether `1. `, `(2) `, `3) `, `가. ` or `나) ` stands there."""
    place = right
    if class_of(classes, np.int64(codes[place])) == OPEN:
        place += 1
    digits = 0
    while place < end and class_of(classes, np.int64(codes[place])) == DIGIT:
        place += 1
        digits += 1
    if digits == 0:
        if place >= end or not _is_in(codes[place], _MARKERS):
            return False
        place += 1
    if digits > 2 or place >= end:
        return False
    kind = class_of(classes, np.int64(codes[place]))
    if kind != CLOSE and codes[place] != 0x2E:
        return False
    return place + 1 < end and class_of(classes, np.int64(codes[place + 1])) == BLANK


@njit
def bonus_of(codes, classes, partner, start, end, left, right, first, kind, joined, sentence):  # type: ignore[no-untyped-def]
    """What the rules add to the score of a place, NEVER for none that may be cut; `sentence`: where the present one starts."""
    if kind == COMMAED or _goes_on(
        codes, classes, first, end, kind >= QUOTED and kind != COMMAED and _after_quote(codes, right)
    ):
        return NEVER
    code = np.int64(codes[left])
    left_kind = class_of(classes, code)
    word = left
    while word > start and class_of(classes, np.int64(codes[word - 1])) != BLANK:
        word -= 1
    length = left - word + 1
    if joined:
        if length < 2 or class_of(classes, np.int64(codes[left - 1])) != HANGUL:
            return NEVER
        if class_of(classes, np.int64(codes[first])) != HANGUL:
            return NEVER
        return 0
    if kind <= QUOTED and left == sentence:
        return NEVER  # one syllable is no sentence: 응 그래
    if kind == TAILED and left_kind == DIGIT and class_of(classes, np.int64(codes[first])) == DIGIT:
        return NEVER  # 1950 ~ 60년대
    # A mark alone between blanks opens what follows it.
    before_blank = right - 1
    while before_blank > start and class_of(classes, np.int64(codes[before_blank])) == BLANK:
        before_blank -= 1
    if class_of(classes, np.int64(codes[before_blank])) == BULLET and (
        before_blank == start or class_of(classes, np.int64(codes[before_blank - 1])) == BLANK
    ):
        return NEVER
    if kind <= QUOTED and class_of(classes, np.int64(codes[right])) == OPEN:
        if _is_in(codes[right], _TITLE_OPENERS):
            return NEVER
        closing = np.int64(partner[right])
        if closing >= 0 and closing + 1 < end and class_of(classes, np.int64(codes[closing + 1])) == STOP:
            return NEVER  # 이다 (2019년 기준).
    if (left_kind == OTHER and length <= 2) or (left_kind == CLOSE and length <= 4):
        return NEVER
    if kind == DOTTED:
        if left_kind == DIGIT:
            if class_of(classes, np.int64(codes[first])) == DIGIT:
                return NEVER
            numbers = True
            for place in range(word, left):
                each = class_of(classes, np.int64(codes[place]))
                numbers = numbers and (each in (DIGIT, STOP))
            if numbers and length <= 3:
                return NEVER
        if left_kind == LETTER and code < LATIN_END and length <= 3:
            following = class_of(classes, np.int64(codes[first]))
            if length == 1 or following in (DIGIT, LETTER):
                return NEVER
        if length == 1 and _is_in(code, _MARKERS):
            place = word - 1
            while place > start and class_of(classes, np.int64(codes[place])) == BLANK:
                place -= 1
            if word in (start, sentence) or class_of(classes, np.int64(codes[place])) in (STOP, CLOSE, OTHER, BULLET):
                return NEVER
    if class_of(classes, np.int64(codes[right])) == BULLET:
        return BULLET_BONUS
    if left_kind != DIGIT and _opens_list(codes, classes, right, end):
        return LIST_BONUS
    return 0


@njit
def _after_quote(codes, right):  # type: ignore[no-untyped-def]
    """Whether a quote closes just before the blank."""
    place = right - 1
    while place > 0 and (codes[place] == 0x20 or codes[place] == 0x09):
        place -= 1
    code = np.int64(codes[place])
    return code == 0x22 or code == 0x27 or code == 0x201D or code == 0x2019
