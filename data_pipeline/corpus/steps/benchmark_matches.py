"""Finds sentences that stand in a benchmark, or nearly so."""

from collections.abc import Callable, Sequence

import numpy as np

from data_pipeline.contract.errors import WorkError
from data_pipeline.corpus.document import Match
from data_pipeline.corpus.steps.bm25 import Bm25Index
from data_pipeline.recipe import Decontamination

Matcher = Callable[[Sequence[str]], dict[str, Match]]
AcrossMatcher = Callable[[Sequence[Sequence[str]]], list[dict[int, Match]]]


def matcher(recipe: Decontamination, index: Bm25Index) -> Matcher:
    """The function that tells of sentences which of them are contaminated, and by what.

    A sentence q is contaminated if for some benchmark text d its symmetric BM25 score 2 s(q,d) / (s(q,q) + s(d,d))
    reaches `recipe.threshold`, or s(q,d) / s(d,d), which tells how much of d stands in q, `recipe.embedded_threshold`
    (formulas: Bm25Index; texts that are scored: Prefilter). A benchmark text with fewer letters and digits than
    `recipe.min_chars` contaminates the sentences that have exactly these; `recipe.strict_short` asks more of short texts (Bm25Index). A match carries the score that is further above its
    threshold. Answers depend on the sentence and the index alone, not on the sentences around it.

    WorkError: the index was built with another `ngram`, `min_chars` or `strict_short`.
    """
    _check(recipe, index)

    def matches(sentences: Sequence[str]) -> dict[str, Match]:
        found = index.closest(sentences, recipe.threshold, recipe.embedded_threshold)
        matched = {}
        for number in (found.margins >= 1).nonzero()[0].tolist():
            symmetric, embedded = float(found.symmetric[number]), float(found.embedded[number])
            above = symmetric / recipe.threshold >= embedded / recipe.embedded_threshold
            text = index.text(int(found.texts[number]))
            score = symmetric if above else embedded
            matched[sentences[number]] = Match(text.benchmark, text.location, text.text, score)
        return matched

    return matches


def across_matcher(recipe: Decontamination, index: Bm25Index) -> AcrossMatcher:
    """The function that tells of documents, given as their sentences, which sentences a benchmark text stands in, and which one.

    A text is looked for in the letters of the whole document (Bm25Index.copies) and scored as sentences are; every sentence that it
    touches is contaminated. Of several texts the one that is furthest above its threshold is the sentence's match, and of equal ones the
    first in the index. Answers depend on the document and the index alone. WorkError: as for `matcher`.
    """
    _check(recipe, index)

    def matches(documents: Sequence[Sequence[str]]) -> list[dict[int, Match]]:
        found = index.copies(documents, recipe.threshold, recipe.embedded_threshold)
        symmetric, embedded = found.symmetric / recipe.threshold, found.embedded / recipe.embedded_threshold
        best = np.lexsort([found.texts, -np.maximum(symmetric, embedded)])
        owner = [(number, place) for number, document in enumerate(documents) for place in range(len(document))]
        matched: list[dict[int, Match]] = [{} for _ in documents]
        for copy in best.tolist():
            score = found.symmetric[copy] if symmetric[copy] >= embedded[copy] else found.embedded[copy]
            text = index.text(int(found.texts[copy]))
            match = Match(text.benchmark, text.location, text.text, float(score))
            first, last = found.sentences[copy].tolist()
            for number, place in owner[first : last + 1]:
                matched[number].setdefault(place, match)
        return matched

    return matches


def _check(recipe: Decontamination, index: Bm25Index) -> None:
    for name in ("ngram", "min_chars", "strict_short"):
        if getattr(recipe, name) != getattr(index, name):
            raise WorkError(
                f"{index.folder}: built with {name} {getattr(index, name)}, but the recipe says {getattr(recipe, name)}; "
                "remove the folder and run again"
            )
