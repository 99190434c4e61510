"""Tables with a header line and tab-separated columns: KorSTS, KorNLI, PAWS-X, question pairs, hate speech, NSMC."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from data_pipeline.contract.benchmark_files.text import BenchmarkText, Kind, benchmark_name, read_lines
from data_pipeline.contract.errors import InputError

# The columns of each format in the file's order, and those of them that a model reads. The hate speech test file
# comes without labels.
TABLES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "KorSTS": (
        ("genre", "filename", "year", "id", "score", "sentence1", "sentence2"),
        ("sentence1", "sentence2"),
    ),
    "KorNLI and XNLI": (("sentence1", "sentence2", "gold_label"), ("sentence1", "sentence2")),
    "PAWS-X": (("id", "sentence1", "sentence2", "label"), ("sentence1", "sentence2")),
    "question pairs": (("question1", "question2", "is_duplicate"), ("question1", "question2")),
    "hate speech": (("comments", "contain_gender_bias", "bias", "hate"), ("comments",)),
    "hate speech without labels": (("comments",), ("comments",)),
    "NSMC": (("id", "document", "label"), ("document",)),
}


@dataclass(frozen=True, slots=True)
class TableRow:
    """A row of a table: its line in the file (from 1) and its values by column name."""

    line: int
    values: dict[str, str]


def table_format(header: str) -> str | None:
    """The name in TABLES of the format whose header line this is; None for no header of ours."""
    columns = tuple(header.split("\t"))
    return next((name for name, (expected, _) in TABLES.items() if columns == expected), None)


def read_table(path: str | Path) -> Iterator[TableRow]:
    """The rows of a table below its header line, in the file's order.

    Quotation marks are text: these files were written without quoting. A row whose number of columns is not the
    header's is an InputError naming the line.
    """
    path = Path(path)
    lines = read_lines(path)
    columns = next(lines, (1, ""))[1].split("\t")
    for number, line in lines:
        if not line:
            continue
        values = line.split("\t")
        if len(values) != len(columns):
            raise InputError(
                f"{path}:{number}: {len(values)} columns where the header has {len(columns)} "
                f"({', '.join(columns)}); restore the line"
            )
        yield TableRow(number, dict(zip(columns, values, strict=True)))


def table_texts(path: Path, name: str) -> Iterator[BenchmarkText]:
    """The texts of a table of the format `name` of TABLES: both sides of a pair; a cell that is empty is left out."""
    benchmark = benchmark_name(path)
    for row in read_table(path):
        for column in TABLES[name][1]:
            if row.values[column]:
                kind: Kind = "question" if column.startswith("question") else "sentence"
                yield BenchmarkText(row.values[column], benchmark, f"{path.name}:{row.line}", kind)
