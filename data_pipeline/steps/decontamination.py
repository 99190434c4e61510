"""Removes sentences that stand in a benchmark, or nearly so."""

from data_pipeline.contract.errors import InputError, WorkError
from data_pipeline.document import Document, Dropped, Match, Removed, Step
from data_pipeline.recipe import Decontamination
from data_pipeline.steps.bm25 import Bm25Index
from data_pipeline.steps.removal import paragraphs, remove_sentences, sentences_of

REASON = "benchmark"


def decontaminator(recipe: Decontamination, index: Bm25Index) -> Step:
    """The step that compares each sentence with the benchmark texts of an index.

    A sentence q is contaminated if for some benchmark text d its symmetric BM25 score 2 s(q,d) / (s(q,q) + s(d,d))
    reaches `recipe.threshold`, or s(q,d) / s(d,d), which tells how much of d stands in q, `recipe.embedded_threshold`
    (formulas: Bm25Index; texts that are scored: Prefilter). Sentences with fewer letters and digits than
    `recipe.min_chars` are not compared. What goes is `recipe.on_contaminated`: each sentence that goes is written down
    in `Document.removed` as "SCORE BENCHMARK LOCATION: TEXT", the score being the one further above its threshold.

    A document of which nothing is left is Dropped, and so is the whole document under on_contaminated="document"; its
    `sentences` are then those that were not contaminated themselves. Decisions depend on the sentence and the index
    alone, not on the document around it.

    InputError: a threshold that is not above 0. WorkError: the index was built with another `ngram` or `min_chars`.
    """
    for name in ("threshold", "embedded_threshold"):
        if getattr(recipe, name) <= 0:
            raise InputError(f"decontamination.{name} is {getattr(recipe, name)}; it must be above 0")
    for name in ("ngram", "min_chars"):
        if getattr(recipe, name) != getattr(index, name):
            raise WorkError(
                f"{index.folder}: built with {name} {getattr(index, name)}, but the recipe says {getattr(recipe, name)}; "
                "remove the folder and run again"
            )

    def decontaminate(document: Document) -> Document | Dropped:
        sentences = sentences_of(document)
        matches = _matches([sentence.text for sentence in sentences], recipe, index)
        if not matches:
            return document
        removed = {
            number: Removed(sentences[number].text, REASON, str(match), match) for number, match in matches.items()
        }
        if recipe.on_contaminated == "paragraph":
            for paragraph in paragraphs(sentences):
                contaminated = [number for number in paragraph if number in matches]
                for number in paragraph if contaminated else ():
                    beside = f"same paragraph: {matches[contaminated[0]]}"
                    removed.setdefault(number, Removed(sentences[number].text, REASON, beside))
        rest = remove_sentences(document, removed)
        if recipe.on_contaminated == "document" or not rest.sentences:
            return Dropped(rest, REASON, str(matches[min(matches)]))
        return rest

    return decontaminate


def _matches(texts: list[str], recipe: Decontamination, index: Bm25Index) -> dict[int, Match]:
    """Number of each contaminated sentence -> what it matches."""
    found = index.closest(texts, recipe.threshold, recipe.embedded_threshold)
    contaminated = (found.symmetric >= recipe.threshold) | (found.embedded >= recipe.embedded_threshold)
    matches = {}
    for number in contaminated.nonzero()[0].tolist():
        symmetric, embedded = float(found.symmetric[number]), float(found.embedded[number])
        above = symmetric / recipe.threshold >= embedded / recipe.embedded_threshold
        found_text = index.text(int(found.texts[number]))
        score = symmetric if above else embedded
        matches[number] = Match(found_text.benchmark, found_text.location, found_text.text, score)
    return matches
