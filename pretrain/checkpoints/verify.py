"""Which checkpoints are whole: nothing is restored before its manifest has been compared with the files."""

import hashlib
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data_pipeline.contract.errors import InputError, WorkError
from data_pipeline.contract.storage import read_json, sha256_of_file

log = logging.getLogger("pretrain")

MANIFEST = "manifest.json"
COMMITTED = "committed.json"
Facts = dict[str, Any]


def step_folder(folder: Path, step: int) -> Path:
    """Where the checkpoint of a step lies."""
    return folder / f"{step:08d}"


def list_steps(folder: Path) -> list[int]:
    """The steps that have a folder, valid or not, ascending."""
    if not folder.is_dir():
        return []
    return sorted(int(path.name) for path in folder.iterdir() if path.is_dir() and path.name.isdigit())


def fault(checkpoint: Path) -> str | None:
    """What is wrong with a checkpoint's folder, in words; None where every file is as its manifest says."""
    manifest, problem = _manifest_of(checkpoint)
    if problem:
        return problem
    for name, expected in manifest["files"].items():
        path = checkpoint / name
        try:
            size = path.stat().st_size
            if size != expected["bytes"]:
                return f"{name} has {size} bytes, {MANIFEST} says {expected['bytes']}"
            if sha256_of_file(path) != expected["sha256"]:
                return f"{name} differs from its hash in {MANIFEST}"
        except FileNotFoundError:
            return f"{name} is missing"
    return None


def fault_of_manifest(checkpoint: Path) -> str | None:
    """What is wrong with a checkpoint's manifest, in words; None where its facts can be believed, whatever the other files are."""
    return _manifest_of(checkpoint)[1]


def believed_facts(checkpoint: Path) -> Facts | None:
    """The facts of a checkpoint; None where they cannot be believed, or it is not there any more."""
    manifest, problem = _manifest_of(checkpoint)
    return None if problem else manifest["facts"]


def _manifest_of(checkpoint: Path) -> tuple[dict[str, Any], str | None]:
    """A checkpoint's manifest, read once, and what is wrong with it: a run that is at work removes old checkpoints meanwhile."""
    try:
        manifest = read_json(checkpoint / MANIFEST)
    except InputError:
        return {}, f"{MANIFEST} is not readable"
    if manifest is None:
        return {}, f"it has no {MANIFEST}: it was never finished, or is being written or removed at this moment"
    if not isinstance(manifest, dict) or manifest.get("sha256") != content_hash(manifest):
        return {}, f"{MANIFEST} differs from its own hash"
    return manifest, None


def content_hash(manifest: dict[str, Any]) -> str:
    """SHA-256 of a manifest's content, so that a changed manifest is noticed too."""
    content = json.dumps([manifest.get("facts"), manifest.get("files")], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def facts_of(checkpoint: Path) -> Facts:
    """The facts that were saved with a valid checkpoint."""
    facts: Facts = read_json(checkpoint / MANIFEST)["facts"]
    return facts


def committed_step(folder: Path) -> int | None:
    """The step that was saved last; None where nothing was ever committed."""
    committed = read_json(folder / COMMITTED)
    return committed["newest_step"] if committed else None


def valid_steps(folder: Path) -> Iterator[int]:
    """The steps whose checkpoint is what its manifest says, ascending. Names every checkpoint that it skips."""
    for step in list_steps(folder):
        if problem := fault(step_folder(folder, step)):
            log.warning("%s: skipped: %s", step_folder(folder, step), problem)
        else:
            yield step


def newest_valid(folder: Path) -> tuple[int, Facts] | None:
    """The newest checkpoint that is what its manifest says, and its facts; None where nothing was ever committed.

    Names every checkpoint that it skips. Raises WorkError where checkpoints were committed and none is valid.
    """
    steps: list[int] = []
    while (now := list_steps(folder)) != steps:  # again where training has saved and removed some meanwhile
        steps = now
        for step in reversed(steps):
            checkpoint = step_folder(folder, step)
            problem = fault(checkpoint)
            if problem is None and (facts := believed_facts(checkpoint)) is not None:
                return step, facts
            if checkpoint.exists():
                log.warning("%s: skipped: %s", checkpoint, problem)
    if (folder / COMMITTED).exists() or any((step_folder(folder, step) / MANIFEST).exists() for step in steps):
        raise WorkError(
            f"{folder}: checkpoints were written here but none is valid; restore one from a copy, "
            "or remove this folder to start again from step 0"
        )
    return None
