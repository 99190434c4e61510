"""What a run knows of its exports, and how a new one takes the place of the one before."""

import fcntl
import glob
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from data_pipeline.contract.errors import InputError, machine_error
from data_pipeline.contract.run_folder import RunFolder
from data_pipeline.contract.storage import sha256_of_file, sync_file, sync_folder

CARD = "README.md"
"""The model card of an exported folder: the one file that is there to be edited."""
REVISIONS = "revisions"
"""The folder of a run in which each checkpoint has an exported folder of its own, `step-N`."""


BASE_MODEL = "base_model"
"""Where the manifest's section says what the user told of the model that the run began with (`pretrain.checkpoints.base_model`)."""


def told_of_base_model(run: RunFolder) -> dict[str, str]:
    """What the user told of the model that the run began with, at whichever export."""
    told: dict[str, str] = run.manifest().get("export", {}).get(BASE_MODEL, {})
    return told


def exports_of(run: RunFolder) -> dict[str, Any]:
    """What the run's manifest says of each of its exports, by `name_of` the folder."""
    exports: dict[str, Any] = run.manifest().get("export", {}).get("folders", {})
    return exports


def name_of(run: RunFolder, exported: Path) -> str:
    """An exported folder as seen from the run's, so that both may be moved together."""
    return os.path.relpath(place_of(exported), place_of(run.path))


def place_of(folder: Path) -> Path:
    """The absolute path of a folder, or of the one that a link of this name leads to."""
    return folder.resolve() if folder.is_symlink() else Path(os.path.abspath(folder))


def without_cards(hashes: Mapping[str, str]) -> dict[str, str]:
    """What `hashes_of` found, but for the cards."""
    return {name: sha256 for name, sha256 in hashes.items() if Path(name).name != CARD}


def hashes_of(folder: Path, models: Iterable[str] = ("",), trees: Iterable[str] = ()) -> dict[str, str]:
    """SHA-256 of each file of an exported folder, by path.

    - `models`: the folders below that hold models; "" is the folder itself. - `trees`: folders below of which all that is in them
      counts. Other folders are nobody's business.
    """
    paths = [
        *(path for below in sorted(models) for path in sorted((folder / below).glob("*"))),
        *(path for below in sorted(trees) for path in sorted((folder / below).rglob("*"))),
    ]
    return {path.relative_to(folder).as_posix(): sha256_of_file(path) for path in paths if path.is_file()}


@contextmanager
def new_folder(to: Path) -> Iterator[Path]:
    """A folder beside `to` that is gone afterwards, unless it was renamed; what killed exports left there is removed.

    Raises InputError where none can be made there.
    """
    place = place_of(to)
    fresh = place.parent / f".{place.name}.{uuid.uuid4().hex[:8]}"
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        for left in place.parent.glob(f".{glob.escape(place.name)}.{'[0-9a-f]' * 8}"):
            with suppress(BlockingIOError), _held(left):  # held by an export that is at work
                shutil.rmtree(left)
        fresh.mkdir()
    except OSError as error:
        raise machine_error(error, to) or InputError(
            f"--to {to}: no folder can be made there ({error.strerror}); choose another"
        ) from None
    try:
        with _held(fresh):
            yield fresh
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Locks a folder while the block runs or the process lives; BlockingIOError where another process does."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def replace_export(place: Path, fresh: Path) -> None:
    """Puts the new folder in the place of the old one; after a kill in between there is none."""
    old = place.with_name(f".{place.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if place.exists():
        place.rename(old)
    fresh.rename(place)
    sync_folder(place.parent)
    shutil.rmtree(old, ignore_errors=True)


def sync_export(folder: Path) -> None:
    """Makes a folder and all below it durable."""
    for path in sorted(folder.rglob("*")):
        (sync_folder if path.is_dir() else sync_file)(path)
    sync_folder(folder)
