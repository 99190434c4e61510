"""Which quotes and brackets belong together; those without a partner are characters like others."""

import numpy as np
from numba import njit

from data_pipeline.corpus.steps.kss_repaired.characters import (
    BLANK,
    BRACKETS,
    CLOSE,
    CLOSE_QUOTE,
    DIGIT,
    HANGUL,
    LETTER,
    OPEN,
    OPEN_QUOTE,
    QUOTE,
    class_of,
)

LONGEST_PAIR = 400
"""Characters; what is further apart is not taken for a pair."""
DEEPEST = 16

_OPENERS = np.array([ord(opener) for opener, _ in BRACKETS], np.int64)
_CLOSERS = np.array([ord(closer) for _, closer in BRACKETS], np.int64)


@njit
def _opener_of(code):  # type: ignore[no-untyped-def]
    for index in range(len(_CLOSERS)):
        if _CLOSERS[index] == code:
            return _OPENERS[index]
    return -1


@njit
def _is_double(code):  # type: ignore[no-untyped-def]
    return code == 0x22 or code == 0x201C or code == 0x201D or code == 0x201F or code == 0xFF02


@njit
def find_pairs(codes, classes, start, end, partner, inside):  # type: ignore[no-untyped-def]
    """Fills two int32 arrays, as long as the text, between start and end.

    - `partner`: where the other one of a quote or bracket stands, -1 for none and for other characters.
    - `inside`: pairs that a place lies in; their own marks count as inside but for the first.
    """
    open_brackets = np.empty(DEEPEST, np.int64)
    deep = 0
    waiting_double, waiting_single = np.int64(-1), np.int64(-1)
    for place in range(start, end):
        partner[place] = -1
        inside[place] = 0
    for place in range(start, end):
        code = np.int64(codes[place])
        kind = class_of(classes, code)
        if kind == OPEN:
            if deep == DEEPEST:
                for index in range(1, DEEPEST):
                    open_brackets[index - 1] = open_brackets[index]
                deep -= 1
            open_brackets[deep] = place
            deep += 1
        elif kind == CLOSE:
            opener = _opener_of(code)
            for index in range(deep - 1, -1, -1):
                if np.int64(codes[open_brackets[index]]) == opener:
                    if place - open_brackets[index] <= LONGEST_PAIR:
                        partner[place] = open_brackets[index]
                        partner[open_brackets[index]] = place
                    deep = index
                    break
        elif kind in (QUOTE, OPEN_QUOTE, CLOSE_QUOTE):
            before = class_of(classes, np.int64(codes[place - 1])) if place > start else BLANK
            behind = class_of(classes, np.int64(codes[place + 1])) if place + 1 < end else BLANK
            double = _is_double(code)
            waiting = waiting_double if double else waiting_single
            if waiting >= 0 and place - waiting > LONGEST_PAIR:
                waiting = np.int64(-1)
            if not double and before == LETTER and behind == LETTER and kind != OPEN_QUOTE:
                continue  # Don't
            if kind == QUOTE:
                opens = (before in (BLANK, OPEN)) and behind != BLANK
                if not opens and before == BLANK and behind == BLANK:
                    opens = waiting < 0
                elif not opens and waiting < 0:
                    # 55" and 37°33' open nothing; 그는"안녕"이라고 does.
                    opens = before == HANGUL and (behind in (HANGUL, LETTER, DIGIT))
                    if not opens:
                        continue
            else:
                opens = kind == OPEN_QUOTE
            if opens:
                waiting = np.int64(place)
            elif waiting >= 0:
                partner[place] = waiting
                partner[waiting] = place
                waiting = np.int64(-1)
            if double:
                waiting_double = waiting
            else:
                waiting_single = waiting
    depth = 0
    for place in range(start, end):
        if partner[place] >= 0 and partner[place] < place:
            depth -= 1
            inside[place] = depth + 1
        else:
            inside[place] = depth
            if partner[place] > place:
                depth += 1
