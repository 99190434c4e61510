"""What a task is to a model: its head, its rows, and what the answers to them are worth."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pretrain.evaluate.encoding import LabelledRows, longest_row, model_rows
from pretrain.evaluate.kinds.registry import KINDS
from pretrain.evaluate.scoring import score
from pretrain.evaluate.tasks.examples import Example
from pretrain.evaluate.tasks.task import Settings, Task
from pretrain.models.task_heads import TaskHead
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


def head_of(task: Task, settings: Settings) -> TaskHead:
    """The head of a task."""
    return TaskHead(KINDS[task.kind].head, task.labels, settings.dropout)


def encode_split(subject: Subject, task: Task, examples: Sequence[Example], settings: Settings) -> EncodedSplit:
    """The examples as rows of a model, cut at its longest row. Raises InputError where no room is left for text."""
    settings = replace(settings, max_length=longest_row(subject, settings.max_length))
    found = KINDS[task.kind].encode(task, subject.tokenizer, examples, settings)
    rows = model_rows(subject, found.rows)
    encoded = LabelledRows(
        tuple(examples[owner].name for owner in found.owners),
        rows.tokens,
        rows.token_types,
        tuple(row.label for row in found.rows),
    )
    return EncodedSplit(task, examples, encoded, found.answers)
