"""Files: sources anywhere through fsspec, run folders on a local disk with atomic writes."""

import hashlib
import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import fsspec

from data_pipeline.contract.errors import InputError


@dataclass(frozen=True)
class InputFile:
    """A file of a corpus and what tells it from a later version of itself: its size in bytes and its time stamp."""

    path: str
    size: int
    stamp: str


def find_input_files(glob: str) -> list[InputFile]:
    """The files that a glob or path (local or any fsspec URL) matches, sorted by path. No match is an InputError."""
    filesystem, pattern = fsspec.core.url_to_fs(os.path.expanduser(glob))
    try:
        paths = sorted(filesystem.glob(pattern))
    except PermissionError as error:
        raise InputError(f"{glob}: cannot be listed ({error.strerror}); check the permissions") from None
    files = []
    for path in paths:
        information = filesystem.info(path)
        if information["type"] != "file":
            continue
        stamp = str(information.get("etag") or information.get("mtime") or "")
        files.append(InputFile(filesystem.unstrip_protocol(path), int(information["size"]), stamp))
    if not files:
        raise InputError(f"{glob}: no such file; check the path or the glob of --source or of the recipe")
    return [InputFile(file.path.removeprefix("file://"), file.size, file.stamp) for file in files]


@contextmanager
def open_input(path: str) -> Iterator[IO[bytes]]:
    """Opens a source file for reading bytes; .gz, .xz, .bz2 and .zst are decompressed on the way."""
    with fsspec.open(path, "rb", compression="infer") as stream:
        yield stream


def write_atomically(path: Path, content: bytes) -> None:
    """Writes a file so that a reader sees the old one or the new one, also after a power cut."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        with open(temporary, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Makes renames inside a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file(path: Path) -> None:
    """Makes a file's content durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_json(path: Path, value: Any) -> None:
    """Writes JSON atomically, in UTF-8, with sorted keys left as they came."""
    write_atomically(path, (json.dumps(value, ensure_ascii=False, indent=2) + "\n").encode())


def read_json(path: Path) -> Any:
    """Reads JSON; None where the file is absent."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        return json.loads(content)
    except ValueError as error:
        raise InputError(f"{path}: not readable as JSON ({error}); restore it or remove it and run again") from None


def sha256_of_file(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
