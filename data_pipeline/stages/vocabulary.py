"""Stages 4 and 5: morpheme counts of each part, then one vocabulary; or the given one, copied."""

import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import zstandard

from data_pipeline.contract.storage import read_json
from data_pipeline.contract.tokenizer import Tokenizer, hugging_face_files
from data_pipeline.corpus_files import SplitDocument, read_sentences
from data_pipeline.mixture import Mixture
from data_pipeline.recipe import Vocabulary
from data_pipeline.shard_task import ShardTask
from data_pipeline.vocabulary.morphemes import count_morphemes
from data_pipeline.vocabulary.trainer import train_vocabulary


def count_part(task: ShardTask, folder: Path) -> dict[str, Any]:
    """Writes `counts.tsv.zst`: the morphemes of the part's training documents and their counts, sorted.

    A document counts as often as it is trained on.
    """
    [part] = task.inputs["part"]
    how = dict(task.parameters)
    mixture = Mixture(**how.pop("mixture"))
    text_bytes = 0

    def texts(documents: Iterable[SplitDocument]) -> Iterator[str]:
        nonlocal text_bytes
        for document in documents:
            # Runs, not sentences: Mecab sees its context, and ends of sentences lose their blanks to nobody.
            for run in document.runs():
                text = "".join(sentence.text + sentence.blanks for sentence in run)
                text_bytes += len(text.encode())
                yield text

    def trained(copies: int) -> Iterator[SplitDocument]:
        documents = (document for document in read_sentences(part.path) if document.split == "train")
        return (document for document in documents if mixture.copies(document) == copies)

    counts: Counter[str] = Counter()
    for copies in mixture.numbers_of_copies():
        for morpheme, number in count_morphemes(texts(trained(copies)), **how).items():
            counts[morpheme] += copies * number
    lines = "".join(f"{morpheme}\t{number}\n" for morpheme, number in sorted(counts.items()))
    (folder / "counts.tsv.zst").write_bytes(zstandard.compress(lines.encode(), 3))
    return {"morphemes": sum(counts.values()), "types": len(counts), "text_bytes": text_bytes}


def make_vocabulary(task: ShardTask, folder: Path) -> dict[str, Any]:
    """Adds up the counts of all parts, trains, and writes the tokenizer's files."""
    recipe = Vocabulary(**task.parameters["vocabulary"])
    total = added_counts([file.path for file in task.inputs["counts"]])
    rows = train_vocabulary(total, recipe)
    for name, content in hugging_face_files(rows, recipe.lowercase).items():
        (folder / name).write_text(content, encoding="utf-8")
    return {"rows": len(rows), "types": len(total), "morphemes": sum(total.values())}


def added_counts(paths: Iterable[str]) -> Counter[str]:
    """The sum of the tables that `count_part` wrote."""
    total: Counter[str] = Counter()
    for path in paths:
        for line in zstandard.decompress(Path(path).read_bytes()).decode().split("\n")[:-1]:
            morpheme, number = line.split("\t")
            total[morpheme] += int(number)
    return total


def copy_vocabulary(task: ShardTask, folder: Path) -> dict[str, Any]:
    """Brings a given vocabulary in: a folder's tokenizer files as they are, a lone vocab.txt with files made for it."""
    recipe = Vocabulary(**task.parameters["vocabulary"])
    for file in task.inputs["given"]:
        shutil.copyfile(file.path, folder / Path(file.path).name)
    if not (folder / "tokenizer.json").exists():
        configuration = read_json(folder / "tokenizer_config.json") or {"do_lower_case": recipe.lowercase}
        lowercase = bool(configuration.get("do_lower_case", False))
        rows = Tokenizer(folder).pieces
        for name, content in hugging_face_files(rows, lowercase).items():
            (folder / name).write_text(content, encoding="utf-8")
    return {"rows": Tokenizer(folder).size}
