"""How long documents and sentences are and how much of them is Hangul, before and after the filters: counts in fixed bins."""

from collections.abc import Sequence
from functools import cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from data_pipeline.document import Document
from data_pipeline.steps.korean_filter import HANGUL

LENGTH_EDGES = tuple(sorted({round(10 ** (eighth / 8)) for eighth in range(6 * 8 + 1)}))
"""Characters where a bin begins: eight bins to the power of ten from 1 to a million; the last has no end."""
SHARE_BINS = 20
"""Of the Hangul share, 0.05 wide; the last holds 1, too."""
LETTERS_END = 0x323B0
"""No letter of a living script, no Han character stands behind it."""
CHARACTERS_AT_ONCE = 200_000

Moment = Literal["in", "kept"]


class TextHistograms:
    """Histograms by source, of documents as they enter the filters ("in") and as they leave them ("kept").

    Sentences without a letter have no Hangul share. The memory that this takes does not grow with the corpus.
    """

    def __init__(self) -> None:
        self._counts: dict[str, dict[str, dict[str, NDArray[np.int64]]]] = {}
        self._waiting: dict[tuple[str, Moment], list[str]] = {}
        self._characters = 0

    def add(self, document: Document, moment: Moment) -> None:
        """Takes note of a split document."""
        sentences = document.sentences or ()
        length = sum(len(sentence.text) + len(sentence.blanks) for sentence in sentences)
        self._book("document_characters", document.source, moment, _length_bins([length]))
        self._waiting.setdefault((document.source, moment), []).extend(sentence.text for sentence in sentences)
        self._characters += length
        if self._characters >= CHARACTERS_AT_ONCE:
            self._count()

    def counts(self) -> dict[str, Any]:
        """Numbers by histogram, source, moment and bin, JSON-ready."""
        self._count()
        return {
            name: {source: {moment: of.tolist() for moment, of in moments.items()} for source, moments in by.items()}
            for name, by in self._counts.items()
        }

    def _count(self) -> None:
        for (source, moment), texts in self._waiting.items():
            if texts:
                self._book("sentence_characters", source, moment, _length_bins(list(map(len, texts))))
                self._book("hangul_share", source, moment, _share_bins(texts))
        self._waiting.clear()
        self._characters = 0

    def _book(self, name: str, source: str, moment: Moment, numbers: NDArray[np.int64]) -> None:
        moments = self._counts.setdefault(name, {}).setdefault(source, {})
        moments[moment] = moments[moment] + numbers if moment in moments else numbers


def _length_bins(lengths: Sequence[int]) -> NDArray[np.int64]:
    """How many lengths fall into each bin; an empty text into the first."""
    bins = np.searchsorted(LENGTH_EDGES, lengths, side="right") - 1
    return np.bincount(np.maximum(bins, 0), minlength=len(LENGTH_EDGES))


def _share_bins(texts: Sequence[str]) -> NDArray[np.int64]:
    characters = np.frombuffer("".join(texts).encode("utf-32-le", errors="surrogatepass"), np.uint32)
    characters = np.minimum(characters, LETTERS_END - 1)
    is_hangul, is_letter = _classes()
    ends = np.cumsum(list(map(len, texts)))
    hangul, letters = (
        np.diff(np.concatenate([[0], np.cumsum(of[characters], dtype=np.int64)])[np.concatenate([[0], ends])])
        for of in (is_hangul, is_letter)
    )
    share = hangul[letters > 0] / letters[letters > 0]
    return np.bincount(np.minimum((share * SHARE_BINS).astype(np.int64), SHARE_BINS - 1), minlength=SHARE_BINS)


@cache
def _classes() -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which code points are Hangul as the Korean filter has it, and which are letters."""
    characters = [chr(point) for point in range(LETTERS_END)]
    hangul = np.zeros(LETTERS_END, bool)
    hangul[[ord(character) for character in HANGUL.findall("".join(characters))]] = True
    letters = np.array([character.isalpha() for character in characters])
    letters[-1] = False  # stands for all that come after it
    return hangul, letters
