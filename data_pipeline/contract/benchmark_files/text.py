"""What every benchmark reader yields, and how every reader opens its file."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from data_pipeline.contract.compression import without_compression
from data_pipeline.contract.errors import InputError
from data_pipeline.contract.storage import damage_named, open_input

Kind = Literal["sentence", "question", "title", "heading", "utterance", "context"]


@dataclass(frozen=True, slots=True)
class BenchmarkText:
    """A piece of a benchmark's input that no model should be pretrained on.

    - `text`: the text, without tags or markers.
    - `benchmark`: `FOLDER/STEM` of its file, such as `klue-nli/klue-nli-v1.1_dev`.
    - `location`: the benchmark's own id where it has one, else `FILE:LINE`.
    - `kind`: `context` is a passage of several sentences; the others stand for themselves. A `title` is what a benchmark asks about
      (YNAT's headlines), a `heading` names the article that a passage is from.
    """

    text: str
    benchmark: str
    location: str
    kind: Kind


def benchmark_name(path: Path) -> str:
    """`FOLDER/STEM` of a benchmark file, without the suffixes of its format and its compression."""
    path = path.resolve()
    return f"{path.parent.name}/{Path(without_compression(path.name)).stem}"


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines (from 1) of a UTF-8 file without their line ends; a byte order mark is skipped.

    Lines end at \\n or \\r\\n only: U+2028 and its like stand inside benchmark sentences. Bytes that are not UTF-8 are an
    InputError naming the line.
    """
    with damage_named(path), open_input(str(path)) as stream:
        for number, line in enumerate(stream, start=1):
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise InputError(f"{path}:{number}: not UTF-8 ({error.reason}); convert the file to UTF-8") from None
            yield number, text.rstrip("\r\n")


def read_json_file(path: Path) -> Any:
    """The one JSON value of a UTF-8 file. Anything else is an InputError naming the line."""
    with damage_named(path), open_input(str(path)) as stream:
        content = stream.read()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}:{line}: not UTF-8 ({error.reason}); convert the file to UTF-8") from None
    return json_value(text, path, "restore the file")


def json_value(text: str, path: Path, mend: str, line: int = 1) -> Any:
    """A JSON value. What is none, too deep, or a whole number of thousands of digits is an InputError naming the line.

    - `mend`: what the error says is to be done. - `line`: of the file, on which the text begins.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        place, problem = f"{path}:{line + error.lineno - 1}", error.msg
    except RecursionError:
        place, problem = f"{path}:{line}", "too many brackets inside each other"
    except ValueError:  # of Python's limit on the digits of whole numbers
        place, problem = f"{path}:{line}", "a whole number has too many digits"
    raise InputError(f"{place}: not readable as JSON ({problem}); {mend}")
