"""Removes sentences that stand in a benchmark (benchmark_matches.py finds them), unless it is a formula that they hold."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from data_pipeline.corpus.document import Document, Dropped, Match, Removed, Step
from data_pipeline.corpus.steps.removal import paragraphs, remove_sentences, sentences_of
from data_pipeline.pipeline import Decontamination, Unit

REASON = "benchmark"

FORMULA_LETTERS = 30
"""Benchmark texts with more letters and digits are never formulae: nobody says them by chance."""
FORMULA_DOCUMENTS = 10
"""Texts found in fewer documents are never formulae, however small the corpus."""


def formula_documents(share: float, documents: int) -> float:
    """A benchmark text found in more documents than this is a formula; no text is one where `share` is 0."""
    return max(share * documents, FORMULA_DOCUMENTS) if share else float("inf")


@dataclass(frozen=True)
class Contaminated:
    """Sentences, and the benchmark texts that they match.

    - `anywhere`: sentence -> its match, wherever it stands. `here`: (id of a document, sentence) -> its match there alone: a piece of
      a benchmark text, which says nothing without the sentences around it.
    """

    anywhere: Mapping[str, Match]
    here: Mapping[tuple[str, str], Match] = field(default_factory=dict)

    def match(self, document: Document, sentence: str) -> Match | None:
        """What a sentence of a document matches."""
        return self.anywhere.get(sentence) or self.here.get((document.id, sentence))


def decontamination(recipe: Decontamination, matches: Contaminated) -> Step:
    """Makes the step that takes out the sentences that `matches` names, as `remove_matches` does."""
    return partial(remove_matches, matches=matches, unit=recipe.on_contaminated)


def remove_matches(document: Document, matches: Contaminated, unit: Unit) -> Document | Dropped:
    """Takes the contaminated sentences out of a split document.

    - `matches`: what is known of sentences; those of other documents may be among them.
    - `unit`: what goes along with such a sentence.

    Each sentence that goes is written down in `Document.removed` as "SCORE BENCHMARK LOCATION: TEXT". A document of which
    nothing is left is Dropped, and so is the whole document under "document"; its `sentences` are then those that were
    not contaminated themselves.
    """
    sentences = sentences_of(document)
    contaminated = {
        number: match
        for number, each in enumerate(sentences)
        if (match := matches.match(document, each.text)) is not None
    }
    if not contaminated:
        return document
    removed = {
        number: Removed(sentences[number].text, REASON, str(match), match) for number, match in contaminated.items()
    }
    if unit == "paragraph":
        for paragraph in paragraphs(sentences):
            own = [number for number in paragraph if number in contaminated]
            for number in paragraph if own else ():
                beside = f"same paragraph: {contaminated[own[0]]}"
                removed.setdefault(number, Removed(sentences[number].text, REASON, beside))
    rest = remove_sentences(document, removed)
    if unit == "document" or not rest.sentences:
        return Dropped(rest, REASON, str(contaminated[min(contaminated)]))
    return rest
