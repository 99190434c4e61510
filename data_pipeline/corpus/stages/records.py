"""Stage 6: the sentences of a part are tokenised once and become rows, in one ArrayRecord file for each split and length."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from data_pipeline.contract.recipe_file import plain_fields
from data_pipeline.contract.storage import write_array
from data_pipeline.contract.tokenizer import Tokenizer, WordUnit
from data_pipeline.contract.write_records import Shard, ShardWriter
from data_pipeline.corpus.corpus_files import Split, SplitDocument, read_sentences
from data_pipeline.corpus.document import Sentence
from data_pipeline.corpus.layouts import row_maker
from data_pipeline.corpus.layouts.packed import PackedRows
from data_pipeline.corpus.layouts.rows import Run, Tokens
from data_pipeline.corpus.mixture import Mixture, mixture_of
from data_pipeline.corpus.stages.sentences import PART
from data_pipeline.corpus.tally import Tally, merged
from data_pipeline.corpus.vocabulary.morphemes import morpheme_boundaries
from data_pipeline.corpus.vocabulary.report import unknown_characters
from data_pipeline.corpus.vocabulary.word_piece import corpus_encoder
from data_pipeline.recipe import DataRecipe, Source
from data_pipeline.tasks.shard_task import Done, Place, ShardTask, outputs_of

SHARDS = "shards.json"
TOKEN_COUNTS = "token_counts.npy"
"""int64 [rows of the vocabulary]: how often each token stands in the rows of a part."""
DOCUMENTS_PER_BATCH = 256


def record_tasks(
    place: Place, recipe: DataRecipe, sentences: Sequence[Done], sources: Sequence[Source], vocabulary: Done
) -> list[ShardTask]:
    """A task for each part of sentences; `sources`: that of each."""
    parameters = {
        "examples": plain_fields(recipe.examples),
        "layout": recipe.examples.layout,
        "lengths": [recipe.examples.length, *recipe.other_lengths],
        "word_unit": recipe.word_unit,
        "seed": recipe.seed,
        **({"by_category": True} if recipe.rows_by_category else {}),
    }
    tasks = []
    for done, source in zip(sentences, sources, strict=True):
        inputs = {"part": outputs_of([done], PART), "vocabulary": outputs_of([vocabulary])}
        mixed = {**parameters, "mixture": mixture_of(recipe, source.weight)}
        tasks.append(place.task("records", done.task.name, make_records, inputs, mixed))
    return tasks


def make_records(task: ShardTask, folder: Path) -> dict[str, Any]:
    """Writes `train-LENGTH.array_record` and `evaluation-LENGTH.array_record`, each only if it has rows, what they hold as JSON,
    and how often each token was used."""
    parameters = task.parameters
    tokenizer = _tokenizer(Path(task.inputs["vocabulary"][0].path).parent)
    mixture = Mixture(**parameters["mixture"])
    [part] = task.inputs["part"]
    tally = Tally()
    shards: dict[str, dict[str, Any]] = {}
    token_counts = np.zeros(tokenizer.size, np.int64)
    counts: dict[str, Any] = {}
    splits: tuple[Split, ...] = ("train", "evaluation")
    for split in splits:
        passes = [
            Pass(
                category,
                _tokenised(
                    chosen,
                    tokenizer,
                    parameters["word_unit"],
                    tally,
                    token_counts,
                    opened=parameters["examples"].get("target") == "first_paragraph",
                ),
            )
            for category in _categories(part.path, split, parameters.get("by_category", False))
            for chosen in _passes(part.path, split, category, mixture, tally)
        ]
        written, made = _write_rows(passes, split, task, folder, tokenizer)
        for length, (shard, categories) in written.items():
            if shard.rows:
                shards.setdefault(str(length), {})[split] = {**asdict(shard), "categories": categories}
            else:
                (folder / shard.file).unlink()
        if split == "train":
            counts["by_length"] = made
    write_array(folder / TOKEN_COUNTS, token_counts)
    (folder / SHARDS).write_text(json.dumps(shards), encoding="utf-8")
    return {**tally.counts(), **counts}


@lru_cache(maxsize=1)
def _tokenizer(folder: Path) -> Tokenizer:
    """Loaded once for all parts that a worker gets; the folder is an attempt's, whose files never change."""
    return Tokenizer(folder)


class Pass(NamedTuple):
    """Documents whose rows are made apart from others: the runs of each, and the category of all, None where they have several."""

    category: str | None
    documents: Iterator[list[Run]]


