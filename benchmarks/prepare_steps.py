"""The steps of `prepare` one by one, in one process and on one core."""

import os
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

import kss

from benchmarks.corpora import RECIPE, Corpora
from data_pipeline.contract.recipe_file import load_recipe
from data_pipeline.contract.run_folder import RunFolder
from data_pipeline.contract.storage import find_input_files, open_input
from data_pipeline.contract.tokenizer import Tokenizer
from data_pipeline.corpus.corpus_files import SplitDocument
from data_pipeline.corpus.document import Document, Dropped, Step
from data_pipeline.corpus.layouts.packed import PackedRows
from data_pipeline.corpus.layouts.rows import Run, Tokens
from data_pipeline.corpus.steps.benchmark_matches import matcher
from data_pipeline.corpus.steps.bm25 import Bm25Index
from data_pipeline.corpus.steps.clean import cleaner
from data_pipeline.corpus.steps.decontamination import Contaminated, remove_matches
from data_pipeline.corpus.steps.korean_filter import korean_filter
from data_pipeline.corpus.steps.length_filter import length_filter
from data_pipeline.corpus.steps.pseudonyms.step import pseudonymiser
from data_pipeline.corpus.steps.split_sentences import sentence_splitter
from data_pipeline.corpus.vocabulary.morphemes import count_morphemes
from data_pipeline.corpus.vocabulary.word_piece import corpus_encoder
from data_pipeline.recipe import DataRecipe, Decontamination, Source
from data_pipeline.source_formats import reader_of

DOCUMENTS_PER_BATCH = 256
Result = TypeVar("Result")


@dataclass(frozen=True)
class StepTime:
    """CPU time of a step.

    - `megabytes`: of the text that went in; `sentences`: that went in, or came out where the step makes them.
    - `kind`: `corpus` text to cleaner text; `vocabulary` text to counts, where none is given; `records` text to rows; `inner`
      a part of another step.
    """

    name: str
    kind: str
    cpu_seconds: float
    megabytes: float
    sentences: int


def measure_steps(found: Corpora, reviews: Path, folder: RunFolder, runs: int) -> list[StepTime]:
    """Times each step on what the one before it leaves; the median of so many runs.

    - `folder`: prepared from the same text; the benchmarks' index and the vocabulary are taken from it.
    """
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    _, recipe = load_recipe(RECIPE, "data", DataRecipe)
    times: list[StepTime] = []

    def note(name: str, kind: str, work: Callable[[], Result], texts: Iterable[str], sentences: int = 0) -> Result:
        result, seconds = _timed(work, runs)
        times.append(StepTime(name, kind, seconds, sum(len(text.encode()) for text in texts) / 1e6, sentences))
        return result

    def corpus_step(name: str, step: Step, documents: list[Document], sentences: int) -> list[Document]:
        return note(name, "corpus", lambda: _survivors(step, documents), map(_text, documents), sentences)

    documents = [*read_documents("petitions", found.petitions), *read_documents("jsonl", str(reviews))]
    documents = corpus_step("clean", cleaner(recipe.clean), documents, 0)
    split = _survivors(sentence_splitter(recipe.sentences), documents)
    paragraphs = [paragraph for document in documents for paragraph in document.text.split("\n")]
    note("KSS 1.3.1 alone", "inner", lambda: list(map(kss.split_sentences, paragraphs)), paragraphs, _sentences(split))
    corpus_step(
        "split: KSS and repair of its faults", sentence_splitter(recipe.sentences), documents, _sentences(split)
    )
    steps = {
        "Korean filter": korean_filter(recipe.korean),
        "length filter": length_filter(recipe.length),
        "decontamination": _decontaminator(recipe.decontamination, folder),
        "pseudonyms": pseudonymiser(recipe.pseudonyms, recipe.seed),
    }
    for name, step in steps.items():
        split = corpus_step(name, step, split, _sentences(split))

    chosen = [SplitDocument(each.id, each.source, "train", each.sentences or ()) for each in split]
    texts, number = [_text(document) for document in split], _sentences(split)
    how, tokenizer = recipe.vocabulary, Tokenizer(folder.vocabulary)
    note(
        "morphemes: Mecab-ko",
        "vocabulary",
        lambda: list(count_morphemes(_runs(chosen), how.scheme, how.lowercase)),
        texts,
        number,
    )
    note("tokenise", "inner", lambda: list(_tokenised(chosen, tokenizer, recipe)), texts, number)
    note("tokenise and pack", "records", lambda: _packed(chosen, tokenizer, recipe), texts, number)
    return times


def _timed(work: Callable[[], Result], runs: int) -> tuple[Result, float]:
    """The result and the median of the CPU seconds."""
    seconds = []
    for _ in range(runs):
        start = time.process_time()
        result = work()
        seconds.append(time.process_time() - start)
    return result, statistics.median(seconds)


def read_documents(source_format: str, glob: str) -> Iterator[Document]:
    """The documents of files."""
    for file in find_input_files(glob):
        with open_input(file.path) as stream:
            for item in reader_of(source_format)(stream, file.path, Source(source_format, glob)):
                if isinstance(item, Document):
                    yield item


def _decontaminator(recipe: Decontamination, folder: RunFolder) -> Step:
    """Finding and removing, with the run's index, after a first search, which loads the compiled code."""
    [place] = (folder.corpus / "benchmarks" / "data").iterdir()
    matches = matcher(recipe, Bm25Index.open(place))
    matches(["누리집에 올라온 글을 처음부터 끝까지 읽었습니다."])

    def step(document: Document) -> Document | Dropped:
        found = matches([sentence.text for sentence in document.sentences or ()])
        return remove_matches(document, Contaminated(found), recipe.on_contaminated)

    return step


def _survivors(step: Step, documents: Sequence[Document]) -> list[Document]:
    return [result for result in map(step, documents) if isinstance(result, Document)]


def _sentences(documents: Sequence[Document]) -> int:
    return sum(len(document.sentences or ()) for document in documents)


def _text(document: Document) -> str:
    """What is left of its text."""
    if document.sentences is None:
        return document.whole
    return "".join(sentence.text + sentence.blanks for sentence in document.sentences)


def _runs(documents: Sequence[SplitDocument]) -> Iterator[str]:
    for document in documents:
        for run in document.runs():
            yield "".join(sentence.text + sentence.blanks for sentence in run)


def _tokenised(documents: Sequence[SplitDocument], tokenizer: Tokenizer, recipe: DataRecipe) -> Iterator[Run]:
    """The runs of all documents as tokens."""
    encode = corpus_encoder(tokenizer)
    waiting = iter(documents)
    while batch := list(islice(waiting, DOCUMENTS_PER_BATCH)):
        runs = [run for document in batch for run in document.runs()]
        encoded = iter(encode([sentence.text for run in runs for sentence in run], recipe.word_unit, None))
        for run in runs:
            yield [Tokens(ids, starts) for ids, starts in islice(encoded, len(run))]


def _packed(documents: Sequence[SplitDocument], tokenizer: Tokenizer, recipe: DataRecipe) -> int:
    """How many rows the documents fill."""
    packer = PackedRows(recipe.examples.length, tokenizer.special, tokenizer.closing)
    rows = sum(1 for run in _tokenised(documents, tokenizer, recipe) for _ in packer.add([run]))
    return rows + sum(1 for _ in packer.finish())
