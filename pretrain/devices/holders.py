"""Which processes hold a TPU or a GPU: a device answers one process at a time."""

import fnmatch
import glob
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

TPU_NODES = ("/dev/accel[0-9]*", "/dev/vfio/[0-9]*", "/dev/vfio/devices/vfio[0-9]*")
DEVICE_NODES = (*TPU_NODES, "/dev/nvidia[0-9]*")
"""What a process has open that computes on a TPU (v2 to v4; v5e and newer by VFIO) or on an NVIDIA GPU."""
LOCK_FILES = (
    f"{tempfile.gettempdir()}/libtpu_lockfile",
    "/tmp/libtpu_lockfile",
    "/tmp/libtpu_lock_*/libtpu_lockfile",
    f"{Path.home()}/.libtpu_lockfile",
)
"""What libtpu holds locked while it runs (TryAcquireTpuLock in github.com/openxla/xla, tpu_initialize_util.cc)."""


@dataclass(frozen=True)
class Holder:
    """A process, its command line, and the device node or lock file that it holds."""

    pid: int
    command: str
    file: str

    def __str__(self) -> str:
        return f"process {self.pid} ({self.command}) holds {self.file}"


def find_holders(patterns: Sequence[str]) -> tuple[list[Holder], bool]:
    """The other processes that hold a file whose path fits a pattern, and whether every process could be looked at.

    Open files of other users' processes cannot be seen without being root; locks can.
    """
    found: dict[int, Holder] = {}
    all_seen = True
    for process in Path("/proc").glob("[0-9]*"):
        try:
            links = [_target(link) for link in (process / "fd").iterdir()]
        except PermissionError:
            all_seen = False
            continue
        except OSError:  # it ended meanwhile
            continue
        file = next((link for link in links if any(fnmatch.fnmatchcase(link, pattern) for pattern in patterns)), None)
        if file is not None:
            found[int(process.name)] = Holder(int(process.name), command_of(int(process.name)), file)
    for pid, file in _locks(existing(patterns)):
        found.setdefault(pid, Holder(pid, command_of(pid), file))
    found.pop(os.getpid(), None)
    return list(found.values()), all_seen


def command_of(pid: int) -> str:
    """The command line of a process, its first 200 characters."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return "its command cannot be seen"
    return " ".join(words).strip()[:200] or "without a command line"


def _target(link: Path) -> str:
    try:
        return os.readlink(link)
    except OSError:  # closed meanwhile
        return ""


def existing(patterns: Sequence[str]) -> list[str]:
    """The files that fit one of the patterns."""
    return [path for pattern in patterns for path in sorted(glob.glob(pattern))]


def _locks(paths: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Process and file of every lock on one of these files."""
    by_inode = {}
    for path in filter(os.path.exists, paths):
        status = os.stat(path)
        by_inode[f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"] = path
    locks = Path("/proc/locks")
    for line in locks.read_text().splitlines() if by_inode and locks.exists() else ():
        match = re.match(r"\d+: +\w+ +\w+ +\w+ +(\d+) +(\S+)", line)  # 1: POSIX  ADVISORY  WRITE 1234 08:01:131 0 EOF
        if match and match[2] in by_inode:
            yield int(match[1]), by_inode[match[2]]
