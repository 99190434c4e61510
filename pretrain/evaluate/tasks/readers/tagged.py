"""Sentences with tags: the named entities of KLUE and Naver, the dependencies of KLUE."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from data_pipeline.contract.benchmark_files.tagged import (
    TaggedSentence,
    read_klue_dp,
    read_klue_ner,
    read_naver_ner,
)
from data_pipeline.contract.errors import InputError
from pretrain.evaluate.tasks.examples import DependencyExample, Example, TagExample
from pretrain.evaluate.tasks.readers.rows import checked, damage_of, not_among, shown

Reader = Callable[[Path], list[Example]]


def klue_ner_reader(labels: Sequence[str]) -> Reader:
    """Reads KLUE-NER: the units are characters, and blanks are among them, tagged O."""
    return lambda path: checked(path, _tagged(path, read_klue_ner(path), labels, separator=""))


def naver_ner_reader(labels: Sequence[str]) -> Reader:
    """Reads the Naver NER set: the units are the words between blanks."""
    return lambda path: checked(path, _tagged(path, read_naver_ner(path), labels, separator=" "))


def klue_dp_reader(relations: Sequence[str], parts_of_speech: Sequence[str]) -> Reader:
    """Reads KLUE-DP.

    - `parts_of_speech`: the tags that an eojeol's last morpheme may have.
    """
    return lambda path: checked(
        path, (_dependencies(path, sentence, relations, parts_of_speech) for sentence in read_klue_dp(path))
    )


def tag_example(place: str, name: str, units: tuple[str, ...], tags: tuple[str, ...], separator: str) -> TagExample:
    """A sentence with tags. No units, an empty or damaged one, or another number of tags are an InputError.

    - `place`: what the error names.
    """
    if not units:
        raise InputError(f"{place}: the sentence is empty; fill it or remove the row")
    if len(units) != len(tags):
        raise InputError(f"{place}: {len(units)} units and {len(tags)} tags; correct the row")
    for number, unit in enumerate(units, start=1):
        if damage := damage_of(unit) if unit else "is empty":
            raise InputError(f"{place}: unit {number} {damage}; correct the row")
    return TagExample(name, units, tags, separator)


def check_tags(place: str, tags: Sequence[str], labels: Sequence[str], column: str = "tag") -> None:
    """An InputError where one of a sentence's tags is none of the labels."""
    for number, tag in enumerate(tags, start=1):
        if tag not in labels:
            raise InputError(f"{place}: {column} {number} is {shown(tag)}, {not_among(tag, labels)}; correct the row")


def _tagged(
    path: Path, sentences: Iterator[TaggedSentence], labels: Sequence[str], separator: str
) -> Iterator[Example]:
    for sentence in sentences:
        place, tags = _place(path, sentence), tuple(columns[0] for columns in sentence.tags)
        check_tags(place, tags, labels)
        yield tag_example(place, sentence.id, sentence.tokens, tags, separator)


def _dependencies(
    path: Path, sentence: TaggedSentence, relations: Sequence[str], parts_of_speech: Sequence[str]
) -> DependencyExample:
    place, count = _place(path, sentence), len(sentence.tokens)
    _, parts, heads, names = (tuple(column) for column in zip(*sentence.tags, strict=True))
    for number, (eojeol, head) in enumerate(zip(sentence.tokens, heads, strict=True), start=1):
        if not eojeol.strip():
            raise InputError(f"{place}: WORD_FORM {number} is empty; restore the line")
        if not head.isdecimal() or int(head) > count or int(head) == number:
            raise InputError(
                f"{place}: HEAD {number} is {shown(head)}, not 0 to {count} or the eojeol itself; restore the line"
            )
    check_tags(place, names, relations, "DEPREL")
    check_tags(place, [part.rpartition("+")[2] for part in parts], parts_of_speech, "the last POS of eojeol")
    return DependencyExample(sentence.id, sentence.tokens, tuple(map(int, heads)), names, parts)


def _place(path: Path, sentence: TaggedSentence) -> str:
    """`FILE:LINE` where that is the sentence's name, else the file and its guid."""
    file, _, line = sentence.id.rpartition(":")
    return f"{path}:{line}" if file == path.name else f"{path}: sentence {sentence.id}"
