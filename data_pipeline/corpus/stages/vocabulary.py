"""Stages 4 and 5: morpheme counts of each part, then one vocabulary; or the given one, copied."""

import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from data_pipeline.contract.recipe_file import plain_fields
from data_pipeline.contract.special_tokens import in_order
from data_pipeline.contract.storage import InputFile, read_json
from data_pipeline.contract.tokenizer import Tokenizer
from data_pipeline.contract.unigram import SENTENCEPIECE_FILE, rows_of, unigram_files, unigram_in
from data_pipeline.contract.word_piece import hugging_face_files
from data_pipeline.corpus.corpus_files import SplitDocument, read_sentences
from data_pipeline.corpus.mixture import Mixture, mixture_of
from data_pipeline.corpus.stages.sentences import PART
from data_pipeline.corpus.vocabulary.counts import MOST_AT_ONCE, CountTable, write_sum, write_table
from data_pipeline.corpus.vocabulary.morphemes import count_morphemes
from data_pipeline.corpus.vocabulary.trainer import train_vocabulary
from data_pipeline.corpus.vocabulary.unigram import count_eojeols, train_unigram
from data_pipeline.recipe import DataRecipe, Source, Vocabulary
from data_pipeline.recipe_vocabulary import ADDED_FIELDS
from data_pipeline.tasks.shard_task import Done, Output, Place, ShardTask, outputs_of

COUNTS = "counts.tsv.zst"


def count_tasks(
    place: Place, recipe: DataRecipe, sentences: Sequence[Done], sources: Sequence[Source]
) -> list[ShardTask]:
    """A task for each part of sentences; `sources`: that of each."""
    how = {name: getattr(recipe.vocabulary, name) for name in ("model", "scheme", "lowercase")}
    tasks = []
    for done, source in zip(sentences, sources, strict=True):
        weight = source.weight if source.vocabulary_weight is None else source.vocabulary_weight
        parameters = {"vocabulary": how, "mixture": mixture_of(recipe, weight)}
        tasks.append(
            place.task("morphemes", done.task.name, count_part, {"part": outputs_of([done], PART)}, parameters)
        )
    return tasks


def adding_tasks(place: Place, tables: Sequence[Output]) -> list[ShardTask]:
    """Tables of counts are added up in groups by all workers, so that few are left to add."""
    groups = [tuple(tables[start : start + MOST_AT_ONCE]) for start in range(0, len(tables), MOST_AT_ONCE)]
    return [
        place.task("counts", f"{number:03d}", add_counts, {"counts": group}, {}) for number, group in enumerate(groups)
    ]


def vocabulary_task(
    place: Place, recipe: Vocabulary, counts: tuple[Output, ...], given: tuple[InputFile, ...]
) -> ShardTask:
    """One task, which trains on the counts or, where there is one, takes the given vocabulary."""
    parameters = {"vocabulary": vocabulary_parameters(recipe)}
    if recipe.given:
        return place.task("vocabulary", "given", copy_vocabulary, {"given": given}, parameters)
    return place.task("vocabulary", "trained", make_vocabulary, {"counts": counts}, parameters)


def vocabulary_parameters(recipe: Vocabulary) -> dict[str, Any]:
    """The fields of a vocabulary recipe, JSON-ready: as earlier code wrote them down where the fields added since are at their defaults."""
    fields, usual = plain_fields(recipe), plain_fields(Vocabulary())
    return {name: value for name, value in fields.items() if name not in ADDED_FIELDS or value != usual[name]}


