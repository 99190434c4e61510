"""How a step takes sentences out of a document: the bookkeeping and the breaks that every filter leaves alike."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from data_pipeline.corpus.document import Document, Dropped, Removed, Sentence


def sentences_of(document: Document) -> tuple[Sentence, ...]:
    """The document's sentences; a ValueError if it was not split, which is a mistake in the order of the steps."""
    if document.sentences is None:
        raise ValueError(f"{document.id}: this step works on sentences, but the document was not split yet")
    return document.sentences


def remove_sentences(document: Document, removed: Mapping[int, Removed]) -> Document:
    """Takes sentences out of a split document.

    - `removed`: index of a sentence -> what `document.removed` will say of it; any order, written in the text's order.

    The next sentence kept after a removed one carries `after_break`; a break that a removed sentence carried passes on
    to it too. A line break behind a removed sentence passes back to the last one kept, so that paragraphs never merge.
    Everything else stays. All sentences may go: see `survivor`. A ValueError if an index is not a sentence's.
    """
    sentences = sentences_of(document)
    if not removed:
        return document
    if not set(removed) <= set(range(len(sentences))):
        raise ValueError(f"{document.id}: sentences {sorted(removed)} of {len(sentences)} cannot be removed")
    kept: list[Sentence] = []
    pending_break = False
    for index, sentence in enumerate(sentences):
        if index in removed:
            pending_break = True
            if kept and "\n" in sentence.blanks and "\n" not in kept[-1].blanks:
                kept[-1] = kept[-1]._replace(blanks="\n")
        else:
            kept.append(sentence._replace(after_break=True) if pending_break else sentence)
            pending_break = False
    in_order = tuple(removed[index] for index in sorted(removed))
    return replace(document, sentences=tuple(kept), removed=document.removed + in_order)


def survivor(document: Document) -> Document | Dropped:
    """The document itself, or, once nothing is left of it, its end with the reason of the last removal."""
    if sentences_of(document) or not document.removed:
        return document
    last = document.removed[-1]
    return Dropped(document, reason=last.reason, detail=last.detail)


def paragraphs(sentences: Sequence[Sentence]) -> list[range]:
    """Index ranges of the paragraphs, in order and without gaps: a sentence whose blanks hold a line break ends one."""
    ends = [index + 1 for index, sentence in enumerate(sentences) if "\n" in sentence.blanks]
    if sentences and (not ends or ends[-1] < len(sentences)):
        ends.append(len(sentences))
    return [range(start, end) for start, end in zip([0, *ends], ends, strict=False)]
