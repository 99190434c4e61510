"""Removal of text that is too short, by sentence, paragraph or document."""

from collections.abc import Iterable

from data_pipeline.corpus.document import Document, Dropped, Removed, Sentence, Step
from data_pipeline.corpus.steps.removal import paragraphs, remove_sentences, sentences_of
from data_pipeline.recipe import LengthFilter

REASON = "too short"


def length_filter(recipe: LengthFilter) -> Step:
    """Makes the step that removes units of fewer than `recipe.min_chars` characters, blanks between sentences included.

    A document with too little or nothing left is dropped as "too short".
    """

    def measure_document(document: Document) -> Document | Dropped:
        sentences = sentences_of(document)
        length = _length(sentences)
        too_short = not sentences or length < recipe.min_chars
        return Dropped(document, REASON, f"{length} characters") if too_short else document

    def measure_units(document: Document) -> Document | Dropped:
        sentences = sentences_of(document)
        by_paragraph = recipe.unit == "paragraph"
        units = paragraphs(sentences) if by_paragraph else [range(i, i + 1) for i in range(len(sentences))]
        removed: dict[int, Removed] = {}
        for unit in units:
            length = _length(sentences[unit.start : unit.stop])
            if length < recipe.min_chars:
                removed |= {
                    i: Removed(sentences[i].text, REASON, f"{recipe.unit} of {length} characters") for i in unit
                }
        document = remove_sentences(document, removed)
        return document if document.sentences else Dropped(document, REASON)

    return measure_document if recipe.unit == "document" else measure_units


def _length(sentences: Iterable[Sentence]) -> int:
    """Characters of the sentences joined, as a reader would count them: without the blanks at the end."""
    return len("".join(sentence.text + sentence.blanks for sentence in sentences).rstrip())
