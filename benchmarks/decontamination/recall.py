"""How many plants are found, and how many clean sentences go."""

from collections import Counter
from dataclasses import dataclass, replace
from itertools import product

from benchmarks.decontamination.texts import Half
from data_pipeline.recipe import Decontamination
from data_pipeline.steps.benchmark_matches import matcher
from data_pipeline.steps.bm25 import Bm25Index, letters_of
from data_pipeline.steps.decontamination import FORMULA_LETTERS, formula_documents

SYMMETRIC = (0.5, 0.55, 0.6, 0.65)
EMBEDDED = (0.7, 0.75, 0.8, 0.85, 0.9)
MOST_CLEAN = 0.002
"""Share of clean sentences that may go."""


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


def measure(index: Bm25Index, half: Half, recipe: Decontamination) -> Measured:
    """Looks for the plants of a half, and for benchmark text in its clean documents."""
    find = matcher(recipe, index)
    recall = {kind: len(find(texts)) / len(set(texts)) for kind, texts in half.plants.items()}
    matches = {document: find(document) for document in half.clean}
    holders = Counter(text for found in matches.values() for text in {match.text for match in found.values()})
    most = formula_documents(recipe.formula_share, len(half.clean))
    formulae = {text for text, number in holders.items() if number > most and len(letters_of(text)) <= FORMULA_LETTERS}
    flagged = [
        (letters_of(sentence), letters_of(found[sentence].text), found[sentence].text in formulae)
        for document, found in matches.items()
        for sentence in document
        if sentence in found
    ]
    return Measured(
        recipe.threshold,
        recipe.embedded_threshold,
        recall,
        sum(map(len, half.clean)),
        len(flagged),
        sum(formula for *_, formula in flagged),
        sum(not formula and (text in sentence or sentence in text) for sentence, text, formula in flagged),
    )


def choose(index: Bm25Index, half: Half, recipe: Decontamination) -> tuple[Measured, list[Measured]]:
    """The thresholds that find most of the worst kind of plants at no more than MOST_CLEAN of the clean sentences; all."""
    tried = [
        measure(index, half, replace(recipe, threshold=symmetric, embedded_threshold=embedded))
        for symmetric, embedded in product(SYMMETRIC, EMBEDDED)
    ]
    allowed = [each for each in tried if each.clean_share <= MOST_CLEAN]
    return max(allowed, key=lambda each: (round(min(each.recall.values()), 3), -each.clean_share)), tried
