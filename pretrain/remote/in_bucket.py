"""A run that lies in a bucket, trained on this machine: fetched before, brought back after every save, by the launcher's store.sh."""

import fcntl
import logging
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import jax

from data_pipeline.contract.errors import InputError, WorkError
from data_pipeline.contract.run_folder import RunFolder
from pretrain.checkpoints.verify import committed_step
from pretrain.recipe import TrainingRecipe
from pretrain.remote.fetched import local_copy
from pretrain.remote.staging import folders_to_stage

log = logging.getLogger("pretrain")
SYNC = Path(__file__).parent.parent / "launch" / "sync.sh"
LOOK_SECONDS = 5.0
"""Between two looks whether there is a new checkpoint."""


@contextmanager
def run_in_bucket(url: str, recipe: TrainingRecipe) -> Iterator[RunFolder]:
    """The run as a folder of this machine's cache while the block runs, brought to the bucket after each save and at the end.

    - `url`: gs://BUCKET/FOLDER/NAME. Of several processes the first brings what is new; processes must be joined before.
    - `recipe`: says which training records come: those of its phases that are still to be trained.

    The folder goes on from the bucket where that has a later checkpoint, else from what is here. Raises InputError where gcloud is
    missing or the URL is no run; WorkError where the bucket cannot be read or written, at the end too.
    """
    if not url.startswith("gs://"):
        raise InputError(f"--run-dir {url}: runs are trained in a folder or on gs://; copy the folder here")
    if shutil.which("gcloud") is None:
        raise InputError(
            f"--run-dir {url}: gcloud is not installed, which brings runs to buckets; see "
            "https://cloud.google.com/sdk/docs/install, or copy the folder here"
        )
    run_folder = local_copy(url, "trained")
    run_folder.path.mkdir(parents=True, exist_ok=True)
    log.info("%s: fetching it to %s", url, run_folder.path)
    _sync("pull", url, run_folder)
    if not run_folder.manifest_path.exists():
        raise InputError(f"{url}: not a run folder (it has no manifest.json); bring one there that was prepared")
    done = int(_sync("step", url, run_folder))
    _sync("records", url, run_folder, *folders_to_stage(run_folder.examples, recipe, done))
    if jax.process_index():
        yield run_folder
        return
    over = threading.Event()
    watcher = threading.Thread(target=_bring_saves, args=(url, run_folder, over), name="bucket")
    watcher.start()
    failed = True
    try:
        yield run_folder
        failed = False
    finally:
        over.set()
        watcher.join()
        try:
            _sync("push", url, run_folder)
            log.info("%s: brought up to date", url)
        except WorkError as failure:
            if not failed:
                raise
            log.error("%s", failure)


def _bring_saves(url: str, run_folder: RunFolder, over: threading.Event) -> None:
    brought = None  # what a killed run saved last may not be there
    while not over.wait(LOOK_SECONDS):
        committed = committed_step(run_folder.checkpoints)
        if committed == brought:
            continue
        try:
            _sync("push", url, run_folder)
            brought = committed
        except WorkError as failure:
            log.warning("%s; trying again", failure)


def _sync(verb: Literal["pull", "step", "records", "push"], url: str, run_folder: RunFolder, *folders: str) -> str:
    with open(run_folder.path.parent / "sync.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the push of a run that was killed goes on, and holds it
        done = subprocess.run(
            ["bash", SYNC, verb, url, run_folder.path, *folders],
            env={**os.environ, "WORKER": str(jax.process_index())},
            pass_fds=[lock.fileno()], start_new_session=True, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        )  # fmt: skip
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
        raise WorkError(said[0].removeprefix("error: ") if said else f"{url}: {verb} failed: {done.stderr[-300:]}")
    return done.stdout