def _write_rows(
    passes: Sequence[Pass], split: str, task: ShardTask, folder: Path, tokenizer: Tokenizer
) -> tuple[dict[int, tuple[Shard, list[tuple[str, int]]]], dict[str, Any]]:
    """Makes the rows of every length out of the same tokens; returns the shard of each with the categories of its rows in turn, where
    passes have such, and what the layout did, by length."""
    parameters = task.parameters
    lengths = parameters["lengths"]
    counts: dict[str, Any] = {}
    categories: dict[int, list[tuple[str, int]]] = {length: [] for length in lengths}
    with ExitStack() as files:
        writers = {
            length: files.enter_context(ShardWriter(folder / f"{split}-{length}.array_record", tokenizer.special.pad))
            for length in lengths
        }
        for number, (category, documents) in enumerate(passes):
            before = {length: writer.rows for length, writer in writers.items()}
            # Each pass for itself: the random second of a pair is then never another copy of the first.
            seed = f"{parameters['seed']} {task.name} {split} {number}"
            makers = {
                length: row_maker(parameters["layout"], {**parameters["examples"], "length": length}, tokenizer, seed)
                for length in lengths
            }
            tokens = 0
            for document in documents:
                tokens += sum(len(sentence) for run in document for sentence in run)
                for length, maker in makers.items():
                    writers[length].write(maker.add(document))
            for length, maker in makers.items():
                writers[length].write(maker.finish())
                made: dict[str, Any] = {"tokens": tokens, **maker.counts}
                if isinstance(maker, PackedRows):
                    made["segment_lengths"] = maker.segment_lengths
                counts = merged([counts, {str(length): made}])
                rows = writers[length].rows - before[length]
                if category is not None and rows:
                    categories[length].append((category, rows))
    return {length: (writer.shard, categories[length]) for length, writer in writers.items()}, counts


def _categories(part: str, split: Split, by_category: bool) -> list[str | None]:
    """The categories of a part's documents, whose rows are made one category after the other; None for all at once."""
    return [*sorted({document.category for document in read_sentences(part, split)})] if by_category else [None]


def _passes(
    part: str, split: Split, category: str | None, mixture: Mixture, tally: Tally
) -> Iterator[Iterator[SplitDocument]]:
    """The documents of a split and a category, each in as many passes as it has copies, so that copies stand far from each other."""

    def documents(number: int) -> Iterator[SplitDocument]:
        for document in read_sentences(part, split):
            if category not in (None, document.category):
                continue
            copies = mixture.copies(document)
            if number == 0:
                tally.add("documents")
                tally.count_category(document.source, document.category, **{f"{split}_copies": copies})
            if copies > number:
                yield document

    most = max(mixture.numbers_of_copies()) if split == "train" else 1
    return map(documents, range(most))


def _tokenised(
    documents: Iterator[SplitDocument],
    tokenizer: Tokenizer,
    unit: WordUnit,
    tally: Tally,
    token_counts: NDArray[np.int64],
    *,
    opened: bool,
) -> Iterator[list[Run]]:
    """The runs of each document, sentence by sentence as tokens; and the counts that the vocabulary's report is made of.

    - `opened`: the first run is the first paragraph (`SplitDocument.opened_runs`), or there is one run only.
    """
    encode = _encoder(tokenizer, unit)
    while batch := list(islice(documents, DOCUMENTS_PER_BATCH)):
        sentences = [sentence for document in batch for sentence in document.sentences]
        encoded = encode(sentences)
        tally.add("sentences", len(sentences))
        tally.add("eojeols", sum(len(sentence.text.split()) for sentence in sentences))
        tally.add("characters", sum(len(sentence.text) for sentence in sentences))
        tally.add("text_bytes", sum(len(sentence.text.encode()) for sentence in sentences))
        ids = np.concatenate([np.empty(0, tokenizer.token_dtype), *(tokens.ids for tokens in encoded)])
        tally.add("tokens", len(ids))
        unknown = np.flatnonzero(ids == tokenizer.special.unk)
        tally.add("unknown", len(unknown))
        ends = np.cumsum([len(tokens) for tokens in encoded])
        partly = np.unique(np.searchsorted(ends, unknown, side="right")).tolist()
        tally.add("unknown_characters", unknown_characters(tokenizer, [sentences[place].text for place in partly]))
        tally.add("continuing", int(np.count_nonzero(tokenizer.continues[ids])))
        token_counts += np.bincount(ids, minlength=len(token_counts))
        in_order = iter(encoded)
        for document in batch:
            runs: list[Run] = []
            for run in document.opened_runs() if opened else document.runs():
                tokens = list(islice(in_order, len(run)))
                if unit == "eojeol":
                    _join_eojeols(run, tokens)
                # A sentence may hold nothing that the tokenizer sees (a lone variation selector); a row needs tokens.
                runs.append([sentence for sentence in tokens if len(sentence)])
            if opened and not all(runs[:2]):
                runs = [[sentence for run in runs for sentence in run]]
            if kept := [run for run in runs if run]:
                yield kept


def _join_eojeols(run: Sequence[Sentence], tokens: Run) -> None:
    """A sentence that begins without a blank before it goes on inside the eojeol of the one before."""
    for before, sentence in zip(run, tokens[1:], strict=False):
        if not before.blanks and len(sentence):
            sentence.starts[0] = False


@lru_cache(maxsize=1)
def _encoder(tokenizer: Tokenizer, unit: WordUnit) -> Callable[[Sequence[Sentence]], list[Tokens]]:
    boundaries = morpheme_boundaries() if unit == "morpheme" else None
    encoder = corpus_encoder(tokenizer)

    def encode(sentences: Sequence[Sentence]) -> list[Tokens]:
        encoded = encoder([sentence.text for sentence in sentences], unit, boundaries)
        return [Tokens(ids, starts) for ids, starts in encoded]

    return encode
