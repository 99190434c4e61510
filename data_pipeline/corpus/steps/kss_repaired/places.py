"""Where a sentence may end: at a blank, or at a stop or tail (ㅋㅋ, ~, emoji) that a letter follows without one."""

import numpy as np
from numba import njit

from data_pipeline.corpus.steps.kss_repaired.characters import (
    BLANK,
    BULLET,
    CHEER,
    CLOSE,
    CLOSE_QUOTE,
    COMMA,
    DIGIT,
    HANGUL,
    JAMO,
    LETTER,
    OPEN,
    OPEN_QUOTE,
    QUOTE,
    STOP,
    class_of,
)

BARE, QUOTED, COMMAED, TAILED, DOTTED, ELLIPSIS, ASKED = range(7)
"""What stands between the last letter and the next sentence, the strongest of it: nothing; a closing quote; one comma; ㅋㅋ and the like;
one full stop; several or …; ? or !."""

SQUARE_BRACKET, SQUARE_CLOSE, ROUND_CLOSE, WIDE_CLOSE = 0x5B, 0x5D, 0x29, 0xFF09
LONGEST_GLOSS = 80
"""Characters in brackets that are passed over to find the letter before: 했습니다(웃음)."""
LONGEST_TAIL = 60
"""Characters of marks and blanks between a sentence's last letter and the next sentence."""


@njit
def _is_tail_word(codes, classes, partner, start, end):  # type: ignore[no-untyped-def]
    """Whether a word is made of marks that belong to what stands before it: ㅋㅋ, ^^, ..., :), [1]."""
    found = False
    place = start
    while place < end:
        kind = class_of(classes, np.int64(codes[place]))
        if codes[place] == SQUARE_BRACKET and partner[place] > place and partner[place] < end:
            for inner in range(place + 1, partner[place]):
                if class_of(classes, np.int64(codes[inner])) != DIGIT:
                    return False
            place = np.int64(partner[place])
            found = True
        elif kind in (HANGUL, LETTER, DIGIT, OPEN, BULLET):
            return False
        elif kind in (QUOTE, OPEN_QUOTE):
            if partner[place] < 0 or partner[place] > place:
                return False
        elif kind in (STOP, COMMA, JAMO, CHEER, CLOSE, CLOSE_QUOTE):
            found = True
        place += 1
    return found


@njit
def _last_letter(codes, classes, partner, start, last):  # type: ignore[no-untyped-def]
    """The place of the last letter at or before `last`, and the kind of what stands behind it; -1 where only marks do."""
    place = np.int64(last)
    asked, dots, ellipsis, commas, tail, quoted, closed = False, 0, False, 0, False, False, False
    while place >= start and last - place < LONGEST_TAIL + LONGEST_GLOSS:
        code = np.int64(codes[place])
        kind = class_of(classes, code)
        if kind == STOP:
            if code == 0x2E or code == 0x3002 or code == 0xFF0E or code == 0xFF61:
                dots += 1
            elif code == 0x2026 or code == 0x2025 or code == 0x22EF:
                ellipsis = True
            else:
                asked = True
        elif kind == COMMA:
            if place == last:
                commas = 1
            elif commas == last - place:
                commas += 1
        elif kind in (JAMO, CHEER, BULLET):
            tail = True
        elif kind == CLOSE:
            if partner[place] >= 0 and code != ROUND_CLOSE and code != SQUARE_CLOSE and code != WIDE_CLOSE:
                break  # a title in 《》 is a word
            if partner[place] >= 0:
                opener = np.int64(partner[place])
                if place - opener > LONGEST_GLOSS or opener <= start:
                    break
                place = opener
            elif place > start and class_of(classes, np.int64(codes[place - 1])) in (DIGIT, HANGUL, LETTER):
                break  # 1) and 가) are marks of lists
            closed = True
        elif kind == CLOSE_QUOTE or (kind == QUOTE and partner[place] >= 0 and partner[place] < place):
            quoted = True
        elif (kind == QUOTE and partner[place] < 0) or kind == BLANK:
            pass
        elif (code == 0x3A or code == 0x2D or code == 0x3D) and closed:
            tail = True  # :) and =)
        else:
            break
        place -= 1
    if place < start or last - place >= LONGEST_TAIL + LONGEST_GLOSS:
        return np.int64(-1), BARE
    if commas == 1:
        return place, COMMAED
    if asked:
        return place, ASKED
    if ellipsis or dots > 1:
        return place, ELLIPSIS
    if dots:
        return place, DOTTED
    if tail or commas:
        return place, TAILED
    return place, QUOTED if quoted else BARE


@njit
def _first_letter(codes, classes, right, end):  # type: ignore[no-untyped-def]
    """The first place from `right` that is no opening mark."""
    place = right
    while place < end and place - right < 4:
        kind = class_of(classes, np.int64(codes[place]))
        if kind != OPEN and kind != QUOTE and kind != OPEN_QUOTE and kind != CLOSE_QUOTE:
            return place
        place += 1
    return right


@njit
def _marks_end(codes, classes, right, word_end):  # type: ignore[no-untyped-def]
    """Where the marks end that a word begins with and a syllable follows, ㅜㅜ살림남에서; `right` where there are none."""
    place = right
    while place < word_end and class_of(classes, np.int64(codes[place])) in (STOP, COMMA, JAMO, CHEER):
        place += 1
    if place < word_end and class_of(classes, np.int64(codes[place])) == HANGUL:
        return place
    return right


@njit
def find_places(codes, classes, partner, inside, start, end, lefts, rights, firsts, kinds, joined):  # type: ignore[no-untyped-def]
    """Lists the places between start and end where a sentence may end; returns how many.

    - `lefts`: the last letter before. `rights`: the first character of what follows; `firsts`: its first letter.
    - `kinds`: BARE to ASKED. `joined`: 1 where no blank stands between.
    """
    found = 0
    place = start
    behind_marks = np.int64(-1)
    while place < end:
        kind = class_of(classes, np.int64(codes[place]))
        if kind == BLANK:
            right = place + 1
            while right < end and class_of(classes, np.int64(codes[right])) == BLANK:
                right += 1
            if right < end and inside[place] == 0:
                word_end = right
                while word_end < end and class_of(classes, np.int64(codes[word_end])) != BLANK:
                    word_end += 1
                marks_end = _marks_end(codes, classes, right, word_end)
                if marks_end > right:
                    behind_marks = marks_end
                elif not _is_tail_word(codes, classes, partner, right, word_end):
                    left, left_kind = _last_letter(codes, classes, partner, start, place - 1)
                    if left >= 0:
                        lefts[found], rights[found], kinds[found], joined[found] = left, right, left_kind, 0
                        firsts[found] = _first_letter(codes, classes, right, end)
                        found += 1
            place = right
            continue
        if (
            (kind in (STOP, JAMO, CHEER))
            and place > start
            and place + 1 < end
            and inside[place] == 0
            and class_of(classes, np.int64(codes[place + 1])) in (HANGUL, OPEN_QUOTE)
        ):
            left, left_kind = _last_letter(codes, classes, partner, start, place)
            if left >= start + 2 and class_of(classes, np.int64(codes[left])) == HANGUL:
                lefts[found], rights[found], kinds[found] = left, place + 1, left_kind
                joined[found] = place + 1 != behind_marks
                firsts[found] = _first_letter(codes, classes, place + 1, end)
                found += 1
        place += 1
    return found
