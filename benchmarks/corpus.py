"""What a large corpus costs: every step on, megabytes a second and core and peak memory, stage by stage and whole.

python -m benchmarks.corpus
"""

import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from benchmarks.corpora import RECIPE, Corpora, Spent, corpora, run_prepare
from benchmarks.enlarged_corpus import write_enlarged
from benchmarks.prepare_steps import read_documents
from benchmarks.results_page import table, write_page
from data_pipeline.contract.errors import InputError, WorkError, run_command
from data_pipeline.contract.records import read_header
from data_pipeline.contract.run_folder import REPORT, RunFolder
from data_pipeline.contract.storage import read_json
from data_pipeline.tasks.cost import Cost, rate, total
from data_pipeline.tasks.shard_task import stage_costs

PACKAGES = ("kss", "tokenizers", "numba", "numpy", "rensa", "array_record")
FILES = 8
EVERY_STEP = (
    "--data.clean.bylines",
    "--data.clean.bracketed-tags",
    "--data.clean.captions",
    "--data.clean.copyright-lines",
    "--data.clean.foreign-characters",
    "--data.clean.max-repeats=2",
    "--data.part-megabytes=16",
)
"""What the recipe leaves off: all other steps are on as they are."""
GLOBAL_STAGES = ("survivors",)
"""One task, however large the corpus; all other stages that text goes through have as many tasks as it has parts."""
HOST = "a 96-core TPU host"
HOST_CORES, HOST_GIGABYTES, LARGE_GIGABYTES = 96, 335, 62
"""n1-standard-96 with its 335 GB; 62 GB of text is what KLUE trained on (Park et al. 2021, section 4.1)."""


@dataclass(frozen=True)
class Corpus:
    """Prepares petitions enlarged to three sizes through the public command."""

    data: Path = Path("../shared/data")
    """Folder with corpus/, tasks/ and vocabularies/."""
    megabytes: int = 100
    """Text of the smallest corpus, in 10^6 bytes: prepared by two workers, for its memory."""
    timed_megabytes: int = 200
    """Text of the one that is prepared by one worker and by two, for the time."""
    large_megabytes: int = 2_000
    """Text of the largest, prepared by two workers, for its memory and what it tells of larger ones."""


@dataclass(frozen=True)
class Run:
    """What filling a run folder took, and what the stages report."""

    spent: Spent
    costs: dict[str, Cost]
    report: dict[str, Any]
    fingerprint: str

    @property
    def text_bytes(self) -> int:
        """Of the documents."""
        count: int = self.report["documents"]["text_bytes"]
        return count

    @property
    def cpu_seconds(self) -> float:
        """Of all stages; what `spent` has, too, is the start of the command, but not the workers."""
        return sum(cost.cpu_seconds for cost in self.costs.values())

    def per_megabyte(self, stage: str) -> float:
        """CPU seconds for each megabyte of the documents' text."""
        return self.costs[stage].cpu_seconds / (self.text_bytes / 1e6)


def main() -> None:
    """The command."""
    run_command(lambda: measure(tyro.cli(Corpus)))


def measure(options: Corpus) -> None:
    """Runs everything in a temporary folder and writes the page."""
    if not 0 < options.megabytes < options.timed_megabytes < options.large_megabytes:
        raise InputError(
            "--megabytes, --timed-megabytes, --large-megabytes: must be above 0, each larger than the one before"
        )
    found = corpora(options.data)
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        texts = [document.text for document in read_documents("petitions", found.petitions)]

        def prepared(megabytes: int, *workers: int) -> list[Run]:
            source = place / str(megabytes)
            write_enlarged(texts, megabytes, FILES, source)
            runs = [run(found, source, place / "run", number) for number in workers]
            shutil.rmtree(source)
            return runs

        [small] = prepared(options.megabytes, 2)
        one, two = prepared(options.timed_megabytes, 1, 2)
        if one.fingerprint != two.fingerprint:
            raise WorkError("one worker and two gave different records")
        [large] = prepared(options.large_megabytes, 2)
    write_page("corpus", "What a large corpus costs", PACKAGES, page(small, one, two, large))


def run(found: Corpora, source: Path, folder: Path, workers: int) -> Run:
    """A fresh run, whose folder does not stay."""
    print(f"{workers} workers", file=sys.stderr)
    vocabulary = folder.with_name("vocab.txt")  # the only name that a vocabulary of rows may have
    shutil.copyfile(found.vocabularies / "kcbert-base.vocab.txt", vocabulary)
    flags = ("--source", f"jsonl:{source}/*.jsonl", "--benchmark", found.benchmarks, *EVERY_STEP)
    spent = run_prepare(RECIPE, folder, *flags, "--data.vocabulary.given", vocabulary, "--workers", str(workers))
    corpus = RunFolder(folder).corpus
    report = read_json(corpus / REPORT)
    costs = {stage: total(stage_costs(corpus, stage)) for stage in report}
    fingerprint = read_header(RunFolder(folder).examples).fingerprint
    shutil.rmtree(folder)
    return Run(spent, costs, report, fingerprint)


