"""The texts that decontamination is measured on: benchmark sentences, clean documents, and plants."""

import gzip
import hashlib
import json
import random
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from benchmarks.corpora import Corpora
from benchmarks.decontamination.plants import EDITS, Editor
from data_pipeline.contract.benchmark_files import BenchmarkText, benchmark_paths, read_benchmark
from data_pipeline.contract.storage import find_input_files, open_input
from data_pipeline.corpus.document import Document
from data_pipeline.corpus.steps.bm25 import Bm25Index, letters_of
from data_pipeline.corpus.steps.bm25_build import build_index
from data_pipeline.corpus.steps.clean import cleaner
from data_pipeline.corpus.steps.removal import sentences_of
from data_pipeline.corpus.steps.split_sentences import sentence_splitter
from data_pipeline.recipe import Clean, SentenceSplit, Source
from data_pipeline.source_formats import reader_of

SHORT = 12
"""Fewer letters and digits than a plant must have: benchmark text below that is found as a whole sentence only."""

FILLER = "reviews"
"""Name of the texts that fill the index up."""

Sentences = tuple[str, ...]


@dataclass(frozen=True)
class Half:
    """One half of the benchmark sentences and of the clean documents.

    - `plants`: kind of edit -> edited benchmark sentences.
    """

    plants: dict[str, list[str]]
    clean: list[Sentences]


def index_of(found: Corpora, reviews: int, folder: Path) -> Bm25Index:
    """An index of our benchmarks and of the last reviews of the corpus.

    The reviews fill it up. They are of the kind of NSMC's 200,000, which are not among our benchmarks.
    """
    with gzip.open(found.reviews, "rt", encoding="utf-8") as lines:
        last = deque(lines, maxlen=reviews)
    filler = (
        BenchmarkText(json.loads(line)["text"], FILLER, str(number), "sentence") for number, line in enumerate(last)
    )
    build_index(
        chain(chain.from_iterable(map(read_benchmark, benchmark_paths([found.benchmarks]))), filler),
        2,
        SHORT,
        folder,
        SentenceSplit(),
    )
    return Bm25Index.open(folder)


def clean_documents(found: Corpora) -> list[Sentences]:
    """The petitions as the corpus steps split them: long texts written by people who had no benchmark at hand."""
    clean, split = cleaner(Clean()), sentence_splitter(SentenceSplit())
    documents = []
    for document in _petitions(found):
        cleaned = clean(document)
        done = split(cleaned) if isinstance(cleaned, Document) else cleaned
        if isinstance(done, Document):
            documents.append(tuple(sentence.text for sentence in sentences_of(done)))
    return documents


def _petitions(found: Corpora) -> Iterator[Document]:
    for file in find_input_files(found.petitions):
        with open_input(file.path) as stream:
            for item in reader_of("petitions")(stream, file.path, Source("petitions", file.path)):
                if isinstance(item, Document):
                    yield item


def halves(index: Bm25Index, clean: Sequence[Sentences], plants: int) -> tuple[Half, Half]:
    """The half that chooses and the half that is measured, with seeds of their own: no sentence and no document is in both.

    - `plants`: benchmark sentences drawn for each half; none of those that fill the index up.
    """
    texts = [text.text for text in map(index.text, range(len(index))) if text.benchmark != FILLER]
    own = [text for text in texts if len(letters_of(text)) >= SHORT]
    made = []
    for half in (0, 1):
        documents = list(clean[half::2])
        drawn = random.Random(half).sample([text for text in own if _half_of(text) == half], plants)
        editor = Editor([sentence for document in documents for sentence in document], seed=100 + half)
        edited = {kind: [edit(editor, text) for text in drawn] for kind, edit in EDITS.items()}
        long = {kind: [text for text in these if len(letters_of(text)) >= SHORT] for kind, these in edited.items()}
        made.append(Half(long, documents))
    return made[0], made[1]


def _half_of(text: str) -> int:
    return hashlib.sha256(letters_of(text).encode()).digest()[0] % 2
