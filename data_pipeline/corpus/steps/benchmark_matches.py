"""Finds sentences that stand in a benchmark, or nearly so."""

from collections.abc import Callable, Sequence

from data_pipeline.contract.errors import WorkError
from data_pipeline.corpus.document import Match
from data_pipeline.corpus.steps.bm25 import Bm25Index
from data_pipeline.recipe import Decontamination

Matcher = Callable[[Sequence[str]], dict[str, Match]]


def matcher(recipe: Decontamination, index: Bm25Index) -> Matcher:
    """The function that tells of sentences which of them are contaminated, and by what.

    A sentence q is contaminated if for some benchmark text d its symmetric BM25 score 2 s(q,d) / (s(q,q) + s(d,d))
    reaches `recipe.threshold`, or s(q,d) / s(d,d), which tells how much of d stands in q, `recipe.embedded_threshold`
    (formulas: Bm25Index; texts that are scored: Prefilter). A benchmark text with fewer letters and digits than
    `recipe.min_chars` contaminates the sentences that have exactly these. A match carries the score that is further above its
    threshold. Answers depend on the sentence and the index alone, not on the sentences around it.

    WorkError: the index was built with another `ngram` or `min_chars`.
    """
    for name in ("ngram", "min_chars"):
        if getattr(recipe, name) != getattr(index, name):
            raise WorkError(
                f"{index.folder}: built with {name} {getattr(index, name)}, but the recipe says {getattr(recipe, name)}; "
                "remove the folder and run again"
            )

    def matches(sentences: Sequence[str]) -> dict[str, Match]:
        found = index.closest(sentences, recipe.threshold, recipe.embedded_threshold)
        contaminated = (found.symmetric >= recipe.threshold) | (found.embedded >= recipe.embedded_threshold)
        matched = {}
        for number in contaminated.nonzero()[0].tolist():
            symmetric, embedded = float(found.symmetric[number]), float(found.embedded[number])
            above = symmetric / recipe.threshold >= embedded / recipe.embedded_threshold
            text = index.text(int(found.texts[number]))
            score = symmetric if above else embedded
            matched[sentences[number]] = Match(text.benchmark, text.location, text.text, score)
        return matched

    return matches
