"""What a task is: where its files are, how they are read, how it is fine-tuned by default, and by what it is scored."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from data_pipeline.contract.recipe_fields import (
    ABOVE_ZERO,
    AT_LEAST_ONE,
    AT_LEAST_ZERO,
    UINT32,
    ZERO_TO_BELOW_ONE,
    number,
)
from pretrain.evaluate.tasks.examples import Example

KindName = Literal["classes", "score", "tags", "span", "relation", "dependencies", "dialogue"]
"""What is predicted, each for another type of Example:

- "classes" and "score" of a TextExample; "relation" of a RelationExample; "dependencies" of a DependencyExample,
- "tags" for the units of a TagExample,
- "span" of a SpanExample's context,
- "dialogue": the state of a DialogueExample.
"""

Split = Literal["train", "dev", "test"]

Select = Literal["last", "dev", "best_on_scored"]
"""The checkpoint whose score a suite prints: the last one, the best on dev, or the best on the split that is scored.

The last way is optimistic; where a suite has it, the score of the last checkpoint belongs beside it.
"""


@dataclass(frozen=True)
class Settings:
    """How a task is fine-tuned.

    - `max_length`: the longest row in tokens, special tokens included.
    - `warmup_share`: of all steps.
    - `weight_decay`: of matrices and tables, never of biases and LayerNorms.
    - `clip`: the largest norm of a gradient.
    - `dropout`: before the classifier; None takes the model's own.
    - `select_by`: the metric that tells the best checkpoint; None takes the task's first.
    - `document_stride`, `max_query_length`, `max_answer_length`: for "span", in tokens: how far one window over the
      context starts from the next, and where questions and answers are cut.
    - `seed`: of the head's start, the order of rows and dropout; further seeds count from it.
    """

    epochs: float = number(5.0, ABOVE_ZERO)
    batch_size: int = number(32, AT_LEAST_ONE)
    learning_rate: float = number(5e-5, ABOVE_ZERO)
    max_length: int = number(128, AT_LEAST_ONE)
    warmup_share: float = number(0.0, ZERO_TO_BELOW_ONE)
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    weight_decay: float = number(0.0, AT_LEAST_ZERO)
    clip: float = number(1.0, ABOVE_ZERO)
    adam_eps: float = number(1e-8, ABOVE_ZERO)
    dropout: float | None = number(None, ZERO_TO_BELOW_ONE)
    select_by: str | None = None
    document_stride: int = number(128, AT_LEAST_ONE)
    max_query_length: int = number(64, AT_LEAST_ONE)
    max_answer_length: int = number(30, AT_LEAST_ONE)
    seed: int = number(42, UINT32)


@dataclass(frozen=True)
class Task:
    """A task of a benchmark, or a user's own.

    - `name`: `klue_nli`; `title`: `KLUE-NLI`.
    - `labels`: of classes, tags or relations, or the slots of a dialogue, in the official order: ids are positions. Empty
      for "score" and "span".
    - `pair`: whether examples have a second text.
    - `folders`: the names of its folder in collections of benchmarks.
    - `files`: by split the official file names, the newest version first; a split without public labels is absent.
    - `rows`: by split how many rows the official file has, where that is known.
    - `read`: reads one file. Raises InputError naming file, row and field.
    - `metrics`: the first one is the headline.
    - `scored`: the split whose score is reported; `select`: by which checkpoint.
    - `held_out`: the share of train that is scored instead, where there is no other file.
    - `answerable`: of "span": every question has an answer, so that none is never predicted.
    - `source`: where the files come from, or "".
    - `url`: the folder on the web that has the files under their names, or "".
    """

    name: str
    title: str
    kind: KindName
    labels: tuple[str, ...]
    pair: bool
    files: Mapping[Split, tuple[str, ...]]
    read: Callable[[Path], list[Example]]
    metrics: tuple[str, ...]
    settings: Settings
    scored: Split
    select: Select
    source: str
    url: str = ""
    folders: tuple[str, ...] = ()
    rows: Mapping[Split, int] = field(default_factory=dict)
    held_out: float = 0.0
    answerable: bool = False
