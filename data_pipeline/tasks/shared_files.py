"""What tasks leave, in a bucket: for machines that share no file system. Each keeps its copies at the same place below a folder of its own."""

import json
import uuid
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_pipeline.contract.bucket import Version, commit_object, download, read_object, upload
from data_pipeline.contract.errors import WorkError
from data_pipeline.contract.storage import sha256_of_file

THREADS = 8
"""Files on their way at once."""


@dataclass(frozen=True)
class SharedFiles:
    """- `root`: the folder of this machine. `url`: the one in the bucket."""

    root: Path
    url: str

    def record(self, path: Path) -> dict[str, Any] | None:
        """The done-record that others see at a path below the root."""
        return _read(read_object(self._url(path)))

    def commit(self, folder: Path, names: Iterable[str], path: Path, record: dict[str, Any]) -> dict[str, Any]:
        """Uploads an attempt's files and then its done-record, unless another attempt was first: returns the record that won.

        Raises WorkError where another command, that wants another result, works in the same place.
        """
        with ThreadPoolExecutor(THREADS) as threads:
            list(threads.map(lambda name: upload(folder / name, self._url(folder / name)), names))
        standing = read_object(self._url(path))
        winner = _read(standing)
        if winner is None or winner["fingerprint"] != record["fingerprint"]:
            winner = json.loads(commit_object(self._url(path), json.dumps(record).encode(), standing))
        if winner["fingerprint"] != record["fingerprint"]:
            raise WorkError(
                f"{self._url(path)}: another command with other inputs, recipe or code works there; give this one a --bucket of its own"
            )
        return winner

    def fetch(self, files: Iterable[tuple[Path, int, str, Path]]) -> None:
        """Brings files here that are not here yet: each with its size, its SHA-256 and the done-record that names it.

        Raises WorkError for one that is not what its task wrote.
        """
        with ThreadPoolExecutor(THREADS) as threads:
            list(threads.map(lambda file: self._fetch(*file), files))

    def _fetch(self, path: Path, size: int, sha256: str, record: Path) -> None:
        if path.exists() and path.stat().st_size == size:
            return
        temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
        try:
            download(self._url(path), temporary)
            if sha256_of_file(temporary) != sha256:
                raise WorkError(
                    f"{self._url(path)}: not what was written there; delete {self._url(record)} and run the same command again"
                )
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)

    def _url(self, path: Path) -> str:
        return f"{self.url.rstrip('/')}/{path.relative_to(self.root).as_posix()}"


def _read(version: Version | None) -> dict[str, Any] | None:
    return json.loads(version.content) if version else None
