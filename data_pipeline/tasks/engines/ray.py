"""Shard tasks on a Ray cluster: plain tasks. Ray may lose, repeat or move them, for only what they commit counts."""

import os
import re
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_pipeline.contract.errors import InputError, WorkError
from data_pipeline.contract.packages import needed
from data_pipeline.tasks.engines.runner import OnDone
from data_pipeline.tasks.fingerprint import all_code
from data_pipeline.tasks.shard_task import Done, ShardTask, finished, run_task

MOST_DEATHS = 8
"""Deaths of a worker or a node over one task after which the task is at fault; on a cluster nodes come and go."""
MOST_SUBMITTED = 1000
"""Tasks that Ray knows of at once: enough for a cluster to grow by, few enough to wait for."""
CONNECTION_SECONDS = 10
OBJECT_STORE_BYTES = 100 << 20
"""On this machine alone (`local`); tasks exchange file names, and their files lie on the disk."""
ENVIRONMENT = {"TOKENIZERS_PARALLELISM": "false", "RAYON_NUM_THREADS": "1"}


@dataclass(frozen=True)
class RayEngine:
    """Ray's workers, all of which see the sources under the same path, and the run folder, unless tasks have a bucket.

    - `address`: `auto` (the cluster that this machine belongs to), `HOST:PORT`, or `local` (one is started here, for this command).
    - `workers`: tasks at work at once; None means as many as the cluster has processors.
    """

    address: str
    workers: int | None = None

    def run(self, tasks: Sequence[ShardTask], on_done: OnDone) -> None:
        ray = needed("ray", "--engine ray", "ray")
        with self._connected(ray):
            submit = ray.remote(_run).options(num_cpus=1, max_retries=MOST_DEATHS - 1)
            waiting, pending, code = list(reversed(tasks)), dict[Any, ShardTask](), all_code()
            try:
                while waiting or pending:
                    while waiting and len(pending) < (self.workers or MOST_SUBMITTED):
                        task = waiting.pop()
                        pending[submit.remote(task, code)] = task
                    for reference in ray.wait(list(pending))[0]:
                        on_done(_result(ray, reference, pending.pop(reference)))
            except BaseException:
                for reference in pending:
                    ray.cancel(reference)  # a task that is at work removes what it has written
                raise

    @contextmanager
    def _connected(self, ray: Any) -> Iterator[None]:
        """A connection that is there already is used, and left as it is."""
        if ray.is_initialized():
            yield
            return
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        alone = {"num_cpus": self.workers, "object_store_memory": OBJECT_STORE_BYTES, "include_dashboard": False}
        try:
            if re.fullmatch(r"[^/]+:\d+", self.address):  # Ray itself would go on asking for minutes
                host, _, port = self.address.rpartition(":")
                socket.create_connection((host, int(port)), CONNECTION_SECONDS).close()
            ray.init(
                address=self.address,
                # A worker's output is the task's error, which the driver prints; on TPU hosts Ray would also print libtpu's logs.
                log_to_driver=False,
                logging_level="error",
                runtime_env={"env_vars": ENVIRONMENT},
                **(alone if self.address == "local" else {}),
            )
        except (OSError, RuntimeError, ValueError) as error:
            raise InputError(
                f"--ray-address {self.address}: no Ray cluster to work with ({' '.join(str(error).split())[:200]}); start one "
                "with `ray start --head`, correct the address, or give --ray-address local"
            ) from None
        yield


def _run(task: ShardTask, code: str) -> Done:
    """Runs a task on a node of the cluster, if that node is fit for it."""
    node = socket.gethostname()
    if all_code() != code:
        raise InputError(
            f"--engine ray: the node {node} has another version of this code or of its libraries; install the same everywhere"
        )
    run_folder = Path(task.root).parent
    if not task.bucket and not run_folder.is_dir():
        raise InputError(
            f"--run-dir {run_folder}: the node {node} does not see it; use a file system that all nodes share, or --bucket"
        )
    return run_task(task)


def _result(ray: Any, reference: Any, task: ShardTask) -> Done:
    try:
        done: Done = ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, InputError | WorkError):
            raise error.cause from None
        raise
    except ray.exceptions.RayError as error:
        raise WorkError(
            f"{task.stage}/{task.name}: its worker or node died {MOST_DEATHS} times ({type(error).__name__}; out of memory?); "
            "see to the cluster and run again, or with a smaller --data.part-megabytes"
        ) from None
    if task.bucket:
        return finished(task) or done  # it also notes here what was done elsewhere
    for output in done.outputs.values():
        if not Path(output.path).exists():
            raise InputError(
                f"{output.path}: written by another node and not seen here; put --run-dir on a file system that all nodes share, or give --bucket"
            )
    return done
