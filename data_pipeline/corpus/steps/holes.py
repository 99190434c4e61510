"""Removal of sentences that lack a part: their reader left out a template's value, a formula or a masked name."""

import re
from dataclasses import replace

from data_pipeline.corpus.document import HOLE, HOLE_SHOWN, Document, Dropped, Removed, Sentence, Step, with_holes_shown
from data_pipeline.corpus.steps.removal import remove_sentences, sentences_of, survivor
from data_pipeline.pipeline import Holes

REASON = "hole"
_WITH_BLANK = re.compile(f" ?{HOLE}+")


def holes(recipe: Holes) -> Step:
    """Makes the step that removes sentences with a hole, or, where the recipe keeps them, closes it.

    A document of nothing else is dropped as "hole".
    """

    def without(document: Document) -> Document | Dropped:
        sentences = sentences_of(document)
        if HOLE not in document.text:
            return document
        removed = {
            index: Removed(with_holes_shown(sentence.text), REASON)
            for index, sentence in enumerate(sentences)
            if HOLE in sentence.text
        }
        return survivor(remove_sentences(document, removed))

    def closed(document: Document) -> Document | Dropped:
        if HOLE not in document.text:
            return document
        kept = [_closed(sentence) for sentence in sentences_of(document)]
        empty = {index: Removed(HOLE_SHOWN, REASON) for index, sentence in enumerate(kept) if not sentence.text}
        return survivor(remove_sentences(replace(document, sentences=tuple(kept)), empty))

    return without if recipe.drop else closed


def _closed(sentence: Sentence) -> Sentence:
    return sentence._replace(text=_WITH_BLANK.sub("", sentence.text).strip()) if HOLE in sentence.text else sentence
