"""Rows of tokens, as transformers' tokenizer of the same folder makes them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pretrain.evaluate.kinds.kind import EncodedRow
from pretrain.evaluate.kinds.texts import Text, rows_of
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
      eojeols [w, 5], of slots [j, 1 + t].
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

    @cached_property
    def _sizes(self) -> np.ndarray:
        """Tokens and labels of each row, int64 [rows, 2]."""
        return np.stack([self.lengths, [len(label) for label in self.labels]], axis=1)

    def most_labels(self, length: int) -> int:
        """The most labels of a row of at most `length` tokens, where rows have several."""
        tokens, labels = self._sizes.T
        return int(labels[tokens <= length].max(initial=0))

    def first(self, count: int) -> "LabelledRows":
        """The first rows, for curves over the size of the data."""
        return LabelledRows(self.names[:count], self.tokens[:count], self.token_types[:count], self.labels[:count])


def longest_row(subject: Subject, max_length: int) -> int:
    """The most tokens of a row: `max_length`, or fewer where the model reads no more."""
    longest = subject.config.longest_row()
    return min(max_length, longest.tokens) if longest else max_length


def model_rows(subject: Subject, rows: Sequence[EncodedRow]) -> TokenRows:
    """Rows as a model takes them: one of a single type takes every token as of that."""
    types = (subject.config.token_types() or ("", 1))[1]
    return TokenRows(tuple(row.tokens for row in rows), tuple(row.token_types * (types > 1) for row in rows))


def token_rows(subject: Subject, texts: Sequence[Text], max_length: int) -> TokenRows:
    """Texts and pairs of texts as rows of a model, cut at its longest row (`rows_of`)."""
    return model_rows(subject, rows_of(subject.tokenizer, texts, longest_row(subject, max_length)))


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
