"""A task of one's own: from its description to a Task."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.recipe_fields import limits
from data_pipeline.contract.recipe_file import load_recipe
from pretrain.evaluate.metrics.tags import are_entities
from pretrain.evaluate.tasks.description import (
    ClassColumns,
    ScoreColumns,
    SpanColumns,
    TagColumns,
    TaskDescription,
)
from pretrain.evaluate.tasks.examples import Example, GoldAnswer, SpanExample, TagExample, TextExample
from pretrain.evaluate.tasks.files import find_file
from pretrain.evaluate.tasks.klue import KLUE
from pretrain.evaluate.tasks.korean import KOREAN
from pretrain.evaluate.tasks.readers.passages import span_example
from pretrain.evaluate.tasks.readers.rows import Row, checked, damage_of, not_among, shown
from pretrain.evaluate.tasks.readers.tagged import check_tags, tag_example
from pretrain.evaluate.tasks.readers.user_rows import user_rows
from pretrain.evaluate.tasks.task import KindName, Split, Task

KINDS: dict[type, tuple[KindName, tuple[str, ...]]] = {
    ClassColumns: ("classes", ("accuracy", "macro_f1")),
    ScoreColumns: ("score", ("pearson", "spearman")),
    TagColumns: ("tags", ("entity_f1", "tag_accuracy")),
    SpanColumns: ("span", ("character_f1", "exact_match")),
}
"""The kind of a task by its columns, and the metrics that it may have, which are also those that it has by default."""

LABELLED = ("classes", "tags")
ENTITIES = "entity_f1"
OFFICIAL = frozenset(task.name for task in (*KLUE, *KOREAN))
"""Names that tasks of one's own cannot have."""


def user_task(path: Path, data: Path | None, flag: str = "--task", data_flag: str = "--data") -> Task:
    """The task that a description file declares.

    - `path`: a Python file that defines `task = TaskDescription(...)`.
    - `data`: the folder that its files are named from; None means DATA of `pretrain.evaluate.tasks.files`.
    - `flag`, `data_flag`: what an error calls the two.

    Labels that the description does not list are read from train. Raises InputError naming file, line and field.
    """
    if not path.is_file():
        raise InputError(
            f"{flag} {path}: no such file; give the description of a task, as in configs/tasks/emotions.py"
        )
    if path.stem in OFFICIAL:
        raise InputError(
            f"{flag} {path}: {path.stem} is the name of an official task, with whose scores this one's would be taken; rename the file"
        )
    _, description = load_recipe(str(path), "task", TaskDescription)
    _check(path, description)
    task = _task(path.stem, description, description.labels)
    if not task.labels and task.kind in LABELLED:
        task = _task(path.stem, description, labels_of(find_file(task, data, "train", data_flag), description))
    if ENTITIES in task.metrics and not are_entities(task.labels):
        if description.metrics:
            raise InputError(
                f"{path}: task.metrics has {ENTITIES}, but the tag "
                f"{next(label for label in task.labels if not are_entities((label,)))} is neither B-TYPE nor I-TYPE (nor TYPE-B, "
                "TYPE-I), nor O; remove the metric, or correct the tags"
            )
        task = replace(task, metrics=tuple(name for name in task.metrics if name != ENTITIES))
    select_by = task.settings.select_by
    if select_by not in (None, *task.metrics):
        raise InputError(
            f"{path}: task.settings.select_by is {shown(select_by)}, {not_among(select_by, task.metrics)}; correct it"
        )
    return task


def _task(name: str, description: TaskDescription, labels: tuple[str, ...]) -> Task:
    kind, metrics = KINDS[type(description.columns)]
    named: dict[Split, str | None] = {
        "train": description.train,
        "dev": description.dev,
        "test": description.test,
    }
    return Task(
        name=name,
        title=description.title,
        kind=kind,
        labels=labels,
        pair=kind == "span" or getattr(description.columns, "second", None) is not None,
        files={split: (file,) for split, file in named.items() if file},
        read=lambda file: read_user_file(file, description, labels),
        metrics=description.metrics or metrics,
        settings=description.settings,
        scored="dev" if description.dev and not description.test else "test",
        select="dev" if description.dev and description.test else "last",
        source=description.source,
        held_out=description.held_out,
    )


