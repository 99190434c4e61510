"""A corpus of any size out of a small one: the same sentences in new order and edited, so that no document is a duplicate."""

import json
import random
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")
NEW_EOJEOL, NEW_SYLLABLE = 0.08, 0.02
"""Share of eojeols that are replaced by another of the corpus, and of those in which one syllable is."""


def write_enlarged(texts: Sequence[str], megabytes: int, files: int, folder: Path, seed: int = 0) -> list[Path]:
    """Writes JSON Lines of `{"text": ...}`, all files about equally large, so many megabytes of UTF-8 text in all.

    A document takes as many sentences as one of the corpus has, drawn from all of them. Of their eojeols one in ten is
    replaced, or has a syllable replaced, by one drawn from the corpus: the new documents share too few n-grams to be near
    duplicates, and hold eojeols that no other does, as a larger corpus would.
    """
    folder.mkdir(parents=True)
    generator = random.Random(seed)
    documents = _edited(texts, generator)
    paths = [folder / f"{number:03d}.jsonl" for number in range(files)]
    for path in paths:
        written = 0
        with path.open("w", encoding="utf-8") as lines:
            while written < megabytes * 1_000_000 // files:
                text = next(documents)
                lines.write(json.dumps({"text": text}, ensure_ascii=False) + "\n")
                written += len(text.encode())
    return paths


def _edited(texts: Sequence[str], generator: random.Random) -> Iterator[str]:
    by_document = [[sentence for sentence in SENTENCE_END.split(text) if sentence] for text in texts]
    sentences = [sentence.split(" ") for document in by_document for sentence in document]
    eojeols = [eojeol for sentence in sentences for eojeol in sentence]
    sizes = [len(document) for document in by_document]
    while True:
        chosen = [list(sentence) for sentence in generator.choices(sentences, k=generator.choice(sizes))]
        for sentence in chosen:
            _edit(sentence, eojeols, generator)
        yield "\n".join(" ".join(sentence) for sentence in chosen)


def _edit(sentence: list[str], eojeols: Sequence[str], generator: random.Random) -> None:
    """One draw a sentence, not one an eojeol: a third of the time."""
    expected = len(sentence) * (NEW_EOJEOL + NEW_SYLLABLE)
    number = int(expected) + (generator.random() < expected % 1)
    for place in generator.choices(range(len(sentence)), k=number):
        eojeol = generator.choice(eojeols)
        if generator.random() * (NEW_EOJEOL + NEW_SYLLABLE) < NEW_SYLLABLE and sentence[place] and eojeol:
            at = generator.randrange(len(sentence[place]))
            eojeol = sentence[place][:at] + generator.choice(eojeol) + sentence[place][at + 1 :]
        sentence[place] = eojeol
