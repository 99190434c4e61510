"""Sentences with a tag for every character, word or eojeol: KLUE-NER, KLUE-DP, the Naver NER set, Universal Dependencies."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from data_pipeline.contract.benchmark_files.text import BenchmarkText, benchmark_name, read_lines
from data_pipeline.contract.errors import InputError

NAVER_TAG = re.compile(r"O|-|[A-Z]{3}-[BI]")


@dataclass(frozen=True, slots=True)
class TaggedSentence:
    """A sentence and its tags.

    - `id`: the file's own id, or the line of its first token.
    - `text`: the sentence as it was written, blanks included.
    - `tokens`: characters (KLUE-NER, blanks are characters too), words (Naver NER) or eojeols (KLUE-DP, CoNLL-U).
    - `tags`: the columns behind each token: (tag,) for named entities; lemma, part of speech, head and relation for
      KLUE-DP; all columns but the first two for CoNLL-U.
    """

    id: str
    text: str
    tokens: tuple[str, ...]
    tags: tuple[tuple[str, ...], ...]


def read_klue_ner(path: str | Path) -> Iterator[TaggedSentence]:
    """The sentences of a KLUE-NER file: `CHARACTER<tab>TAG` lines below a line `## GUID<tab>tagged sentence`.

    The text is put together from the characters: the headline's copy has tags in it, `<경찰:OG>`.
    """
    for guid, _, rows in _klue_blocks(Path(path), columns=2):
        tokens = tuple(row[0] for row in rows)
        yield TaggedSentence(guid, "".join(tokens), tokens, tuple((row[1],) for row in rows))


def read_klue_dp(path: str | Path) -> Iterator[TaggedSentence]:
    """The sentences of a KLUE-DP file: six columns an eojeol below a line `## GUID<tab>sentence`."""
    for guid, text, rows in _klue_blocks(Path(path), columns=6):
        yield TaggedSentence(guid, text, tuple(row[1] for row in rows), tuple(tuple(row[2:]) for row in rows))


def _klue_blocks(path: Path, columns: int) -> Iterator[tuple[str, str, list[list[str]]]]:
    """(guid, text of the headline, rows) of each sentence; the notes about the format on top have no rows and go."""
    headline, rows = "", list[list[str]]()
    for number, line in chain(read_lines(path), [(0, "")]):
        if line.startswith("## "):
            headline = line.removeprefix("## ")
        elif line:
            row = line.split("\t")
            if len(row) != columns:
                raise InputError(f"{path}:{number}: {len(row)} columns instead of {columns}; restore the line")
            rows.append(row)
        elif rows:
            guid, separator, text = headline.partition("\t")
            if not separator:
                raise InputError(
                    f'{path}: the sentence behind "{guid}" has no line "## GUID<tab>sentence"; restore the file'
                )
            yield guid, text, rows
            headline, rows = "", []


def read_naver_ner(path: str | Path) -> Iterator[TaggedSentence]:
    """The sentences of the Naver NER set: a line is blank-separated words, a tab, and as many tags."""
    path = Path(path)
    for number, line in read_lines(path):
        if not line:
            continue
        text, _, tags = line.partition("\t")
        words, labels = text.split(" "), tags.split(" ")
        if len(words) != len(labels):
            raise InputError(f"{path}:{number}: {len(words)} words and {len(labels)} tags; restore the line")
        yield TaggedSentence(f"{path.name}:{number}", text, tuple(words), tuple((label,) for label in labels))


def read_conllu(path: str | Path) -> Iterator[TaggedSentence]:
    """The sentences of a CoNLL-U file (https://universaldependencies.org/format.html); each must have a `# text` line."""
    path = Path(path)
    text, identifier, rows = "", "", list[list[str]]()
    for number, line in chain(read_lines(path), [(0, "")]):
        if line.startswith("# text = "):
            text = line.removeprefix("# text = ")
        elif line.startswith("# sent_id = "):
            identifier = line.removeprefix("# sent_id = ")
        elif line and not line.startswith("#"):
            rows.append(line.split("\t"))
            if len(rows[-1]) != 10:
                raise InputError(f"{path}:{number}: {len(rows[-1])} columns instead of 10; restore the line")
        elif not line and rows:
            if not text:
                raise InputError(f'{path}: sentence "{identifier}" has no line "# text = ..."; restore the file')
            yield TaggedSentence(identifier, text, tuple(row[1] for row in rows), tuple(tuple(row[2:]) for row in rows))
            text, identifier, rows = "", "", []


TAGGED: dict[str, Callable[[str | Path], Iterator[TaggedSentence]]] = {
    "KLUE-NER": read_klue_ner,
    "KLUE-DP": read_klue_dp,
    "Naver NER": read_naver_ner,
    "CoNLL-U": read_conllu,
}


def tagged_format(head: list[str]) -> str | None:
    """The name in TAGGED of the format of a file's first lines; None for none of ours."""
    rows = [line.split("\t") for line in head if line and not line.startswith(("## ", "# "))]
    if not rows:
        return None
    if head[0].startswith("## "):
        if len(rows[0]) == 2 and len(rows[0][0]) == 1:
            return "KLUE-NER"
        return "KLUE-DP" if len(rows[0]) == 6 else None
    if head[0].startswith("# ") and len(rows[0]) == 10:
        return "CoNLL-U"
    if all(len(row) == 2 and all(NAVER_TAG.fullmatch(tag) for tag in row[1].split(" ")) for row in rows):
        return "Naver NER"
    return None


def tagged_texts(path: Path, name: str) -> Iterator[BenchmarkText]:
    """The sentences of a file of the format `name` of TAGGED, without their tags."""
    benchmark = benchmark_name(path)
    for sentence in TAGGED[name](path):
        yield BenchmarkText(sentence.text, benchmark, sentence.id, "sentence")