def count_part(task: ShardTask, folder: Path) -> dict[str, Any]:
    """Writes COUNTS: the morphemes of the part's training documents.

    A document counts as often as it weighs.
    """
    [part] = task.inputs["part"]
    mixture = Mixture(**task.parameters["mixture"])
    recipe = Vocabulary(**task.parameters["vocabulary"])
    tally = {"morphemes": 0, "text_bytes": 0}

    def texts(documents: Iterable[SplitDocument]) -> Iterator[str]:
        for document in documents:
            # Runs, not sentences: Mecab sees its context, and ends of sentences lose their blanks to nobody.
            for run in document.runs():
                text = "".join(sentence.text + sentence.blanks for sentence in run)
                tally["text_bytes"] += len(text.encode())
                yield text

    def trained(copies: int) -> Iterator[SplitDocument]:
        documents = read_sentences(part.path, "train")
        return (document for document in documents if mixture.copies(document) == copies)

    with TemporaryDirectory(dir=folder) as place:
        batches: list[CountTable] = []
        for copies in mixture.numbers_of_copies():
            for counts in _counted(texts(trained(copies)), recipe):
                weighted = ((text, copies * counts[text]) for text in sorted(counts))
                batches.append(write_table(Path(place) / str(len(batches)), weighted))
                tally["morphemes"] += copies * counts.total()
        write_sum(folder / COUNTS, batches)
    return tally


def _counted(texts: Iterable[str], recipe: Vocabulary) -> Iterator[Counter[str]]:
    if recipe.model == "unigram":
        return count_eojeols(texts, recipe.lowercase)
    return count_morphemes(texts, recipe.scheme, recipe.lowercase)


def add_counts(task: ShardTask, folder: Path) -> dict[str, Any]:
    """Writes COUNTS: the sum of the tables of many parts."""
    table = write_sum(folder / COUNTS, [CountTable(file.path) for file in task.inputs["counts"]])
    return {"types": sum(1 for _ in table)}


def make_vocabulary(task: ShardTask, folder: Path) -> dict[str, Any]:
    """Adds up the counts of all parts, trains, and writes the tokenizer's files."""
    recipe = Vocabulary(**task.parameters["vocabulary"])
    with TemporaryDirectory(dir=folder) as place:
        counts = write_sum(Path(place) / COUNTS, [CountTable(file.path) for file in task.inputs["counts"]])
        types = morphemes = 0
        for _, number in counts:
            types, morphemes = types + 1, morphemes + number
        if recipe.model == "unigram":
            unigram = train_unigram(counts, recipe)
            files = unigram_files(unigram.rows, recipe.lowercase, recipe.begin_and_end)
            (folder / SENTENCEPIECE_FILE).write_bytes(unigram.model)
        else:
            files = hugging_face_files(train_vocabulary(counts, recipe), recipe.lowercase, recipe.begin_and_end)
    for name, content in files.items():
        (folder / name).write_text(content, encoding="utf-8")
    return {"rows": recipe.size, "types": types, "morphemes": morphemes}


def copy_vocabulary(task: ShardTask, folder: Path) -> dict[str, Any]:
    """Brings a given vocabulary in: a folder's tokenizer files as they are, a lone vocab.txt or SentencePiece model with files made
    for it, and its specials in the recipe's order."""
    recipe = Vocabulary(**task.parameters["vocabulary"])
    for file in task.inputs["given"]:
        shutil.copyfile(file.path, folder / Path(file.path).name)
    if not (folder / "tokenizer.json").exists():
        files = _files_of_given(folder, recipe)
        for path in folder.iterdir():
            path.unlink()
        for name, content in files.items():
            (folder / name).write_bytes(content)
    return {"rows": Tokenizer(folder).size}


def _files_of_given(folder: Path, recipe: Vocabulary) -> dict[str, bytes]:
    """The tokenizer's files, name -> content, for a folder that has no tokenizer.json."""
    tokenizer = Tokenizer(folder)
    order = [tokenizer.pieces[getattr(tokenizer.special, role)] for role in recipe.specials]
    rows = in_order(tokenizer.pieces, order)
    if tokenizer.is_bert:
        configuration = read_json(folder / "tokenizer_config.json") or {"do_lower_case": recipe.lowercase}
        files = hugging_face_files(rows, bool(configuration.get("do_lower_case", False)), recipe.begin_and_end)
        return {name: content.encode() for name, content in files.items()}
    model = unigram_in(folder)
    pieces = {piece.text: piece for piece in model.pieces}
    model = model.with_pieces([pieces[row] for row in rows])
    files = unigram_files(rows_of(model, folder), recipe.lowercase, recipe.begin_and_end)
    return {SENTENCEPIECE_FILE: model.to_bytes(), **{name: content.encode() for name, content in files.items()}}
