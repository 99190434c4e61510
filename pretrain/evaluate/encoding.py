"""Examples as rows of tokens, as transformers' tokenizer of the same folder makes them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from data_pipeline.contract.errors import InputError
from pretrain.evaluate.tasks.examples import TextExample
from pretrain.models.task_heads import TaskHead
from pretrain.subject import Subject


@dataclass(frozen=True)
class TokenRows:
    """Rows of different lengths: `tokens` and `token_types`, int32 [n] for each."""

    tokens: tuple[np.ndarray, ...]
    token_types: tuple[np.ndarray, ...]


@dataclass(frozen=True)
class LabelledRows:
    """Rows of different lengths with their labels.

    - `names`: of the examples.
    - `tokens`, `token_types`: int32 [n] for each row.
    - `labels`: of each row, as `pretrain.objectives.fine_tuning.tuning.FineTuning` takes them: arrays [], of tags [n], of spans [2], of
      eojeols [w, 5].
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

    - `head`: a classifier. - `max_length`: as for `token_rows`, which also says what is refused.
    """
    texts = [example.first if example.second is None else (example.first, example.second) for example in examples]
    rows = token_rows(subject, texts, max_length)
    ids = {label: index for index, label in enumerate(head.labels)}
    labels = (ids[str(example.label)] if ids else float(example.label) for example in examples)
    kind = np.int32 if ids else np.float32
    return LabelledRows(
        tuple(example.name for example in examples),
        rows.tokens,
        rows.token_types,
        tuple(np.array(label, kind) for label in labels),
    )


def token_rows(subject: Subject, texts: Sequence[str | tuple[str, str]], max_length: int) -> TokenRows:
    """Texts and pairs of texts with the special tokens of the model's tokenizer.

    - `max_length`: most tokens of a row; the longer text of a pair is cut first.

    Raises InputError where the special tokens leave no room.
    """
    backend, types = subject.tokenizer.backend, (subject.config.token_types() or ("", 1))[1]
    longest = longest_row(subject, max_length)
    if longest <= backend.num_special_tokens_to_add(any(isinstance(text, tuple) for text in texts)):
        raise InputError(
            f"max_length {longest}: leaves no room for text beside the special tokens; set it to 8 or more"
        )
    backend.enable_truncation(longest, strategy="longest_first")
    try:
        encoded = backend.encode_batch(list(texts))
    finally:
        backend.no_truncation()
    return TokenRows(
        tuple(np.array(row.ids, np.int32) for row in encoded),
        # A model of one type takes every token as of that.
        tuple(np.array(row.type_ids, np.int32) * (types > 1) for row in encoded),
    )


def padded(
    rows: TokenRows | LabelledRows, numbers: Sequence[int | None], length: int, pad: int
) -> dict[str, np.ndarray]:
    """Rows as arrays: `tokens`, `token_types`, int32 [n, length], and `lengths`, int32 [n].

    - `numbers`: of the rows; None is a row without tokens, which fills up a batch. - `pad`: id of the padding.
    """
    found = {
        "tokens": np.full((len(numbers), length), pad, np.int32),
        "token_types": np.zeros((len(numbers), length), np.int32),
        "lengths": np.zeros(len(numbers), np.int32),
    }
    for place, number in enumerate(numbers):
        if number is not None:
            own = len(rows.tokens[number])
            found["tokens"][place, :own] = rows.tokens[number]
            found["token_types"][place, :own] = rows.token_types[number]
            found["lengths"][place] = own
    return found
