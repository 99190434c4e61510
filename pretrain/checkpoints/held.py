"""Checkpoints that somebody reads: training does not remove them meanwhile.

A reader shares a lock on one of a checkpoint's files; training takes it alone before it removes the checkpoint, and leaves what it
cannot lock for the next time. The locks are the system's (flock): they write nothing, so that a run may be read that one may only
read, and they end with the process that has them. Machines that share a folder over NFS see each other's.
"""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.storage import read_json
from pretrain.checkpoints.verify import MANIFEST, newest_valid, step_folder

WITHOUT_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
"""How file systems without locks answer. Nothing trains there: training locks its folder."""


@contextmanager
def held(checkpoint: Path) -> Iterator[bool]:
    """Keeps a checkpoint from being removed by training while the block runs; False where it is not there any more."""
    descriptor = _opened(checkpoint, os.O_RDONLY)
    if descriptor is None:
        yield False
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH)  # waits for a removal that is at work
        except OSError as error:
            if error.errno not in WITHOUT_LOCKS:
                raise
        yield (checkpoint / MANIFEST).exists()
    finally:
        os.close(descriptor)


@contextmanager
def held_newest(folder: Path) -> Iterator[int | None]:
    """Keeps the newest valid checkpoint of a folder from being removed while the block runs; its step, None where nothing was saved."""
    while found := newest_valid(folder):
        with held(step_folder(folder, found[0])) as there:
            if there:
                yield found[0]
                return
    yield None


@contextmanager
def free_to_remove(checkpoint: Path) -> Iterator[bool]:
    """Whether nobody reads a checkpoint, nor begins to while the block runs; of what is no checkpoint, always."""
    descriptor = _opened(checkpoint, os.O_RDWR)
    if descriptor is None:
        yield True
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
    finally:
        os.close(descriptor)


def _opened(checkpoint: Path, how: int) -> int | None:
    """The file of a checkpoint that is locked; None where it has no whole manifest, or not that file.

    It is not the manifest, which is replaced where training goes back before a spike.
    """
    try:
        manifest = read_json(checkpoint / MANIFEST)
        return os.open(checkpoint / min(manifest["files"]), how)
    except (InputError, LookupError, TypeError, ValueError, FileNotFoundError):
        return None
