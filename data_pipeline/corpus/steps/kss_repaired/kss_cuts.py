"""Where KSS 1.3.1's rules for 다 and 요 would cut (its third is for stops, and they are hidden here).

After sentence_splitter.h and .cpp of KSS 1.3.1, copyright (C) 2019 Sang-Kil Park, BSD 3-Clause License. Its quotes are left out:
one without a partner keeps KSS from cutting the rest of a paragraph.
"""

from functools import cache

import numpy as np
from numba import njit
from numpy.typing import NDArray

from data_pipeline.corpus.steps.kss_repaired.characters import BLANK, PLANE, STOP, class_of

NO_RULE, DA, YO = 0, 1, 2
PREVIOUS, CONTINUES, NEXT, NEXT1, NEXT2 = 1, 2, 4, 8, 16

_DA, _YO = "다", "요"
_RULES = {
    DA: {
        "갔간겠겼같놨녔니낸냈뒀때랐럽렵렸린뤘밌봤섰샜않았없었였온웠이인있졌쳤챘팠펐했혔": PREVIOUS,
        "가라를만죠죵쥬": NEXT,
        "고는며": NEXT | NEXT2,
        "면": NEXT | NEXT1 | NEXT2,
        "서": PREVIOUS | NEXT2,
        "싶": PREVIOUS | NEXT,
        "하": PREVIOUS | NEXT1,
        "해": NEXT1,
        "도": NEXT2,
    },
    YO: {
        "가구군걸까께껴네나데든서세아어워에예을져줘지춰해": PREVIOUS,
        "고면": PREVIOUS | NEXT2,
        "는를": NEXT,
        "라하": NEXT1,
        "며": NEXT2,
    },
}
_CONTINUES = "ㅋㅅㅎㅠㅜ^;)~,"


@cache
def kss_rules() -> NDArray[np.uint8]:
    """uint8 [3, PLANE]: what a character is to the rules for 다 and 요, and, in NO_RULE's row, whether it continues an ending."""
    rules = np.zeros((3, PLANE), np.uint8)
    for state, members in _RULES.items():
        for characters, meaning in members.items():
            for character in characters:
                rules[state, ord(character)] = meaning
    for character in _CONTINUES:
        rules[NO_RULE, ord(character)] = CONTINUES
    return rules


@njit
def mark_kss_cuts(codes, classes, rules, start, end, cuts):  # type: ignore[no-untyped-def]
    """Sets `cuts` (uint8, as long as the text) to 1 where a sentence of KSS starts between start and end, else to 0."""
    state = NO_RULE
    previous = -1  # where the character before stands
    for place in range(start, end):
        cuts[place] = 0
        code = np.int64(codes[place])
        kind = class_of(classes, code)
        if kind == STOP:
            continue
        before = np.int64(codes[previous]) if previous >= 0 else 0
        if before >= PLANE:
            before = 0
        letter = code if code < PLANE else 0
        if state == NO_RULE:
            if letter == 0xB2E4 and rules[DA, before] & PREVIOUS:  # 다
                state = DA
            elif letter == 0xC694 and rules[YO, before] & PREVIOUS:  # 요
                state = YO
        else:
            meaning = np.int64(rules[state, letter])
            waited = rules[state, before] & NEXT1  # the character before may already open the next sentence
            if kind == BLANK or rules[NO_RULE, letter] & CONTINUES or (meaning & NEXT1 and not meaning & NEXT):
                if waited:
                    cuts[previous] = 1
                    state = NO_RULE
            elif meaning & NEXT:
                state = NO_RULE
            elif meaning & NEXT2:
                if not waited:
                    cuts[place] = 1
                state = NO_RULE
            else:
                cuts[previous if waited else place] = 1
                state = NO_RULE
        previous = place
    if state != NO_RULE and previous >= 0 and codes[previous] < PLANE and rules[state, codes[previous]] & NEXT1:
        cuts[previous] = 1
