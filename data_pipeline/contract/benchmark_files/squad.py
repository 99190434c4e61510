"""Reading comprehension in SQuAD's JSON shape: KorQuAD 1.0 and KLUE-MRC."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_pipeline.contract.benchmark_files.text import BenchmarkText, benchmark_name, read_json_file
from data_pipeline.contract.errors import InputError


@dataclass(frozen=True, slots=True)
class Answer:
    """A gold answer: its text and where it starts in the context, in characters from 0."""

    text: str
    start: int


@dataclass(frozen=True, slots=True)
class Question:
    """A question about a passage.

    - `id`: `id` of KorQuAD, `guid` of KLUE-MRC.
    - `title`: the article's title.
    - `answers`: all gold answers; empty where the passage holds none (KLUE-MRC's type 3).
    """

    id: str
    title: str
    context: str
    question: str
    answers: tuple[Answer, ...]


def read_questions(path: str | Path) -> Iterator[Question]:
    """The questions of a KorQuAD 1.0 or KLUE-MRC file, in the file's order. A missing field is an InputError."""
    path = Path(path)
    for title, paragraphs in _articles(path, read_json_file(path)):
        for where, paragraph in paragraphs:
            for number, question in enumerate(_field(path, where, paragraph, "qas", list)):
                at = f"{where}.qas[{number}]"
                identifier = "guid" if "guid" in question else "id"
                unanswerable = question.get("is_impossible", False)
                yield Question(
                    id=_field(path, at, question, identifier, str),
                    title=title,
                    context=_field(path, where, paragraph, "context", str),
                    question=_field(path, at, question, "question", str),
                    answers=() if unanswerable else _answers(path, at, _field(path, at, question, "answers", list)),
                )


def squad_texts(path: Path, content: Any) -> Iterator[BenchmarkText]:
    """Titles, contexts and questions of the JSON value of a SQuAD file; never an answer."""
    benchmark = benchmark_name(path)
    for number, (title, paragraphs) in enumerate(_articles(path, content)):
        if title:
            yield BenchmarkText(title, benchmark, f"{path.name}: data[{number}]", "heading")
        for where, paragraph in paragraphs:
            context = _field(path, where, paragraph, "context", str)
            yield BenchmarkText(context, benchmark, f"{path.name}: {where}", "context")
            for index, question in enumerate(_field(path, where, paragraph, "qas", list)):
                at = f"{where}.qas[{index}]"
                location = _field(path, at, question, "guid" if "guid" in question else "id", str)
                yield BenchmarkText(_field(path, at, question, "question", str), benchmark, location, "question")


def _articles(path: Path, content: Any) -> Iterator[tuple[str, list[tuple[str, dict[str, Any]]]]]:
    for number, article in enumerate(_field(path, "the file", content, "data", list)):
        where = f"data[{number}]"
        paragraphs = _field(path, where, article, "paragraphs", list)
        numbered = [(f"{where}.paragraphs[{index}]", paragraph) for index, paragraph in enumerate(paragraphs)]
        yield str(article.get("title", "")), numbered


def _answers(path: Path, where: str, answers: list[Any]) -> tuple[Answer, ...]:
    return tuple(
        Answer(_field(path, where, answer, "text", str), _field(path, where, answer, "answer_start", int))
        for answer in answers
    )


def _field(path: Path, where: str, value: Any, name: str, kind: type) -> Any:
    """`value[name]`, checked: benchmark files get cut and edited, and a KeyError names neither file nor place."""
    if not isinstance(value, dict) or not isinstance(value.get(name), kind):
        raise InputError(f'{path}: {where} has no "{name}" ({kind.__name__}) as SQuAD files do; restore the file')
    return value[name]
