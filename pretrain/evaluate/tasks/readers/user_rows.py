"""Rows of JSON Lines, CSV and TSV, as users have them, each with the line on which it begins."""

import csv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from data_pipeline.contract.benchmark_files.text import json_value, read_lines
from data_pipeline.contract.compression import ending_of, without_compression
from data_pipeline.contract.errors import InputError
from pretrain.evaluate.tasks.readers.rows import Row, plain_name, table_rows


def user_rows(path: Path) -> Iterator[Row]:
    """The rows of a file, whose format its name tells: .jsonl, .csv or .tsv, and perhaps a compression behind that."""
    ending = ending_of(without_compression(path.name))
    formats = {".jsonl": _json_lines, ".csv": _csv_rows, ".tsv": table_rows}
    if ending not in formats:
        raise InputError(f"{path}: unknown format {ending or '(none)'}; must be {', '.join(formats)}")
    return formats[ending](path)


def _json_lines(path: Path) -> Iterator[Row]:
    for number, line in read_lines(path):
        if not line.strip():
            continue
        place = f"{path}:{number}"
        fields = json_value(line, path, "correct the line", number)
        if not isinstance(fields, dict):
            raise InputError(f"{place}: must be a JSON object, found {type(fields).__name__}; correct the line")
        yield Row(place, f"{plain_name(path)}:{number}", fields)


def _csv_rows(path: Path) -> Iterator[Row]:
    last = 0

    def lines() -> Iterator[str]:
        nonlocal last
        for number, line in read_lines(path):
            last = number
            yield line + "\n"

    rows = csv.reader(lines(), strict=True)
    columns: list[str] = []
    while True:
        first = last + 1
        try:
            row = next(rows, None)
        except csv.Error as error:
            mend = "end its lines with \\n" if "new-line" in str(error) else "close its quotation marks, or shorten it"
            raise InputError(f"{path}:{first}: not a row of CSV ({str(error).partition(' - ')[0]}); {mend}") from None
        if row is None:
            return
        if not row:
            continue
        if not columns:
            columns = row
            twice = [name for name, count in Counter(columns).items() if count > 1]
            if twice:
                raise InputError(f'{path}:{first}: the column "{twice[0]}" is listed twice; rename one')
        elif len(row) != len(columns):
            raise InputError(
                f"{path}:{first}: {len(row)} columns where the header has {len(columns)} ({', '.join(columns)}); "
                "correct the row"
            )
        else:
            yield Row(f"{path}:{first}", f"{plain_name(path)}:{first}", dict(zip(columns, row, strict=True)))
