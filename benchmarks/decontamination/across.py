"""Copies that a break cuts into several sentences: how many are wholly gone, and what clean documents lose to the search for them."""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.decontamination.plants import Editor
from benchmarks.decontamination.texts import FILLER, Sentences
from data_pipeline.corpus.document import Document
from data_pipeline.corpus.stages.benchmarks import DOCUMENTS_PER_BATCH
from data_pipeline.corpus.steps.benchmark_matches import across_matcher, matcher
from data_pipeline.corpus.steps.bm25 import Bm25Index, letters_of
from data_pipeline.corpus.steps.bm25_copy_kernels import EDITED_LETTERS
from data_pipeline.corpus.steps.removal import sentences_of
from data_pipeline.corpus.steps.split_sentences import sentence_splitter
from data_pipeline.recipe import Decontamination, SentenceSplit

WRAPPED_AT = 20
"""Characters of a hard-wrapped line."""


def cut_anywhere(rng: random.Random, text: str) -> str:
    """A line break somewhere between two letters, blank or not."""
    place = rng.randrange(1, len(text))
    return f"{text[:place]}\n{text[place:]}"


def cut_by_a_sentence_end(rng: random.Random, text: str) -> str:
    """In the middle half, where "다." and a line break come between two letters: one letter more than the text has."""
    place = rng.randrange(len(text) // 4, len(text) * 3 // 4)
    return f"{text[:place]}다.\n{text[place:]}"


def wrapped(rng: random.Random, text: str) -> str:
    """Lines of WRAPPED_AT characters, the first of them shorter, as text in a narrow column has them."""
    first = rng.randrange(1, WRAPPED_AT + 1)
    rest = [text[start : start + WRAPPED_AT] for start in range(first, len(text), WRAPPED_AT)]
    return "\n".join([text[:first], *rest])


BREAKS: dict[str, Callable[[random.Random, str], str]] = {
    "cut anywhere": cut_anywhere,
    "cut by a sentence end": cut_by_a_sentence_end,
    "hard-wrapped": wrapped,
}


@dataclass(frozen=True)
class Recall:
    """Of one kind of break: plants; those of which no sentence is left, with the search across sentences and without it."""

    kind: str
    plants: int
    gone: int
    gone_without: int


@dataclass(frozen=True)
class CleanDocuments:
    """Clean documents: how many lose a sentence to the search across sentences alone; MB/s of one core (CPU time) of this search."""

    documents: int
    flagged: int
    losses: tuple[tuple[str, str], ...]
    megabytes_per_second: float


def recall_of_breaks(
    recipe: Decontamination, index: Bm25Index, documents: Sequence[Sentences], plants: int, seed: int
) -> list[Recall]:
    """Plants every kind of broken copy, as it is and with 6 % of its letters changed, between two sentences of a document."""
    texts = [text.text for text in map(index.text, range(len(index))) if text.benchmark != FILLER]
    texts = [text for text in texts if len(letters_of(text)) >= EDITED_LETTERS and "\n" not in text]
    rng = random.Random(seed)
    drawn = rng.sample(texts, min(plants, len(texts)))
    carriers = [sentence for document in documents for sentence in document if len(letters_of(sentence)) >= 12]
    editor, split = Editor(carriers, seed), sentence_splitter(SentenceSplit())
    found_in, found_across = matcher(recipe, index), across_matcher(recipe, index)
    rows = []
    for kind, broken in BREAKS.items():
        for typos in (False, True):
            gone = gone_without = 0
            for text in drawn:
                plant = broken(rng, editor.characters(text) if typos else text)
                before, after = rng.choice(carriers), rng.choice(carriers)
                whole = Document("plant", "plants", f"{before}\n{plant}\n{after}")
                done = split(whole)
                if not isinstance(done, Document):
                    raise ValueError(f"no sentence in {whole.text!r}")
                sentences = [sentence.text for sentence in sentences_of(done)]
                touched = _touched(done, len(before) + 1, len(before) + 1 + len(plant))
                inside, [across] = found_in(sentences), found_across([sentences])
                gone_without += all(sentences[place] in inside for place in touched)
                gone += all(sentences[place] in inside or place in across for place in touched)
            rows.append(Recall(f"{kind}, 6 % of the letters" if typos else kind, len(drawn), gone, gone_without))
    return rows


def _touched(document: Document, start: int, end: int) -> list[int]:
    """The sentences with letters between two places of the text."""
    place, touched = document.text.index(document.text.strip()), []
    for number, sentence in enumerate(sentences_of(document)):
        inside = sentence.text[max(start - place, 0) : max(end - place, 0)]
        if letters_of(inside):
            touched.append(number)
        place += len(sentence.text) + len(sentence.blanks)
    return touched


def clean_losses(recipe: Decontamination, index: Bm25Index, documents: Sequence[Sentences]) -> CleanDocuments:
    """What the search across sentences takes of clean documents that the search in sentences leaves."""
    found_in, found_across = matcher(recipe, index), across_matcher(recipe, index)
    found_across(documents[:1])  # loads the compiled code
    start, found = time.process_time(), list[dict[int, str]]()
    for first in range(0, len(documents), DOCUMENTS_PER_BATCH):
        batch = found_across(documents[first : first + DOCUMENTS_PER_BATCH])
        found += [{place: str(match) for place, match in each.items()} for each in batch]
    seconds = time.process_time() - start
    flagged, losses = 0, list[tuple[str, str]]()
    for document, across in zip(documents, found, strict=True):
        inside = found_in(document) if across else {}
        only = [(document[place], match) for place, match in across.items() if document[place] not in inside]
        flagged += bool(only)
        losses += only
    size = sum(len(sentence.encode()) for document in documents for sentence in document) / 1e6
    return CleanDocuments(len(documents), flagged, tuple(losses), size / seconds)
