"""Shard tasks on this machine: a pool of processes that survives the death of a worker."""

import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass

from data_pipeline.contract.errors import InputError, WorkError
from data_pipeline.tasks.engines.runner import OnDone
from data_pipeline.tasks.shard_task import Done, ShardTask, run_task

logger = logging.getLogger("data_pipeline")

MOST_DEATHS = 3
"""Deaths of a worker over one task, all but the first while it ran alone, after which the task is at fault."""


def default_workers() -> int:
    """One worker for each core that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class LocalEngine:
    """A pool of `workers` processes; with one worker or one task, this process itself."""

    workers: int

    def run(self, tasks: Sequence[ShardTask], on_done: OnDone) -> None:
        if self.workers == 1 or len(tasks) == 1:
            for task in tasks:
                on_done(run_task(task))
            return
        done: set[str] = set()

        def note(result: Done) -> None:
            done.add(result.task.name)
            on_done(result)

        while remaining := [task for task in tasks if task.name not in done]:
            try:
                _run_pool(remaining, self.workers, note)
            except BrokenProcessPool:
                suspects = [task for task in remaining if task.name not in done][: self.workers]
                for suspect in suspects:
                    _run_alone(suspect, note)


def _run_alone(task: ShardTask, on_done: OnDone) -> None:
    """Runs a task that may have killed a worker in a pool of its own: it has all the memory, and nobody else is to blame."""
    for _ in range(MOST_DEATHS - 1):
        with suppress(BrokenProcessPool):
            _run_pool([task], 1, on_done)
            return
    raise WorkError(
        f"{task.stage}/{task.name}: a worker died {MOST_DEATHS} times over this task (out of memory?); "
        "free memory, or run again with a smaller --data.part-megabytes"
    )


def _run_pool(tasks: Sequence[ShardTask], workers: int, on_done: OnDone) -> None:
    # forkserver: a fork of this process would copy its threads' locks, a spawn would import everything for each worker.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["data_pipeline.prepare.run"])
    with ProcessPoolExecutor(min(workers, len(tasks)), mp_context=context, initializer=_end_with_parent) as pool:
        futures = [pool.submit(run_task, task) for task in tasks]
        try:
            for future in as_completed(futures):
                on_done(future.result())
        except BaseException as error:
            for future in futures:
                future.cancel()
            # The pool waits for what it is working on, so that it is kept, and so that the folder is idle when we go.
            in_work = sum(future.running() for future in futures)
            if in_work and isinstance(error, InputError | WorkError):
                logger.info("%s\ntasks still in work, which will be kept: %d (Ctrl-C ends them)", error, in_work)
            raise


def _end_with_parent() -> None:
    """A worker whose parent was killed would finish its task beside the next run, and then wait for tasks for ever."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends a worker without a traceback
