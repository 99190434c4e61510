"""One page a benchmark under benchmarks/results/: the command, the machine, versions and date, then what was measured."""

import datetime
import importlib.metadata
import os
import platform
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from data_pipeline.contract.run_folder import code_version
from data_pipeline.contract.storage import write_atomically

RESULTS = Path(__file__).parent / "results"


def write_page(
    name: str, title: str, packages: Sequence[str], body: str, module: str = "", folder: Path = RESULTS
) -> None:
    """Prints a page and writes it to `folder`/NAME.md.

    - `packages`: distributions whose versions shape the numbers; one that is not installed is an error.
    - `body`: Markdown.
    - `module`: what is run below `benchmarks`; empty means what the page is called.
    """
    versions = ", ".join(f"{package} {importlib.metadata.version(package)}" for package in packages)
    command = f"python -m benchmarks.{module or name} {shlex.join(sys.argv[1:])}".strip()
    page = (
        f"# {title}\n\n    {command}\n\n"
        f"{machine()}; Python {platform.python_version()}, {versions}; commit {code_version()}; "
        f"{datetime.date.today().isoformat()}.\n\n{body.strip()}\n"
    )
    print(page)
    write_atomically(folder / f"{name}.md", page.encode())


def machine() -> str:
    """Processor, cores this process may use, memory."""
    model = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.processor() or platform.machine(),
    )
    total = next((int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), 0)
    return f"{model}, {len(os.sched_getaffinity(0))} cores, {total / 2**20:.0f} GiB"


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table; the first column is set left, the others right."""
    ruler = ["---", *("---:" for _ in columns[1:])]
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in (columns, ruler, *rows))


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []
