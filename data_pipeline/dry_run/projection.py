"""What the whole will come to, if it is like the sample."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from data_pipeline.contract.storage import read_json
from data_pipeline.dry_run.sample import Sample
from data_pipeline.prepare.flow import Stages

ONCE = ("benchmarks", "vocabulary")
"""Stages whose work does not grow with the corpus."""
ONE_TASK = ("survivors", "formulae", "vocabulary", "benchmarks")
"""Stages that use one worker whatever their number."""
SAMPLE_FILE = re.compile(r"(\d{3})-\d{3}\.jsonl-")
"""In the name of a task: the number of the source whose sample it works on."""


@dataclass(frozen=True)
class StageProjection:
    """A stage's time of the processor in the sample and for the whole, and that by the clock; in seconds."""

    stage: str
    sample_seconds: float
    whole_seconds: float
    clock_seconds: float


def factor_of(samples: Sequence[Sample]) -> float:
    """How many samples the whole is, by documents."""
    drawn = sum(len(sample.documents) for sample in samples)
    return sum(sample.factor * len(sample.documents) for sample in samples) / max(1, drawn)


def whole(samples: Sequence[Sample], counts: dict[str, Any], name: str) -> float:
    """A number that a stage counts by source and category, for the whole corpus."""
    factors = {sample.source.name: sample.factor for sample in samples}
    return sum(
        factors[source] * numbers.get(name, 0)
        for source, categories in counts["categories"].items()
        for numbers in categories.values()
    )


def project(samples: Sequence[Sample], run: Stages, workers: int) -> list[StageProjection]:
    """The time that each stage will take with so many workers, each with a core of its own.

    Work on documents grows with the bytes of their source, the search for duplicates with all documents, the benchmark
    index and the vocabulary not at all. What a worker needs to start is counted with the rest, so that small samples
    project too much rather than too little.
    """
    reading = sum(sample.read_seconds for sample in samples), sum(s.read_seconds * s.factor for s in samples)
    rows = [StageProjection("reading", *reading, reading[1] / workers)]
    for stage in run.report:
        done = sorted((run.folder.corpus / stage / "done").glob("*.json"))
        seconds = {path.stem: read_json(path)["cost"]["cpu_seconds"] for path in done}
        projected = sum(_factor(stage, name, samples) * cost for name, cost in seconds.items())
        by_clock = projected / (1 if stage in ONE_TASK else workers)
        rows.append(StageProjection(stage, sum(seconds.values()), projected, by_clock))
    return rows


def _factor(stage: str, task: str, samples: Sequence[Sample]) -> float:
    if stage in ONCE:
        return 1.0
    of_source = SAMPLE_FILE.search(task)
    return samples[int(of_source[1])].factor if of_source else factor_of(samples)
