"""Rows of JSON and of tables, whose fields are checked as they are taken."""

import difflib
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from data_pipeline.contract.benchmark_files.klue import read_rows
from data_pipeline.contract.benchmark_files.tables import read_table
from data_pipeline.contract.compression import without_compression
from data_pipeline.contract.errors import InputError
from pretrain.evaluate.tasks.examples import Example

SURROGATE = re.compile("[\ud800-\udfff]")
SHOWN_CHARS = 40
SHOWN_LABELS = 12


@dataclass(frozen=True)
class Row:
    """A row of a task's file.

    - `place`: `FILE:LINE`, or `FILE: row NUMBER (GUID)` where a row may span lines. Lines and rows count from 1.
    - `name`: the guid, else `FILE:LINE` without folders.
    - `above`: what the names of its fields begin with in errors.
    """

    place: str
    name: str
    fields: Mapping[str, Any]
    above: str = ""

    def wrong(self, field: str, problem: str) -> InputError:
        return InputError(f'{self.place}: field "{self.above}{field}" {problem}')

    def value(self, field: str) -> Any:
        if self.fields.get(field) is None:
            raise self.wrong(field, f"is missing (found: {', '.join(map(str, self.fields)) or 'none'})")
        return self.fields[field]

    def raw(self, field: str, *, may_be_empty: bool = False) -> str:
        """A text as it is, for characters to be counted in."""
        value = self.value(field)
        if not isinstance(value, str):
            raise self.wrong(field, f"must be text, found {shown(value)}; correct the row")
        if damage := damage_of(value):
            raise self.wrong(field, f"{damage}; correct the row")
        if not value.strip() and not may_be_empty:
            raise self.wrong(field, "is empty; fill it or remove the row")
        return value

    def text(self, field: str, *, may_be_empty: bool = False) -> str:
        """A text without blanks at its ends."""
        return self.raw(field, may_be_empty=may_be_empty).strip()

    def label(self, field: str, labels: Sequence[str] | None = None) -> str:
        """One of the labels, or any. JSON may write those that are whole numbers without quotation marks."""
        value = self.value(field)
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if labels is None:
            return replace(self, fields={field: value}).text(field)
        if not isinstance(value, str) or value.strip() not in labels:
            raise self.wrong(field, f"is {shown(value)}, {not_among(value, labels)}; correct the row")
        return value.strip()

    def number(self, field: str, least: float = -math.inf, most: float = math.inf) -> float:
        """A finite number within limits; text will do, since tables know nothing else."""
        value = self.value(field)
        try:
            found = math.nan if isinstance(value, bool) else float(value)
        except (TypeError, ValueError, OverflowError):
            found = math.nan
        if not math.isfinite(found):
            raise self.wrong(field, f"must be a number, found {shown(value)}; correct the row")
        if not least <= found <= most:
            raise self.wrong(field, f"must be {least:g} to {most:g}, found {shown(value)}; correct the row")
        return found

    def whole(self, field: str) -> int:
        """A whole number."""
        found = self.number(field)
        if found != int(found):
            raise self.wrong(field, f"must be a whole number, found {shown(self.value(field))}; correct the row")
        return int(found)

    def items(self, field: str) -> list[Any]:
        value = self.value(field)
        if not isinstance(value, list):
            raise self.wrong(field, f"must be a list, found {shown(value)}; correct the row")
        return value

    def inside(self, field: str) -> "Row":
        """The object that a field holds, as a row in the same place."""
        value = self.value(field)
        if not isinstance(value, dict):
            raise self.wrong(field, f"must be a JSON object, found {shown(value)}; correct the row")
        return replace(self, fields=value, above=f"{self.above}{field}.")


def json_rows(path: Path) -> Iterator[Row]:
    """The objects of a JSON list, or of a file with one to a line, by their guid where they have one."""
    for number, fields in enumerate(read_rows(path), start=1):
        guid = fields.get("guid")
        yield Row(
            f"{path}: row {number}{f' ({guid})' if guid else ''}", str(guid or f"{plain_name(path)}:{number}"), fields
        )


def table_rows(path: Path) -> Iterator[Row]:
    """The lines of a table of tab-separated columns below the line of their names; quotation marks are text."""
    for row in read_table(path):
        yield Row(f"{path}:{row.line}", f"{plain_name(path)}:{row.line}", row.values)


def plain_name(path: Path) -> str:
    """A file's name without its compression, by which its rows are called."""
    return without_compression(path.name)


def checked(path: Path, examples: Iterable[Example]) -> list[Example]:
    """The examples of a file. None at all, or two of one name, are an InputError."""
    found = list(examples)
    if not found:
        raise InputError(f"{path}: the file has no rows; restore it")
    name, count = Counter(example.name for example in found).most_common(1)[0]
    if count > 1:
        raise InputError(f'{path}: {count} rows have the name "{name}", and predictions are kept by name; rename them')
    return found


def damage_of(text: str) -> str:
    """What no tokenizer takes in a text, as the end of a sentence; empty where it is sound."""
    if "\0" in text:
        return "holds a NUL byte"
    return "holds half a character (a lone surrogate)" if SURROGATE.search(text) else ""


def not_among(value: Any, labels: Sequence[str]) -> str:
    """Why a value is no label: which there are, and the one that was probably meant."""
    # Stricter than usual: short tags are all alike.
    near = difflib.get_close_matches(str(value), labels, n=1, cutoff=0.77)
    listed = ", ".join(labels[:SHOWN_LABELS]) + (", ..." if len(labels) > SHOWN_LABELS else "")
    return f"not one of {listed}" + (f" (did you mean {near[0]}?)" if near else "")


def shown(value: Any) -> str:
    """A value as an error quotes it."""
    text = f'"{value}"' if isinstance(value, str) else repr(value)
    return text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}..."
