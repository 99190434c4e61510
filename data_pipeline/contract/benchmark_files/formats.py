"""Benchmark files: which format a file has, told by its content, and the text in it."""

import json
import logging
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from data_pipeline.contract.benchmark_files.klue import ROWS, row_format, row_texts
from data_pipeline.contract.benchmark_files.plain import plain_texts
from data_pipeline.contract.benchmark_files.squad import squad_texts
from data_pipeline.contract.benchmark_files.tables import TABLES, table_format, table_texts
from data_pipeline.contract.benchmark_files.tagged import TAGGED, tagged_format, tagged_texts
from data_pipeline.contract.benchmark_files.text import BenchmarkText, read_json_file, read_lines
from data_pipeline.contract.compression import ending_of, without_compression
from data_pipeline.contract.errors import InputError

logger = logging.getLogger("data_pipeline")

WHERE = "--benchmark or --data.decontamination.benchmarks"
HEAD_LINES = 100
"""Lines that tell the format: KLUE's tagged files begin with five lines of notes, CoNLL-U with comments."""

KNOWN_FORMATS = (*TABLES, "KorQuAD and KLUE-MRC (SQuAD)", *ROWS, *TAGGED, "plain text (.txt), one sentence a line")


def benchmark_paths(paths: Iterable[str | Path]) -> list[Path]:
    """The files that the paths name: a file is itself, a folder all files below it, hidden ones left out; sorted.

    A path that does not exist and a folder without a file are InputErrors; a file named twice comes once.
    """
    found: set[Path] = set()
    for path in (Path(path).expanduser() for path in paths):
        if path.is_dir():
            inside = (file for file in path.rglob("*") if file.is_file())
            files = [file for file in inside if not any(part[0] == "." for part in file.relative_to(path).parts)]
            if not files:
                raise InputError(f"{path}: no benchmark file in this folder; check {WHERE}")
            found.update(files)
        elif path.is_file():
            found.add(path)
        else:
            raise InputError(f"{path}: no such benchmark file or folder; check {WHERE}")
    return sorted(found)


def read_benchmark(path: str | Path) -> Iterator[BenchmarkText]:
    """The text that a benchmark's models read, whatever the format; never an answer or a label.

    Yielded are both sides of pairs, questions, titles, whole contexts, and the utterances of dialogues that have 12
    characters or more. The format is told by the content (header line, JSON fields, columns); only plain text, which
    has no marks, is told by its name (.txt). Files of a benchmark that hold no text (KLUE's lists of relations and of
    dialogue slots) yield nothing, and the log says so.

    An unknown format is an InputError that says what was found.
    """
    path = Path(path)
    head = [line for _, line in islice(read_lines(path), HEAD_LINES)]
    first = next((line for line in head if line.strip()), "")
    if not first:
        raise InputError(f"{path}: the file is empty; restore it, or take it out of {WHERE}")
    if first.lstrip().startswith(("{", "[")):
        return _json_texts(path, first)
    if name := table_format(first):
        return table_texts(path, name)
    if name := tagged_format(head):
        return tagged_texts(path, name)
    if _is_text_file(path) and "\t" not in first:
        return plain_texts(path)
    raise _unknown(path, f'first line "{first[:60]}"')


def _json_texts(path: Path, first: str) -> Iterator[BenchmarkText]:
    try:
        content = json.loads(first)
    except json.JSONDecodeError:
        content = read_json_file(path)
    if isinstance(content, dict) and row_format(content):
        return row_texts(path)
    if isinstance(content, list) and content and row_format(content[0]):
        return row_texts(path)
    if isinstance(content, dict) and isinstance(content.get("data"), list):
        return squad_texts(path, content)
    if _holds_no_text(content):
        logger.info("%s: a list of labels; it holds no benchmark text", path)
        return iter(())
    raise _unknown(path, _shape(content))


def _holds_no_text(content: Any) -> bool:
    """KLUE's relation_list.json {"relations": [...]} and ontology.json {"DOMAIN-SLOT": [values]}."""
    if not isinstance(content, dict) or not content:
        return False
    lists = all(isinstance(value, list) and all(isinstance(item, str) for item in value) for value in content.values())
    return lists and (content.keys() == {"relations"} or all("-" in key for key in content))


def _shape(content: Any) -> str:
    if isinstance(content, dict):
        return f"a JSON object with {', '.join(map(str, list(content)[:8]))}"
    if isinstance(content, list) and content and isinstance(content[0], dict):
        return f"a JSON list of objects with {', '.join(list(content[0])[:8])}"
    return f"JSON of another kind ({type(content).__name__})"


def _is_text_file(path: Path) -> bool:
    return ending_of(without_compression(path.name)) == ".txt"


def _unknown(path: Path, found: str) -> InputError:
    known = ", ".join(KNOWN_FORMATS)
    return InputError(
        f"{path}: unknown benchmark format ({found}); known are {known}; convert the file, or take it out of {WHERE}"
    )
