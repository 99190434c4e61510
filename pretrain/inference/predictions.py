"""What a fine-tuned model says of texts."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

import jax
import numpy as np

from data_pipeline.contract.errors import InputError
from pretrain.evaluate.kinds.texts import Text
from pretrain.inference.forward import outputs_of
from pretrain.inference.running import Running
from pretrain.models.core.layers import Parameters
from pretrain.models.protocols import Compute, Inputs, Model, TaskModel
from pretrain.models.task_heads import CLASSES, TaskHead, TaskKind
from pretrain.subject import Subject


def predict(subject: Subject, texts: Sequence[Text], running: Running) -> Iterator[dict[str, Any]]:
    """What a fine-tuned model says of each text or pair, ready for JSON: `text` (and `second`), and of a model of

    - classes: `label`, its `probability`, and the `probabilities` of all labels;
    - one score: `score`.

    Raises InputError for a model without such a head.
    """
    head = subject.task
    if head is None:
        raise InputError(
            f"{subject.origin}: has no head of a task; fine-tune it with `python -m pretrain evaluate MODEL --task TASK --export` and "
            "give the evaluation/TASK/model that this writes"
        )
    if head.kind not in ANSWERS:
        raise InputError(
            f"{subject.origin}: is a {subject.family.title}{CLASSES[head.kind]}; predict takes {', '.join(ANSWERS)} only, use "
            "transformers for it"
        )

    def make(compute: Compute) -> Model:
        return subject.with_task(head, compute)

    for text, said in zip(texts, outputs_of(subject, make, _logits, texts, running), strict=True):
        shown = {"text": text[0], "second": text[1]} if isinstance(text, tuple) else {"text": text}
        yield {**shown, **ANSWERS[head.kind](head, said)}


def _logits(model: Model, params: Parameters, inputs: Inputs) -> jax.Array:
    tuned = cast(TaskModel, model)
    return tuned.task_logits(params, tuned.encode(params, inputs), inputs)


def _class_or_score(head: TaskHead, said: np.ndarray) -> dict[str, Any]:
    """- `said`: float32 [labels], or [1] of a score."""
    if not head.labels:
        return {"score": float(said[0])}
    exponentials = np.exp(said.astype(np.float64) - said.max())
    probabilities = dict(zip(head.labels, (exponentials / exponentials.sum()).tolist(), strict=True))
    label = head.labels[int(said.argmax())]
    return {"label": label, "probability": probabilities[label], "probabilities": probabilities}


ANSWERS: Mapping[TaskKind, Callable[[TaskHead, np.ndarray], dict[str, Any]]] = {"classifier": _class_or_score}
"""By kind of head: (head, what it says of a row) -> the answer's fields."""
