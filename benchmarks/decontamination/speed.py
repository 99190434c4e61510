"""Sentences a second, and what a worker holds in memory."""

import multiprocessing
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path

from data_pipeline.corpus.stages.benchmarks import DOCUMENTS_PER_BATCH
from data_pipeline.corpus.steps.benchmark_matches import matcher
from data_pipeline.corpus.steps.bm25 import Bm25Index
from data_pipeline.recipe import Decontamination

WORKERS = 2


@dataclass(frozen=True)
class Memory:
    """Of one process, in MB (10^6 bytes).

    - `resident`: all its pages. `proportional`: of shared pages its part. `own`: what no other process has.
    """

    resident: float
    proportional: float
    own: float


def sentences_per_second(recipe: Decontamination, folder: Path, documents: Sequence[Sequence[str]], runs: int) -> float:
    """Of one core: cutting into n-grams, search and matches, in batches as the stage makes them. The median of the runs."""
    find = matcher(recipe, Bm25Index.open(folder))
    find(documents[0])  # loads the compiled code
    rates = []
    for _ in range(runs):
        waiting, compared, start = iter(documents), 0, time.process_time()
        while batch := [sentence for document in islice(waiting, DOCUMENTS_PER_BATCH) for sentence in document]:
            find(batch)
            compared += len(batch)
        rates.append(compared / (time.process_time() - start))
    return statistics.median(rates)


def memory_of_workers(recipe: Decontamination, folder: Path, documents: Sequence[Sequence[str]]) -> list[Memory]:
    """What workers that compare at the same time hold, once all have done so."""
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(WORKERS), context.Queue()
    arguments = (recipe, folder, documents, barrier, results)
    processes = [context.Process(target=_work, args=arguments) for _ in range(WORKERS)]
    for process in processes:
        process.start()
    measured = [results.get(timeout=600) for _ in processes]
    for process in processes:
        process.join()
    return measured


def _work(
    recipe: Decontamination,
    folder: Path,
    documents: Sequence[Sequence[str]],
    barrier: Barrier,
    results: "Queue[Memory]",
) -> None:
    find = matcher(recipe, Bm25Index.open(folder))
    for start in range(0, len(documents), DOCUMENTS_PER_BATCH):
        find([sentence for document in documents[start : start + DOCUMENTS_PER_BATCH] for sentence in document])
    barrier.wait()
    fields: dict[str, float] = {}
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines()[1:]:
        name, value, _ = line.split()
        fields[name] = int(value) * 1024 / 1e6
    barrier.wait()
    results.put(Memory(fields["Rss:"], fields["Pss:"], fields["Private_Clean:"] + fields["Private_Dirty:"]))
