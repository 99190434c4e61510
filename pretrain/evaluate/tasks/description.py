"""A task of one's own, as a description file declares it: `task = TaskDescription(...)`. Plain data, no JAX.

configs/tasks/emotions.py is an example.
"""

from dataclasses import dataclass, field

from data_pipeline.contract.recipe_fields import ZERO_TO_BELOW_ONE, number
from pretrain.evaluate.tasks.task import Settings


@dataclass(frozen=True)
class ClassColumns:
    """One class for a text or a pair of texts.

    - `second`: the second text of pairs.
    - `name`: what rows are called, each differently; None takes file and line.
    """

    text: str = "text"
    second: str | None = None
    label: str = "label"
    name: str | None = None


@dataclass(frozen=True)
class ScoreColumns:
    """A number for a text or a pair of texts; otherwise as ClassColumns."""

    text: str = "text"
    second: str | None = None
    score: str = "score"
    name: str | None = None


@dataclass(frozen=True)
class TagColumns:
    """A tag for each word: two columns with as many values, separated by blanks; in JSON Lines they may be lists."""

    words: str = "words"
    tags: str = "tags"
    name: str | None = None


@dataclass(frozen=True)
class SpanColumns:
    """An answer to be found in a context.

    - `answer`: its text, as it is written in the context; empty or absent where the context holds none.
    - `start`: where it starts there, in characters from 0.
    """

    question: str = "question"
    context: str = "context"
    answer: str = "answer"
    start: str = "start"
    name: str | None = None


@dataclass(frozen=True)
class TaskDescription:
    """A task of one's own.

    - `title`: what pages call it.
    - `columns`: the columns of CSV and TSV, or fields of JSON Lines, and by that the kind of task.
    - `train`, `dev`, `test`: files below --data: .jsonl, .csv or .tsv, which may be compressed. Fields of CSV may be quoted
      and span lines; in TSV quotation marks are text.
    - `held_out`: the share of train that is scored where there is neither dev nor test, in whole groups of rows with one text.
    - `labels`: of classes or tags; ids are positions. Empty: those that occur in train, sorted.
    - `metrics`: the first is the headline; empty: the customary ones of this kind of task.
    - `source`: where to get the files.

    Test is scored, else dev. With both, the checkpoint that is best on dev is taken, otherwise the last.
    """

    title: str
    columns: ClassColumns | ScoreColumns | TagColumns | SpanColumns
    train: str
    dev: str | None = None
    test: str | None = None
    held_out: float = number(0.0, ZERO_TO_BELOW_ONE)
    labels: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    settings: Settings = field(default_factory=Settings)
    source: str = ""
