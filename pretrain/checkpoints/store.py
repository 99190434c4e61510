"""Checkpoints that are known to be whole: orbax writes them in the background, a manifest of hashes makes them valid.

    checkpoints/00000200/params/...     parameters (orbax)
    checkpoints/00000200/training/...   optimizer state and step (orbax)
    checkpoints/00000200/manifest.json  written last and atomically: size and SHA-256 of every file, and the facts of the run
    checkpoints/committed.json          the newest step that ever got its manifest

Orbax restores a flipped bit without a word, so nothing is restored before its manifest has been compared with the files.
Of several processes the first alone reads and writes here: the others need not see the folder (pretrain/devices/broadcast.py).
"""

import errno
import logging
import os
import shutil
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import jax
import numpy as np
import orbax.checkpoint as ocp

from data_pipeline.contract.errors import MACHINE, InputError, WorkError
from data_pipeline.contract.storage import read_json, sha256_of_file, sync_file, sync_folder, write_json
from pretrain.checkpoints.held import free_to_remove
from pretrain.checkpoints.verify import (
    COMMITTED,
    MANIFEST,
    Facts,
    content_hash,
    list_steps,
    newest_valid,
    step_folder,
)
from pretrain.devices.broadcast import gathered, handed_out, told

log = logging.getLogger("pretrain")
UNFINISHED = ".orbax-checkpoint-tmp"


