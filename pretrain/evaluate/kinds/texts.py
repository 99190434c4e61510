"""Texts and pairs of texts with one class or one score. No JAX here."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.tokenizer import Tokenizer
from pretrain.evaluate.kinds.kind import EncodedExamples, Inputs, Kind
from pretrain.evaluate.kinds.pieces import MAX_LENGTH, Ids
from pretrain.evaluate.tasks.examples import RelationExample, TextExample
from pretrain.evaluate.tasks.task import Settings, Task

Text = str | tuple[str, str]
"""A text, or a pair of texts."""


@dataclass(frozen=True)
class TextRow:
    """A text or a pair: `tokens`, `token_types`, int32 [n]; `label`, int32 [] of a class or float32 [] of a score."""

    tokens: Ids
    token_types: Ids
    label: np.ndarray = field(default_factory=lambda: np.array(0, np.int32))


def rows_of(tokenizer: Tokenizer, texts: Sequence[Text], max_length: int) -> list[TextRow]:
    """Texts and pairs of texts, without labels, with the special tokens of the tokenizer's template.

    - `max_length`: most tokens of a row; the longer text of a pair is cut first.

    Raises InputError where the special tokens leave no room.
    """
    backend = tokenizer.backend
    if max_length <= backend.num_special_tokens_to_add(any(isinstance(text, tuple) for text in texts)):
        raise InputError(
            f"{MAX_LENGTH} {max_length}: leaves no room for text beside the special tokens; set it to 8 or more"
        )
    backend.enable_truncation(max_length, strategy="longest_first")
    try:
        encodings = backend.encode_batch(list(texts))
    finally:
        backend.no_truncation()
    return [TextRow(np.array(row.ids, np.int32), np.array(row.type_ids, np.int32)) for row in encodings]


def encode_texts(
    tokenizer: Tokenizer, examples: Sequence[TextExample], labels: Sequence[str], max_length: int
) -> list[TextRow]:
    """A row for each example.

    - `labels`: names of the classes, ids are positions; empty for scores.
    - `max_length`: as for `rows_of`, which also says what is refused.
    """
    texts = [example.first if example.second is None else (example.first, example.second) for example in examples]
    ids = {name: number for number, name in enumerate(labels)}
    gold = [
        np.array(ids[str(example.label)], np.int32) if ids else np.array(float(example.label), np.float32)
        for example in examples
    ]
    rows = rows_of(tokenizer, texts, max_length)
    return [replace(row, label=label) for row, label in zip(rows, gold, strict=True)]


def _encode(task: Task, tokenizer: Tokenizer, examples: Sequence[TextExample], settings: Settings) -> EncodedExamples:
    rows = encode_texts(tokenizer, examples, task.labels, settings.max_length)
    return EncodedExamples(rows, range(len(rows)), list)


def class_inputs(task: Task, examples: Sequence[TextExample | RelationExample], predictions: Sequence[Any]) -> Inputs:
    """What metrics of classes read.

    - `predictions`: of each example float [labels], what goes into a softmax.
    """
    ids = {label: number for number, label in enumerate(task.labels)}
    gold = [ids[str(example.label)] for example in examples]
    scores = np.asarray(predictions, np.float64).reshape(len(gold), len(ids))
    exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
    return {
        "preds": scores.argmax(axis=1),
        "probs": exponentials / exponentials.sum(axis=1, keepdims=True),
        "labels": np.array(gold, np.int64),
        "targets": np.array(gold, np.int64),
        "label_list": list(task.labels),
    }


def _score_inputs(task: Task, examples: Sequence[TextExample], predictions: Sequence[Any]) -> Inputs:
    """- `predictions`: of each example a number."""
    labels = [float(example.label) for example in examples]
    return {"preds": np.asarray(predictions, np.float64).reshape(-1), "labels": np.array(labels)}


CLASSES = Kind(_encode, class_inputs, "classifier", of_texts=True)
SCORE = Kind(_encode, _score_inputs, "classifier", of_texts=True)
