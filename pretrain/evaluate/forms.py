"""What a task of each kind is to a model: its head, its rows, and what its metrics ask of the predictions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from data_pipeline.contract.errors import InputError
from pretrain.evaluate.encoding import LabelledRows, encode_texts
from pretrain.evaluate.tasks.examples import Example, TextExample
from pretrain.evaluate.tasks.task import Kind, Settings, Task
from pretrain.models.task_heads import TaskHead
from pretrain.subject import Subject


@dataclass(frozen=True)
class Form:
    """How tasks of a kind are fine-tuned.

    - `head`: of the model.
    - `encode`: (model, examples, head, settings) -> rows, one for each example and in their order.
    - `inputs`: (predictions by row as in `pretrain.evaluate.tuner.Epoch`, rows, task) -> what its metrics read, by the names in
      `pretrain.evaluate.metrics`.
    """

    head: Callable[[Task, Settings], TaskHead]
    encode: Callable[[Subject, Sequence[Example], TaskHead, Settings], LabelledRows]
    inputs: Callable[[Sequence[np.ndarray], LabelledRows, Task], dict[str, Any]]


def form_of(task: Task) -> Form:
    """The form of a task. Raises InputError for a kind that is not fine-tuned."""
    if task.kind not in FORMS:
        raise InputError(
            f"--task {task.name}: {task.title} is a task of the kind {task.kind}, which is not fine-tuned yet; "
            f"choose one of the kinds {', '.join(FORMS)}"
        )
    return FORMS[task.kind]


def _texts(subject: Subject, examples: Sequence[Example], head: TaskHead, settings: Settings) -> LabelledRows:
    return encode_texts(subject, cast(Sequence[TextExample], examples), head, settings.max_length)


def _classes(predictions: Sequence[np.ndarray], rows: LabelledRows, task: Task) -> dict[str, Any]:
    scores = np.stack(predictions).astype(np.float64)
    exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
    gold = np.array(rows.labels)
    return {
        "preds": scores.argmax(axis=1),
        "probs": exponentials / exponentials.sum(axis=1, keepdims=True),
        "labels": gold,
        "targets": gold,
        "label_list": list(task.labels),
    }


def _scores(predictions: Sequence[np.ndarray], rows: LabelledRows, task: Task) -> dict[str, Any]:
    return {"preds": np.concatenate(predictions), "labels": np.array(rows.labels)}


FORMS: Mapping[Kind, Form] = {
    "classes": Form(lambda task, settings: TaskHead("classifier", task.labels, settings.dropout), _texts, _classes),
    "score": Form(lambda task, settings: TaskHead("classifier", (), settings.dropout), _texts, _scores),
}
