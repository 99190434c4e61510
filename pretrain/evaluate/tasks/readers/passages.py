"""Questions about passages: KorQuAD 1.0 and KLUE-MRC."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from data_pipeline.contract.benchmark_files.squad import read_questions
from data_pipeline.contract.errors import InputError
from pretrain.evaluate.tasks.examples import Example, GoldAnswer, SpanExample
from pretrain.evaluate.tasks.readers.rows import checked, damage_of, shown


def read_korquad(path: Path) -> list[Example]:
    """The questions of a KorQuAD 1.0 file, each of which has an answer."""
    return checked(path, _questions(path, may_be_impossible=False))


def read_klue_mrc(path: Path) -> list[Example]:
    """The questions of a KLUE-MRC file; those of type 3 have no answer."""
    return checked(path, _questions(path, may_be_impossible=True))


def span_example(
    place: str, name: str, question: str, context: str, answers: Sequence[GoldAnswer], title: str = ""
) -> SpanExample:
    """A question about a passage, impossible where it has no answers.

    Empty texts, and answers that are not in the context where they should be, are an InputError.

    - `place`: what the error names.
    """
    for what, text in (("question", question), ("context", context)):
        if not text.strip():
            raise InputError(f'{place}: field "{what}" is empty; fill it or remove the row')
        if damage := damage_of(text):
            raise InputError(f'{place}: field "{what}" {damage}; correct the row')
    for text, start in answers:
        if not text.strip():
            raise InputError(f"{place}: an answer is empty; fill it or remove it")
        if not 0 <= start <= len(context) - len(text):
            raise InputError(
                f"{place}: the answer {shown(text)} at {start} is outside its context of {len(context)} characters; "
                "correct the row"
            )
        found = context[start : start + len(text)]
        if found != text:
            raise InputError(
                f"{place}: the context has {shown(found)} at {start}, not the answer {shown(text)}; correct the row"
            )
    return SpanExample(name, question, context, tuple(answers), not answers, title)


def _questions(path: Path, *, may_be_impossible: bool) -> Iterator[Example]:
    for item in read_questions(path):
        place = f"{path}: question {item.id}"
        if not item.answers and not may_be_impossible:
            raise InputError(f'{place}: field "answers" is empty; restore the file')
        answers = [GoldAnswer(answer.text, answer.start) for answer in item.answers]
        yield span_example(place, item.id, item.question, item.context, answers, item.title)