def tell_failed_saves_once() -> None:
    """Leaves the telling of a save that failed to the WorkError; for a whole process.

    Orbax logs it as well, asyncio logs its tasks, and tensorstore prints that its threads find orbax's loop closed: hundreds
    of lines of traceback around one full disk.
    """
    for name in ("absl", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    before = sys.unraisablehook

    def hook(unraisable: Any) -> None:
        trace = unraisable.exc_traceback
        if trace is None or trace.tb_frame.f_code.co_name != "call_soon_threadsafe":
            before(unraisable)

    sys.unraisablehook = hook


def _async_checkpointer() -> ocp.AsyncCheckpointer:
    """One that waits for no other process: among several, the first alone has something to write."""
    options = ocp.options.MultiprocessingOptions()
    if jax.process_count() > 1:
        this = jax.process_index()
        options = ocp.options.MultiprocessingOptions(this, {this}, f"checkpoints-of-process-{this}")
    items = {name: ocp.StandardCheckpointHandler(multiprocessing_options=options) for name in ("params", "training")}
    composite = ocp.CompositeOptions(multiprocessing_options=options)
    return ocp.AsyncCheckpointer(
        ocp.CompositeCheckpointHandler(composite_options=composite, **items), multiprocessing_options=options
    )


class CheckpointStore:
    """The checkpoints of one run: written in the background, hashed, and pruned to the newest.

    - `folder`: absolute or relative; of several processes only the first one's counts.
    - `keep`: newest checkpoints kept, 1 or more.
    - `milestone_every`: checkpoints of multiples of so many steps stay as well; 0: none.
    """

    def __init__(self, folder: Path, keep: int, milestone_every: int = 0) -> None:
        if keep < 1:
            raise InputError(f"--training.checkpoints.keep {keep}: must be 1 or more")
        self.folder = folder.absolute()
        self.keep = keep
        self.milestone_every = milestone_every
        self._writer = _async_checkpointer()
        self._thread: threading.Thread | None = None
        self._step = -1
        self._error: Exception | None = None

    def newest_valid(self) -> tuple[int, Facts] | None:
        """`newest_valid` of the folder, the same answer on every process; leftovers of saves that were killed are removed."""
        found = None
        if jax.process_index() == 0:
            found = newest_valid(self.folder)
            self._remove_leftovers(nothing_committed=found is None)
        if jax.process_count() == 1:
            return found
        found = told(found)
        return (found[0], found[1]) if found else None

    def _remove_leftovers(self, nothing_committed: bool) -> None:
        if not self.folder.is_dir():
            return
        for path in sorted(self.folder.iterdir()):
            if path.is_dir() and (UNFINISHED in path.name or (nothing_committed and path.name.isdigit())):
                log.warning("%s: removed: left behind by a save that did not finish", path)
                shutil.rmtree(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Waits for the save in progress. Where the block already failed, a failed save is only named, unless the disk is full for
        both: then it is what was lost."""
        try:
            self.finish()
        except WorkError as failure:
            cause = error.__context__ if isinstance(error, WorkError) else None
            if error is None or (isinstance(cause, OSError) and cause.errno == errno.ENOSPC):
                raise
            log.error("%s", failure)

    def save(self, step: int, state: dict[str, Any], facts: Facts) -> None:
        """Starts writing a checkpoint; the state may be donated as soon as this returns. Every process must call it.

        - `state`: {"params", "optimizer", "step"}.
        - `facts`: JSON-ready, kept in the manifest.

        Raises WorkError naming the folder where this save, or the one before, could not be written.
        """
        self.finish()
        self._step = step
        if jax.process_count() > 1:
            state = gathered(state)
            if jax.process_index():
                return
        training = {name: tree for name, tree in state.items() if name != "params"}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            # force: a folder of this step can only be one that was found invalid.
            self._writer.save(
                step_folder(self.folder, step),
                args=ocp.args.Composite(
                    params=ocp.args.StandardSave(state["params"]), training=ocp.args.StandardSave(training)
                ),
                force=True,
            )
        except Exception as error:
            self._error = error
            self.finish()
        self._thread = threading.Thread(target=self._commit, args=(step, facts), name="checkpoint")
        self._thread.start()

    def amend(self, step: int, facts: Facts) -> None:
        """Adds facts to a checkpoint that has its manifest, or replaces them, atomically. Every process may call it."""
        if jax.process_index():
            return
        path = step_folder(self.folder, step) / MANIFEST
        before = read_json(path)
        manifest = {"facts": {**before["facts"], **facts}, "files": before["files"]}
        write_json(path, {"sha256": content_hash(manifest), **manifest})

    def finish(self) -> None:
        """Waits until the last save has its manifest. Raises WorkError naming the folder where it could not be written."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self.raise_failure()

    def raise_failure(self) -> None:
        """Raises, without waiting, what `finish` would raise for a save that is known to have failed."""
        if self._error is not None:
            error, self._error = self._error, None
            told = f"{error} {error.__context__}"
            of_machine = (os.strerror(code) for code in MACHINE if os.strerror(code) in told)
            reason = next(of_machine, str(error).strip().partition("\n")[0][:300] or type(error).__name__)
            raise WorkError(
                f"{step_folder(self.folder, self._step)}: this checkpoint could not be written ({reason}); "
                "free space or mend the folder, then run again to go on from the one before"
            ) from error

    def restore(self, step: int, abstract_state: dict[str, Any]) -> dict[str, Any]:
        """The state of a step that `newest_valid` named, laid out as `abstract_state` says, on whatever mesh wrote it."""
        if jax.process_count() == 1:
            return self._restore(step, abstract_state)
        on_host = jax.tree.map(lambda like: np.empty(like.shape, like.dtype), abstract_state)
        restored = self._restore(step, on_host) if jax.process_index() == 0 else None
        return handed_out(restored, abstract_state)

    def _restore(self, step: int, like: dict[str, Any]) -> dict[str, Any]:
        training = {name: tree for name, tree in like.items() if name != "params"}
        arguments = ocp.args.Composite(
            params=ocp.args.StandardRestore(like["params"]), training=ocp.args.StandardRestore(training)
        )
        restored = self._writer.restore(step_folder(self.folder, step), args=arguments)
        return {"params": restored["params"], **restored["training"]}

    def _commit(self, step: int, facts: Facts) -> None:
        """Waits for orbax, then writes the manifest, notes the commit and removes what is too old."""
        try:
            self._writer.wait_until_finished()
            self._write_manifest(step, facts)
            write_json(self.folder / COMMITTED, {"newest_step": step})
            self._prune(step)
        except Exception as error:
            self._error = error

    def _write_manifest(self, step: int, facts: Facts) -> None:
        checkpoint = step_folder(self.folder, step)
        files = {}
        for path in sorted(checkpoint.rglob("*")):
            if path.is_file():
                sync_file(path)
                name = path.relative_to(checkpoint).as_posix()
                files[name] = {"bytes": path.stat().st_size, "sha256": sha256_of_file(path)}
            else:
                sync_folder(path)
        sync_folder(self.folder)
        manifest = {"facts": {"step": step, **facts}, "files": files}
        write_json(checkpoint / MANIFEST, {"sha256": content_hash(manifest), **manifest})

    def _prune(self, step: int) -> None:
        """Keeps the newest checkpoints up to `step`, milestones, and what somebody reads, which goes when a later one is saved.

        Later ones than `step` are invalid, or the run would have resumed from them.
        """
        steps = list_steps(self.folder)
        finished = [old for old in steps if old <= step and (step_folder(self.folder, old) / MANIFEST).exists()]
        milestones = {old for old in finished if self.milestone_every and old % self.milestone_every == 0}
        for old in set(steps) - set(finished[-self.keep :]) - milestones:
            with free_to_remove(step_folder(self.folder, old)) as free:
                if free:
                    # The manifest goes first: a removal that is killed leaves a folder that no reader takes for a checkpoint.
                    (step_folder(self.folder, old) / MANIFEST).unlink(missing_ok=True)
                    shutil.rmtree(step_folder(self.folder, old))
