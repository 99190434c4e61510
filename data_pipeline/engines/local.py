"""Shard tasks on this machine: a pool of processes that survives the death of a worker."""

import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress

from data_pipeline.contract.errors import InputError, WorkError
from data_pipeline.shard_task import Done, ShardTask, finished, run_task

logger = logging.getLogger("data_pipeline")

MOST_DEATHS = 3
"""Deaths of a worker over one task, all but the first while it ran alone, after which the task is at fault."""


def default_workers() -> int:
    """One worker for each core that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_tasks(tasks: Sequence[ShardTask], workers: int, on_done: Callable[[Done], None]) -> list[Done]:
    """Runs what is not done yet and returns all done tasks in the order given.

    - `on_done`: called in this process as each task finishes.

    Raises the first InputError or WorkError of a task; what others finished stays done.
    """
    done: dict[str, Done] = {}
    for task in tasks:
        earlier = finished(task)
        if earlier is not None:
            done[task.name] = earlier
            on_done(earlier)
    remaining = [task for task in tasks if task.name not in done]
    if workers == 1 or len(remaining) == 1:
        for task in remaining:
            done[task.name] = run_task(task)
            on_done(done[task.name])
        remaining = []
    while remaining:
        try:
            _run_pool(remaining, workers, done, on_done)
        except BrokenProcessPool:
            suspects = [task for task in remaining if task.name not in done][:workers]
            for suspect in suspects:
                _run_alone(suspect, done, on_done)
        remaining = [task for task in remaining if task.name not in done]
    return [done[task.name] for task in tasks]


def _run_alone(task: ShardTask, done: dict[str, Done], on_done: Callable[[Done], None]) -> None:
    """Runs a task that may have killed a worker in a pool of its own: it has all the memory, and nobody else is to blame."""
    for _ in range(MOST_DEATHS - 1):
        with suppress(BrokenProcessPool):
            _run_pool([task], 1, done, on_done)
            return
    raise WorkError(
        f"{task.stage}/{task.name}: a worker died {MOST_DEATHS} times over this task (out of memory?); "
        "free memory, or run again with a smaller --data.part-megabytes"
    )


def _run_pool(tasks: Sequence[ShardTask], workers: int, done: dict[str, Done], on_done: Callable[[Done], None]) -> None:
    # forkserver: a fork of this process would copy its threads' locks, a spawn would import everything for each worker.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["data_pipeline.prepare"])
    with ProcessPoolExecutor(min(workers, len(tasks)), mp_context=context, initializer=_end_with_parent) as pool:
        futures = {pool.submit(run_task, task): task for task in tasks}
        try:
            for future in as_completed(futures):
                result = future.result()
                done[futures[future].name] = result
                on_done(result)
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