def _check(path: Path, description: TaskDescription) -> None:
    for name, value, limit in limits(description):
        if not limit.holds(value):
            raise InputError(f"{path}: task.{name} must be {limit.words}, found {value}")
    kind, metrics = KINDS[type(description.columns)]
    if description.held_out and (description.dev or description.test):
        raise InputError(f"{path}: task.held_out must be 0 where there is a dev or test file")
    if not (description.held_out or description.dev or description.test):
        raise InputError(f"{path}: one of task.test, task.dev and task.held_out must be given: scores are taken on it")
    if description.labels and kind not in LABELLED:
        raise InputError(f"{path}: task.labels must be empty for a {kind} task")
    if len(description.labels) == 1:
        raise InputError(f"{path}: task.labels has {shown(description.labels[0])} only; list two or more, or none")
    for name in description.metrics:
        if name not in metrics:
            raise InputError(f"{path}: task.metrics has {shown(name)}, {not_among(name, metrics)}; correct it")
    repeated = [label for label in description.labels if description.labels.count(label) > 1]
    if repeated:
        raise InputError(f'{path}: task.labels lists "{repeated[0]}" twice; remove one')


def labels_of(path: Path, description: TaskDescription) -> tuple[str, ...]:
    """The classes or tags that occur in a file, sorted; numbers by size. Fewer than two are an InputError."""
    found: set[str] = set()
    for example in read_user_file(path, description, ()):
        if isinstance(example, TagExample):
            found.update(example.tags)
        elif isinstance(example, TextExample):
            found.add(str(example.label))
    if len(found) < 2:
        raise InputError(f"{path}: only one label occurs, {found.pop()}; there is nothing to tell apart")
    return tuple(
        sorted(found, key=lambda label: (not label.isdecimal(), len(label) if label.isdecimal() else 0, label))
    )


def read_user_file(path: Path, description: TaskDescription, labels: Sequence[str]) -> list[Example]:
    """The examples of a file.

    - `labels`: those that may occur; empty takes any.
    """
    examples = checked(path, _examples(path, description, labels))
    if isinstance(description.columns, SpanColumns) and all(
        isinstance(each, SpanExample) and each.impossible for each in examples
    ):
        raise InputError(
            f'{path}: field "{description.columns.answer}" is empty or missing in all rows; name the right one'
        )
    return examples


def _examples(path: Path, description: TaskDescription, labels: Sequence[str]) -> Iterator[Example]:
    columns = description.columns
    for row in user_rows(path):
        name = row.label(columns.name) if columns.name else row.name
        if isinstance(columns, ClassColumns | ScoreColumns):
            second = row.text(columns.second) if columns.second else None
            label = (
                row.number(columns.score)
                if isinstance(columns, ScoreColumns)
                else row.label(columns.label, labels or None)
            )
            yield TextExample(name, row.text(columns.text), second, label)
        elif isinstance(columns, TagColumns):
            words, tags = _values(row, columns.words), _values(row, columns.tags)
            if labels:
                check_tags(row.place, tags, labels)
            yield tag_example(row.place, name, words, tags, separator=" ")
        else:
            answer = row.fields.get(columns.answer) or ""
            answers = [GoldAnswer(row.raw(columns.answer), row.whole(columns.start))] if answer else []
            context, question = row.raw(columns.context), row.text(columns.question)
            yield span_example(row.place, name, question, context, answers)


def _values(row: Row, field: str) -> tuple[str, ...]:
    """The words or tags of a sentence."""
    value = row.value(field)
    values = row.text(field).split() if isinstance(value, str) else row.items(field)
    for value in values:
        if not isinstance(value, str):
            raise row.wrong(field, f"must hold text only, found {value!r}; correct the row")
        if damage := damage_of(value):
            raise row.wrong(field, f"{damage}; correct the row")
    return tuple(values)
