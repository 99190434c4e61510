"""How long documents and sentences are and how much of them is Hangul, before the filters and what those take out: counts
in fixed bins."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from data_pipeline.corpus.document import Document, Dropped
from data_pipeline.corpus.histogram_bins import LENGTH_EDGES, SHARE_BINS
from data_pipeline.corpus.steps.scripts import count_scripts

CHARACTERS_AT_ONCE = 200_000

Moment = Literal["in", "lost"]


class TextHistograms:
    """Histograms by source, of documents and sentences that enter the filters ("in") and of those that they take out ("lost").

    What is kept is the difference: little is lost, so that little is counted twice. A document that lives on without some
    of its sentences is lost in its old length and gained in its new one (a negative number of lost ones there). Sentences
    without a letter have no Hangul share. The memory that this takes does not grow with the corpus.
    """

    def __init__(self) -> None:
        self._counts: dict[str, dict[str, dict[str, NDArray[np.int64]]]] = {}
        self._texts: dict[tuple[str, Moment], list[str]] = {}
        self._lengths: dict[tuple[str, Moment, int], list[int]] = {}  # of documents, with the sign that they count with
        self._characters = 0

    def add(self, document: Document) -> None:
        """Takes note of a document that was split."""
        sentences = document.sentences or ()
        self._lengths.setdefault((document.source, "in", 1), []).append(_length(document))
        self._add_sentences(document.source, "in", [sentence.text for sentence in sentences])

    def lose(self, split: Document, result: Document | Dropped) -> None:
        """Takes note of what became of it: the sentences that went, and the document, if it ended or got shorter."""
        document = result.document if isinstance(result, Dropped) else result
        gone = [removed.text for removed in document.removed]
        if isinstance(result, Dropped):
            gone += [sentence.text for sentence in document.sentences or ()]
        elif not gone:
            return
        self._lengths.setdefault((split.source, "lost", 1), []).append(_length(split))
        if not isinstance(result, Dropped):
            self._lengths.setdefault((split.source, "lost", -1), []).append(_length(result))
        self._add_sentences(split.source, "lost", gone)

    def _add_sentences(self, source: str, moment: Moment, texts: list[str]) -> None:
        self._texts.setdefault((source, moment), []).extend(texts)
        self._characters += sum(map(len, texts)) + 1
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
        for (source, moment, sign), lengths in self._lengths.items():
            self._book("document_characters", source, moment, sign * _length_bins(lengths))
        for (source, moment), texts in self._texts.items():
            if texts:
                self._book("sentence_characters", source, moment, _length_bins(list(map(len, texts))))
                self._book("hangul_share", source, moment, _share_bins(texts))
        self._lengths.clear()
        self._texts.clear()
        self._characters = 0

    def _book(self, name: str, source: str, moment: Moment, numbers: NDArray[np.int64]) -> None:
        moments = self._counts.setdefault(name, {}).setdefault(source, {})
        moments[moment] = moments[moment] + numbers if moment in moments else numbers


def _length_bins(lengths: Sequence[int]) -> NDArray[np.int64]:
    """How many lengths fall into each bin; an empty text into the first."""
    bins = np.searchsorted(LENGTH_EDGES, lengths, side="right") - 1
    return np.bincount(np.maximum(bins, 0), minlength=len(LENGTH_EDGES))


def _length(document: Document) -> int:
    return sum(len(sentence.text) + len(sentence.blanks) for sentence in document.sentences or ())


def _share_bins(texts: Sequence[str]) -> NDArray[np.int64]:
    hangul, _, letters = count_scripts(texts).T
    share = hangul[letters > 0] / letters[letters > 0]
    return np.bincount(np.minimum((share * SHARE_BINS).astype(np.int64), SHARE_BINS - 1), minlength=SHARE_BINS)