def page(small: Run, one: Run, two: Run, large: Run) -> str:
    """Speed of one corpus on one core and two; memory of a smaller and a larger one with two workers; what follows for more."""
    rows = []
    for stage in one.report:
        text_bytes = one.report[stage].get("text_bytes", 0)
        speed = f"{rate(text_bytes, one.costs[stage]):.2f}" if text_bytes else ""
        peaks = (f"{each.costs[stage].peak_megabytes:,.0f}" for each in (small, large))
        rows.append((stage, f"{one.costs[stage].cpu_seconds:.1f}", speed, *peaks))
    whole, text = one.spent.cpu_seconds, one.text_bytes
    index = one.costs["benchmarks"].cpu_seconds
    rows.append(("the whole command", f"{whole:.1f}", f"{text / 1e6 / whole:.2f}", *_most(small, large)))
    rows.append(
        ("the same without the benchmarks' index", f"{whole - index:.1f}", f"{text / 1e6 / (whole - index):.2f}")
    )
    clock = [each.spent.seconds for each in (one, two)]
    inner = [each.spent.seconds - each.costs["benchmarks"].seconds for each in (one, two)]
    return f"""
Petitions, enlarged: their sentences in new order, one eojeol in ten edited. Every step is on, also all switches of cleaning,
pseudonyms and near duplicates; sentences are compared with {sum(one.report["benchmarks"]["texts"].values()):,} benchmark
texts; the vocabulary is given. Speed: {text / 1e6:,.0f} MB with one worker, MB (10^6 bytes of UTF-8) that go into a stage for
each second of CPU time. Memory: the most that one process held, with two workers, at {small.text_bytes / 1e6:,.0f} MB and at
{large.text_bytes / 1e6:,.0f} MB. Stages of one task run in the command's own process, whose peak the benchmarks' index sets.

{table(("stage", "CPU s", "MB/s per core", f"peak MB at {small.text_bytes / 1e6:,.0f}", f"at {large.text_bytes / 1e6:,.0f}"), rows)}

By the clock, one worker to two: {clock[0]:.1f} s to {clock[1]:.1f} s, {clock[0] / clock[1]:.2f} times as fast; without the
benchmarks' index, which is one task, {inner[0]:.1f} s to {inner[1]:.1f} s, {inner[0] / inner[1]:.2f} times. Both gave the same
records. The largest corpus took {large.spent.seconds / 60:.1f} minutes with two workers,
{large.text_bytes / 1e6 / large.cpu_seconds:.2f} MB/s per core.

{_estimate(large)}
"""


def _most(*runs: Run) -> list[str]:
    return [f"{max(cost.peak_megabytes for cost in each.costs.values()):,.0f}" for each in runs]


def _estimate(run: Run) -> str:
    """Hours and memory of a corpus that none of us has, from the largest run."""
    stages = [stage for stage in run.report if stage not in ("benchmarks", "vocabulary")]
    spread = sum(run.per_megabyte(stage) for stage in stages if stage not in GLOBAL_STAGES)
    alone = sum(run.per_megabyte(stage) for stage in stages if stage in GLOBAL_STAGES)
    megabytes = LARGE_GIGABYTES * 1000
    hours = megabytes * (spread / HOST_CORES + alone) / 3600
    worker = max(run.costs[stage].peak_megabytes for stage in stages if stage not in GLOBAL_STAGES)
    documents = run.report["documents"]["documents"] / (run.text_bytes / 1e6) * megabytes
    return f"""
## {LARGE_GIGABYTES} GB on {HOST}

From the largest run: {spread:.2f} CPU s a MB in stages that have a task for each part, {alone:.4f} in those of one task. So
{LARGE_GIGABYTES} GB, {documents / 1e6:,.0f} million documents of this length, take {hours:.1f} hours on {HOST_CORES} cores if
they are as fast as these and share no bottleneck, beside {run.costs["benchmarks"].seconds:.0f} s for the benchmarks' index.
Memory: {HOST_CORES} workers of at most {worker:,.0f} MB are {HOST_CORES * worker / 1000:,.0f} GB of the host's
{HOST_GIGABYTES} GB, the benchmarks' index counted in each although they share its pages.
""".strip()


if __name__ == "__main__":
    main()
