"""What a task of each kind is to a model: its head, its rows, and what the answers to them are worth."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from data_pipeline.contract.errors import InputError
from pretrain.evaluate.encoding import LabelledRows, encode_texts, longest_row
from pretrain.evaluate.kinds.dialogues import DialogueRow
from pretrain.evaluate.kinds.encoders import encode_examples
from pretrain.evaluate.kinds.spans import SpanRow
from pretrain.evaluate.scoring import score
from pretrain.evaluate.tasks.examples import Example, TextExample
from pretrain.evaluate.tasks.task import Kind, Settings, Task
from pretrain.models.task_heads import TaskHead, TaskKind
from pretrain.subject import Subject


@dataclass(frozen=True)
class EncodedSplit:
    """The examples of a split as rows of a model.

    - `rows`: one for each example, or several where they are windows.
    - `answers`: (what the model says of each row, as in `pretrain.evaluate.tuner.Epoch`) -> a prediction for each example, as
      `pretrain.evaluate.scoring.score` takes them.
    """

    task: Task
    examples: Sequence[Example]
    rows: LabelledRows
    answers: Callable[[Sequence[np.ndarray]], list[Any]]

    def score(self, said: Sequence[np.ndarray]) -> dict[str, float]:
        """The task's metrics of what a model says of the rows."""
        return score(self.task, self.examples, self.answers(said))


HEADS: Mapping[Kind, TaskKind] = {
    "classes": "classifier",
    "score": "classifier",
    "relation": "classifier",
    "tags": "tags",
    "span": "span",
    "dependencies": "dependencies",
}
"""The kind of head that a kind of task is fine-tuned with."""


def head_of(task: Task, settings: Settings) -> TaskHead:
    """The head of a task. Raises InputError for a kind that is not fine-tuned."""
    if task.kind not in HEADS:
        raise InputError(
            f"--task {task.name}: {task.title} is a task of the kind {task.kind}, which is not fine-tuned yet; "
            f"choose one of the kinds {', '.join(HEADS)}"
        )
    return TaskHead(HEADS[task.kind], task.labels, settings.dropout)


def encode_split(subject: Subject, task: Task, examples: Sequence[Example], settings: Settings) -> EncodedSplit:
    """The examples as rows of a model, cut at its longest row. Raises InputError where no room is left for text."""
    if task.kind in ("classes", "score"):
        texts = cast(Sequence[TextExample], examples)
        rows = encode_texts(subject, texts, head_of(task, settings), settings.max_length)
        return EncodedSplit(task, examples, rows, list)
    settings = replace(settings, max_length=longest_row(subject, settings.max_length))
    found = encode_examples(task, subject.tokenizer, examples, settings)
    types = (subject.config.token_types() or ("", 1))[1]
    labelled = [row for row in found.rows if not isinstance(row, DialogueRow)]
    owners = [row.example if isinstance(row, SpanRow) else number for number, row in enumerate(labelled)]
    encoded = LabelledRows(
        tuple(examples[owner].name for owner in owners),
        tuple(row.tokens for row in labelled),
        # A model of one type takes every token as of that.
        tuple(row.token_types * (types > 1) for row in labelled),
        tuple(row.label for row in labelled),
    )
    return EncodedSplit(task, examples, encoded, found.answers)
