"""The texts of a file: lines, a field of JSON, or a column of a table."""

from collections.abc import Iterator
from pathlib import Path

from data_pipeline.contract.benchmark_files.text import read_lines
from data_pipeline.contract.compression import ending_of, without_compression
from data_pipeline.contract.errors import InputError
from pretrain.evaluate.kinds.texts import Text
from pretrain.evaluate.tasks.examples import RelationExample
from pretrain.evaluate.tasks.readers.relations import entities_of
from pretrain.evaluate.tasks.readers.rows import Row, json_rows, table_rows
from pretrain.evaluate.tasks.readers.user_rows import user_rows

COLUMN = "text"
"""The field that is read where none is named."""
FORMATS = {".txt": table_rows, ".tsv": table_rows, ".csv": user_rows, ".jsonl": user_rows, ".json": json_rows}


def read_texts(
    path: Path, column: str | None = None, second: str | None = None, *, as_written: bool = False
) -> list[Text]:
    """The texts of a file, in its order.

    - `path`: .txt, .jsonl, .json (a list), .csv or .tsv, which may be compressed.
    - `column`: the field or column; None takes COLUMN, and of .txt whole lines. With a column, .txt is a table as .tsv is.
    - `second`: the column of the second texts of pairs.
    - `as_written`: keeps blanks at their ends, for characters to be counted in them.

    Raises InputError naming file, line and field for what cannot be read, an empty text, and a file without texts.
    """
    suffix = _format(path)
    lines = suffix == ".txt" and column is None
    if lines and second:
        raise InputError(
            f"--second {second}: the lines of {path} have no columns; for a table name the first with --column"
        )
    rows, name = _lines(path) if lines else FORMATS[suffix](path), column or COLUMN
    read = Row.raw if as_written else Row.text
    texts = [(read(row, name), read(row, second)) if second else read(row, name) for row in rows]
    if not texts:
        raise InputError(f"--input {path}: holds no texts; give another file")
    return texts


def read_relations(path: Path) -> list[RelationExample]:
    """Sentences with two entities, as in KLUE-RE's files: `sentence`, and `subject_entity` and `object_entity` with their `start_idx`,
    `end_idx` and `type`; .json or .jsonl. Other fields are not read, and labels are "". Raises InputError as `read_texts`."""
    found = [RelationExample(row.name, *entities_of(row), "") for row in FORMATS[_format(path)](path)]
    if not found:
        raise InputError(f"--input {path}: holds no sentences; give another file")
    return found


def _format(path: Path) -> str:
    if not path.is_file():
        raise InputError(f"--input {path}: no such file; give one of texts")
    suffix = ending_of(without_compression(path.name))
    if suffix not in FORMATS:
        raise InputError(f"--input {path}: unknown format {suffix or '(none)'}; must be one of {', '.join(FORMATS)}")
    return suffix


def _lines(path: Path) -> Iterator[Row]:
    return (Row(f"{path}:{number}", "", {COLUMN: line}) for number, line in read_lines(path))
