"""The real text that the benchmarks of the data side measure on, and the command that prepares it."""

import gzip
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from data_pipeline.contract.errors import InputError, WorkError

RECIPE = "configs/mini/bert.py"


@dataclass(frozen=True)
class Corpora:
    """Paths below the data folder."""

    petitions: str
    reviews: Path
    benchmarks: Path
    vocabularies: Path


def corpora(data: Path) -> Corpora:
    """What the folder of `--data` holds; an InputError where it is not the one that the benchmarks know."""
    found = Corpora(
        petitions=str(data / "corpus" / "petitions_*.jsonl.gz"),
        reviews=data / "corpus" / "reviews_train.jsonl.gz",
        benchmarks=data / "tasks",
        vocabularies=data / "vocabularies",
    )
    for path in (found.reviews, found.benchmarks, found.vocabularies):
        if not path.exists():
            raise InputError(
                f"--data {data}: {path} is missing; give the folder that holds corpus/, tasks/, vocabularies/"
            )
    return found


def write_first_reviews(reviews: Path, number: int, target: Path) -> Path:
    """The first so many reviews as a file of their own, uncompressed."""
    with gzip.open(reviews) as lines:
        target.write_bytes(b"".join(islice(lines, number)))
    return target


@dataclass(frozen=True)
class Spent:
    """What a command took, start and imports included: seconds by the clock and of all cores."""

    seconds: float
    cpu_seconds: float


def run_prepare(recipe: str, run_dir: Path, *flags: str | Path) -> Spent:
    """The public command, its output on this one's stderr; a WorkError where it fails."""
    before, start = _cpu_seconds(), time.monotonic()
    command = [sys.executable, "-m", "data_pipeline", "prepare", recipe, "--run-dir", str(run_dir), *map(str, flags)]
    if code := subprocess.run(command, stdout=sys.stderr).returncode:
        raise WorkError(f"{' '.join(command[1:])}: exit code {code}")
    return Spent(time.monotonic() - start, _cpu_seconds() - before)


def _cpu_seconds() -> float:
    """Of all children that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
