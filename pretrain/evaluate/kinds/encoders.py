"""The rows of a task's examples by its kind, and the answers from what a model says of the rows."""

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple, cast

from data_pipeline.contract.tokenizer import Tokenizer
from pretrain.evaluate.kinds.dependencies import DependencyRow, PredictedTree, encode_dependencies
from pretrain.evaluate.kinds.dialogues import DialogueRow, encode_dialogues, predicted_state
from pretrain.evaluate.kinds.relations import RelationRow, encode_relations
from pretrain.evaluate.kinds.spans import SpanRow, encode_spans, predicted_span
from pretrain.evaluate.kinds.tags import TagRow, encode_tags, predicted_tags
from pretrain.evaluate.tasks.examples import (
    DependencyExample,
    DialogueExample,
    Example,
    RelationExample,
    SpanExample,
    TagExample,
)
from pretrain.evaluate.tasks.klue import PARTS_OF_SPEECH
from pretrain.evaluate.tasks.task import Kind, Settings, Task


class EncodedExamples(NamedTuple):
    """The rows of some examples.

    - `rows`: in the order of the examples; one for each, but of "span" one or more.
    - `answers`: what a model says of each row to a prediction for each example, as `pretrain.evaluate.scoring.score` takes them. It says
      of a row of n tokens: of "tags" int [n]; of "span" float [n, 2]; of "relation" float [labels]; of "dependencies" int
      [w, 2], head and relation of each of w eojeols; of "dialogue" the arrays that `predicted_state` takes.
    """

    rows: Sequence[TagRow | SpanRow | RelationRow | DependencyRow | DialogueRow]
    answers: Callable[[Sequence[Any]], list[Any]]


Encoder = Callable[[Task, Tokenizer, Sequence[Any], Settings], EncodedExamples]


def _tags(task: Task, tokenizer: Tokenizer, examples: Sequence[TagExample], settings: Settings) -> EncodedExamples:
    rows = encode_tags(tokenizer, examples, task.labels, settings.max_length)

    def answers(said: Sequence[Any]) -> list[Any]:
        return [
            predicted_tags(tokenizer, *each, task.labels)
            for each in zip(examples, rows, said, strict=True)
        ]  # fmt: skip

    return EncodedExamples(rows, answers)


def _span(task: Task, tokenizer: Tokenizer, examples: Sequence[SpanExample], settings: Settings) -> EncodedExamples:
    rows = encode_spans(
        tokenizer,
        examples,
        max_length=settings.max_length,
        document_stride=settings.document_stride,
        max_query_length=settings.max_query_length,
    )

    def answers(said: Sequence[Any]) -> list[Any]:
        found = []
        for number, group in groupby(zip(rows, said, strict=True), key=lambda pair: pair[0].example):
            windows, scores = zip(*group, strict=True)
            best = predicted_span(
                examples[number].context,
                windows,
                scores,
                max_answer_length=settings.max_answer_length,
                may_be_none=not task.answerable,
            )
            found.append(best.text)
        return found

    return EncodedExamples(rows, answers)


def _relation(
    task: Task, tokenizer: Tokenizer, examples: Sequence[RelationExample], settings: Settings
) -> EncodedExamples:
    return EncodedExamples(encode_relations(tokenizer, examples, task.labels, settings.max_length), list)


def _dependencies(
    task: Task, tokenizer: Tokenizer, examples: Sequence[DependencyExample], settings: Settings
) -> EncodedExamples:
    rows = encode_dependencies(tokenizer, examples, task.labels, PARTS_OF_SPEECH, settings.max_length)
    return EncodedExamples(rows, lambda said: [PredictedTree(*each.T.tolist()) for each in said])


def _dialogue(
    task: Task, tokenizer: Tokenizer, examples: Sequence[DialogueExample], settings: Settings
) -> EncodedExamples:
    rows = encode_dialogues(tokenizer, examples, task.labels, settings.max_length)
    return EncodedExamples(rows, lambda said: [predicted_state(tokenizer, task.labels, *each) for each in said])


ENCODERS: Mapping[Kind, Encoder] = {
    "tags": _tags,
    "span": _span,
    "relation": _relation,
    "dependencies": _dependencies,
    "dialogue": _dialogue,
}
"""Of the kinds whose answers need more than a label of the row."""


def encode_examples(
    task: Task, tokenizer: Tokenizer, examples: Sequence[Example], settings: Settings
) -> EncodedExamples:
    """The rows of examples of a task whose kind is in ENCODERS. Raises InputError where settings leave no room for text."""
    return ENCODERS[task.kind](task, tokenizer, cast(Sequence[Any], examples), settings)
