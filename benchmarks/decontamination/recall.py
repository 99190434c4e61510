"""How many plants are found, and how many clean sentences go."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from benchmarks.decontamination.texts import Half
from data_pipeline.corpus.steps.bm25 import Bm25Index, letters_of
from data_pipeline.corpus.steps.decontamination import FORMULA_LETTERS, formula_documents
from data_pipeline.recipe import Decontamination

SYMMETRIC = (0.5, 0.55, 0.6, 0.65)
EMBEDDED = (0.7, 0.75, 0.8, 0.85, 0.9)
MOST_CLEAN = 0.002
"""Share of clean sentences that may go."""
NEVER = 1e9


@dataclass(frozen=True)
class Measured:
    """What a pair of thresholds does on a half.

    - `recall`: kind of edit -> share of the plants found.
    - `sentences`: of the clean documents; `flagged`: those above a threshold; `formulae`: of these, those that stay as
      formulae; `verbatim`: of these that go, those that have the letters of the benchmark text in them, or stand in it.
    """

    threshold: float
    embedded_threshold: float
    recall: dict[str, float]
    sentences: int
    flagged: int
    formulae: int
    verbatim: int

    @property
    def clean_share(self) -> float:
        """Share of the clean sentences that go."""
        return (self.flagged - self.formulae) / self.sentences


class Scores:
    """The best scores of sentences, from which their matches under any thresholds follow: the text that is furthest above
    its threshold is the best by one of the two scores."""

    def __init__(self, index: Bm25Index, sentences: Sequence[str]) -> None:
        self._symmetric = index.closest(sentences, 1, NEVER)
        self._embedded = index.closest(sentences, NEVER, 1)

    def matches(self, threshold: float, embedded_threshold: float) -> NDArray[np.int64]:
        """The text that each sentence matches, -1 for none."""
        symmetric = self._symmetric.margins / threshold
        embedded = self._embedded.margins / embedded_threshold
        texts = np.where(symmetric >= embedded, self._symmetric.texts, self._embedded.texts)
        return np.where(np.maximum(symmetric, embedded) >= 1, texts, -1)


class Trial:
    """A half, compared with an index once."""

    def __init__(self, index: Bm25Index, half: Half) -> None:
        self._index = index
        self._plants = {kind: Scores(index, texts) for kind, texts in half.plants.items()}
        self._clean = [sentence for document in half.clean for sentence in document]
        self._documents = np.repeat(np.arange(len(half.clean)), [len(document) for document in half.clean])
        self._clean_scores = Scores(index, self._clean)

    def measure(self, recipe: Decontamination, threshold: float, embedded_threshold: float) -> Measured:
        """What is found under these thresholds; `recipe` says what a formula is."""
        recall = {
            kind: float((scores.matches(threshold, embedded_threshold) >= 0).mean())
            for kind, scores in self._plants.items()
        }
        texts = self._clean_scores.matches(threshold, embedded_threshold)
        flagged = (texts >= 0).nonzero()[0].tolist()
        holders = Counter(text for text, _ in {(int(texts[place]), int(self._documents[place])) for place in flagged})
        letters = {text: letters_of(self._index.text(text).text) for text in holders}
        most = formula_documents(recipe.formula_share, int(self._documents[-1]) + 1)
        formulae = {text for text, number in holders.items() if number > most and len(letters[text]) <= FORMULA_LETTERS}
        go = [(letters_of(self._clean[place]), int(texts[place])) for place in flagged if texts[place] not in formulae]
        verbatim = sum(letters[text] in sentence or sentence in letters[text] for sentence, text in go)
        return Measured(
            threshold,
            embedded_threshold,
            recall,
            len(self._clean),
            len(flagged),
            len(flagged) - len(go),
            verbatim,
        )

    def choose(self, recipe: Decontamination) -> tuple[Measured, list[Measured]]:
        """The thresholds that find most of the worst kind of plants at no more than MOST_CLEAN of the clean sentences; all."""
        tried = [self.measure(recipe, *thresholds) for thresholds in product(SYMMETRIC, EMBEDDED)]
        allowed = [each for each in tried if each.clean_share <= MOST_CLEAN]
        return max(allowed, key=lambda each: (round(min(each.recall.values()), 3), -each.clean_share)), tried
