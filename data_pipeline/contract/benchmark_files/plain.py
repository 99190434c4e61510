"""Plain text, one sentence a line."""

from collections.abc import Iterator
from pathlib import Path

from data_pipeline.contract.benchmark_files.text import BenchmarkText, benchmark_name, read_lines


def plain_texts(path: Path) -> Iterator[BenchmarkText]:
    """The lines of a text file that hold more than blanks."""
    benchmark = benchmark_name(path)
    for number, line in read_lines(path):
        if line.strip():
            yield BenchmarkText(line.strip(), benchmark, f"{path.name}:{number}", "sentence")
