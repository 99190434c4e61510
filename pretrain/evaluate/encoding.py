"""Examples as rows of tokens, as transformers' tokenizer of the same folder makes them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from data_pipeline.contract.errors import InputError
from pretrain.evaluate.tasks.examples import TextExample
from pretrain.models.task_heads import TaskHead
from pretrain.subject import Subject


@dataclass(frozen=True)
class LabelledRows:
    """Rows of different lengths with their labels.

    - `names`: of the examples.
    - `tokens`, `token_types`: int32 [n] for each row.
    - `labels`: of each row, as `pretrain.objectives.fine_tuning.tuning.FineTuning` takes them: arrays [], of tags [n], of spans [2].
    """

    names: tuple[str, ...]
    tokens: tuple[np.ndarray, ...]
    token_types: tuple[np.ndarray, ...]
    labels: tuple[np.ndarray, ...]

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each row, int64 [rows]."""
        return np.array([len(row) for row in self.tokens])

    def first(self, count: int) -> "LabelledRows":
        """The first rows, for curves over the size of the data."""
        return LabelledRows(self.names[:count], self.tokens[:count], self.token_types[:count], self.labels[:count])


def longest_row(subject: Subject, max_length: int) -> int:
    """The most tokens of a row: `max_length`, or fewer where the model reads no more."""
    longest = subject.config.longest_row()
    return min(max_length, longest.tokens) if longest else max_length


def encode_texts(subject: Subject, examples: Sequence[TextExample], head: TaskHead, max_length: int) -> LabelledRows:
    """Texts and pairs of texts with the special tokens of the model's tokenizer.

    - `head`: a classifier. - `max_length`: most tokens of a row; the longer text of a pair is cut first.

    Raises InputError for pairs where the tokenizer leaves a pair no room.
    """
    backend, types = subject.tokenizer.backend, (subject.config.token_types() or ("", 1))[1]
    longest = longest_row(subject, max_length)
    if longest <= backend.num_special_tokens_to_add(any(example.second is not None for example in examples)):
        raise InputError(
            f"max_length {longest}: leaves no room for text beside the special tokens; set it to 8 or more"
        )
    texts = [example.first if example.second is None else (example.first, example.second) for example in examples]
    backend.enable_truncation(longest, strategy="longest_first")
    try:
        encoded = backend.encode_batch(texts)
    finally:
        backend.no_truncation()
    ids = {label: index for index, label in enumerate(head.labels)}
    labels = (ids[str(example.label)] if ids else float(example.label) for example in examples)
    kind = np.int32 if ids else np.float32
    return LabelledRows(
        tuple(example.name for example in examples),
        tuple(np.array(row.ids, np.int32) for row in encoded),
        # A model of one type takes every token as of that.
        tuple(np.array(row.type_ids, np.int32) * (types > 1) for row in encoded),
        tuple(np.array(label, kind) for label in labels),
    )
