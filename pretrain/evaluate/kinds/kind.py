"""What a kind of task is. No JAX here."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from data_pipeline.contract.tokenizer import Tokenizer
from pretrain.evaluate.kinds.pieces import Ids
from pretrain.evaluate.tasks.task import Settings, Task
from pretrain.models.task_heads import TaskKind

Inputs = dict[str, Any]
"""What metrics read, by the names in `pretrain.evaluate.metrics.METRICS`."""


class EncodedRow(Protocol):
    """A row of n tokens: `tokens`, `token_types`, int32 [n], and its `label`, as its head takes it."""

    @property
    def tokens(self) -> Ids: ...
    @property
    def token_types(self) -> Ids: ...
    @property
    def label(self) -> np.ndarray: ...


class EncodedExamples(NamedTuple):
    """The rows of some examples.

    - `rows`: in the order of the examples. - `owners`: of each row the number of its example.
    - `answers`: what a model says of each row to a prediction for each example.
    """

    rows: Sequence[EncodedRow]
    owners: Sequence[int]
    answers: Callable[[Sequence[Any]], list[Any]]


@dataclass(frozen=True)
class Kind:
    """A kind of task.

    - `encode`: (task, tokenizer, examples, settings) -> rows of at most `settings.max_length` tokens. Raises InputError where no room is
      left for text.
    - `inputs`: (task, examples, a prediction for each) -> what any metric of the kind reads.
    - `head`: what a model is fine-tuned with.
    - `of_texts`: whether examples are texts or pairs of texts with one label, so that noise may change them and probes read them.
    """

    encode: Callable[[Task, Tokenizer, Sequence[Any], Settings], EncodedExamples]
    inputs: Callable[[Task, Sequence[Any], Sequence[Any]], Inputs]
    head: TaskKind
    of_texts: bool = False
