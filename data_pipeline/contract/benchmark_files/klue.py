"""KLUE's JSON rows (topics, STS, NLI, relations, dialogues), as a list or one to a line, and rows with a "text" field."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from data_pipeline.contract.benchmark_files.text import (
    BenchmarkText,
    Kind,
    benchmark_name,
    json_value,
    read_json_file,
    read_lines,
)
from data_pipeline.contract.errors import InputError

# Fields that tell the format of a row, and which of them a model reads, as what. The first format whose fields are
# all there counts.
ROWS: dict[str, tuple[frozenset[str], dict[str, Kind]]] = {
    "KLUE-NLI": (frozenset({"premise", "hypothesis"}), {"premise": "sentence", "hypothesis": "sentence"}),
    "KLUE-STS": (frozenset({"sentence1", "sentence2"}), {"sentence1": "sentence", "sentence2": "sentence"}),
    "KLUE-RE": (frozenset({"sentence", "subject_entity", "object_entity"}), {"sentence": "sentence"}),
    "KLUE-TC (YNAT)": (frozenset({"guid", "title"}), {"title": "title"}),
    "WoS": (frozenset({"dialogue"}), {}),
    'rows with a "text" field': (frozenset({"text"}), {"text": "sentence"}),
}

MIN_UTTERANCE_CHARS = 12
"""Shorter utterances of a dialogue are no benchmark text: 네, 감사합니다."""


def row_format(row: Any) -> str | None:
    """The name in ROWS of a JSON value's format; None for no row of ours."""
    if not isinstance(row, Mapping):
        return None
    return next((name for name, (fields, _) in ROWS.items() if fields <= row.keys()), None)


def read_rows(path: str | Path) -> Iterator[dict[str, Any]]:
    """The rows of a JSON list or of a JSON Lines file, in the file's order. Rows that are no objects are an InputError."""
    path = Path(path)
    first = next((line for _, line in read_lines(path) if line.strip()), "")
    rows = _line_rows(path) if first.lstrip().startswith("{") else _list_rows(path)
    for where, row in rows:
        if not isinstance(row, dict):
            raise InputError(f"{path}: {where} is no JSON object; restore the file")
        yield row


def _line_rows(path: Path) -> Iterator[tuple[str, Any]]:
    for number, line in read_lines(path):
        if line.strip():
            yield f"line {number}", json_value(line, path, "restore the line", number)


def _list_rows(path: Path) -> Iterator[tuple[str, Any]]:
    rows = read_json_file(path)
    if not isinstance(rows, list):
        raise InputError(f"{path}: not a list of rows but {type(rows).__name__}; restore the file")
    for number, row in enumerate(rows):
        yield f"row {number}", row


def row_texts(path: Path) -> Iterator[BenchmarkText]:
    """The texts of a file of JSON rows. Located by `guid` or `id`, else by the row's number from 1."""
    benchmark = benchmark_name(path)
    for number, row in enumerate(read_rows(path), start=1):
        name = row_format(row)
        location = str(row.get("guid") or row.get("id") or f"{path.name}:{number}")
        if name is None:
            raise InputError(f"{path}: row {number} has no text field (found: {', '.join(row)}); restore the file")
        for field, kind in ROWS[name][1].items():
            text = row[field]
            if not isinstance(text, str):
                raise InputError(f'{path}: field "{field}" of row {number} is no text; restore the file')
            if text:
                yield BenchmarkText(text, benchmark, location, kind)
        if name == "WoS":
            for utterance in _utterances(path, number, row["dialogue"]):
                if len(utterance) >= MIN_UTTERANCE_CHARS:
                    yield BenchmarkText(utterance, benchmark, location, "utterance")


def _utterances(path: Path, number: int, dialogue: Any) -> Iterator[str]:
    for turn in dialogue if isinstance(dialogue, list) else [dialogue]:
        if not isinstance(turn, dict) or not isinstance(turn.get("text"), str):
            raise InputError(f'{path}: the dialogue of row {number} has a turn without a "text"; restore the file')
        yield turn["text"]
