"""Texts and pairs of texts with a class or a score."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

from pretrain.evaluate.tasks.examples import Example, TextExample
from pretrain.evaluate.tasks.readers.rows import Row, checked


def text_reader(
    rows: Callable[[Path], Iterable[Row]],
    first: str,
    second: str | None,
    label: Callable[[Row], str | float],
    empty: Literal["refused", "kept", "skipped"] = "refused",
) -> Callable[[Path], list[Example]]:
    """A reader of files whose rows have a text, or two, and a label.

    - `rows`: the rows of a file.
    - `first`, `second`: the fields of the texts.
    - `label`: the label of a row.
    - `empty`: what becomes of a row whose text is empty: it is "refused", "kept", or "skipped".
    """

    def examples(path: Path) -> Iterator[Example]:
        for row in rows(path):
            texts = [row.text(field, may_be_empty=empty != "refused") for field in (first, second) if field]
            if empty == "skipped" and not all(texts):
                continue
            yield TextExample(row.name, texts[0], texts[1] if second else None, label(row))

    return lambda path: checked(path, examples(path))


def one_of(field: str, labels: Sequence[str]) -> Callable[[Row], str]:
    """The label of a row: what a field holds."""
    return lambda row: row.label(field, labels)


def score(field: str, most: float) -> Callable[[Row], float]:
    """The score of a row, from 0 to `most`."""
    return lambda row: row.number(field, 0, most)
