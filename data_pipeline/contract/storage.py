"""Files: sources anywhere through fsspec, run folders on a local disk with atomic writes."""

import hashlib
import io
import json
import logging
import lzma
import os
import re
import tempfile
import unicodedata
import uuid
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import fsspec
import numpy as np

from data_pipeline.contract.archives import is_zip, open_member, split_member, zip_members
from data_pipeline.contract.compression import check_name, decompressed
from data_pipeline.contract.errors import InputError, WorkError, machine_errors_at
from data_pipeline.contract.file_names import matching_paths, printable

logger = logging.getLogger("data_pipeline")

NETWORK_PACKAGES = ("aiohttp", "gcsfs", "google", "huggingface_hub", "requests", "httpx", "urllib3")
"""Whose errors, while a file is read, are the network's or the server's."""


@dataclass(frozen=True)
class InputFile:
    """A file of a corpus and what tells it from a later version of itself: its size in bytes and its time stamp."""

    path: str
    size: int
    stamp: str


def find_input_files(glob: str) -> list[InputFile]:
    """The files that a glob or path (local or any fsspec URL) matches, sorted by path; of a zip archive its members.

    No match is an InputError, and so is an archive or a compression that is not read. Hidden files are matched by their own names only.
    """
    outer, members = split_member(glob)
    try:
        filesystem, pattern = fsspec.core.url_to_fs(os.path.expanduser(outer))
        if "file" in filesystem.protocol:
            paths, hidden = matching_paths(pattern)
            if hidden:
                logger.info("%s: hidden files are left out: %s", glob, shortened(map(printable, hidden)))
        else:
            # A name that holds [ or * itself is meant as it stands.
            paths = [pattern] if filesystem.isfile(pattern) else sorted(filesystem.glob(pattern))
        if not paths and pattern.startswith("http"):
            _ask_why(filesystem, pattern)
        files = [file for path in paths for file in _input_files(filesystem, path, members)]
    except PermissionError as error:
        raise InputError(f"{glob}: cannot be listed ({error.strerror}); check the permissions") from None
    except FileNotFoundError as error:
        raise InputError(f"{error.filename}: is a link to a file that does not exist; mend or remove it") from None
    except InputError:
        raise
    except Exception as error:  # a package that is missing, a host that does not answer: each file system has its own
        if "://" not in glob and not isinstance(error, ImportError | ValueError):
            raise
        raise InputError(
            f"{glob}: cannot be reached ({error}); see to the address and the network, install what is missing, or copy the "
            "files here"
        ) from None
    if not files:
        if paths:
            raise InputError(f"{glob}: no such file, only a folder; name its files, as in {glob.rstrip('/')}/*")
        raise InputError(f"{glob}: no such file; check the path or the glob of --source or of the recipe")
    return files


def _input_files(filesystem: fsspec.AbstractFileSystem, path: str, members: str) -> list[InputFile]:
    """A file; the members of an archive, those that match the pattern `members` where it is given; nothing of a folder."""
    information = filesystem.info(path)
    if information["type"] != "file":
        return []
    place = filesystem.unstrip_protocol(path).removeprefix("file://")
    if is_zip(path):
        found = zip_members(place, members)
        return [InputFile(f"{place}!{member.name}", member.size, f"CRC-32 {member.crc:08x}") for member in found]
    check_name(place)
    stamp = str(
        information.get("etag")
        or information.get("ETag")
        or information.get("blob_id")
        or information.get("Last-Modified")
        or information.get("mtime")
        or ""
    )
    return [InputFile(place, int(information["size"] or 0), stamp)]


def shortened(names: Iterable[str], most: int = 3) -> str:
    """The first few names, and how many more there are."""
    listed = list(names)
    more = f" and {len(listed) - most:,} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more


def _ask_why(filesystem: fsspec.AbstractFileSystem, url: str) -> None:
    """Raises what the host answers, or that it does not: `isfile` and `glob` take any trouble for a file that is not there."""
    try:
        filesystem.info(url)
    except FileNotFoundError as error:
        cause = error.__cause__
        if _is_of_network(cause) and getattr(cause, "status", None) != 404:
            raise ConnectionError(str(cause)) from None


def _is_of_network(error: BaseException | None) -> bool:
    return type(error).__module__.partition(".")[0] in NETWORK_PACKAGES


def path_in_glob(path: str, glob: str) -> str:
    """Where a file that `find_input_files(glob)` found lies below the folder at which the glob begins to vary."""
    whole = glob if "://" in glob else os.path.abspath(os.path.expanduser(glob))
    folder = re.split(r"[*?\[]", split_member(whole)[0])[0].rpartition("/")[0] + "/"
    if not path.startswith(folder):  # the disk has it in another Unicode form than the glob
        path, folder = (unicodedata.normalize("NFC", each) for each in (path, folder))
    return path.removeprefix(folder)


def name_of(path: str) -> str:
    """What a file is called in the ids of its documents: its name; of a member of an archive `NAME.zip!MEMBER`."""
    outer, member = split_member(path)
    return printable(f"{Path(outer).name}!{member}" if member else Path(path).name)


@contextmanager
def open_stored(path: str) -> Iterator[IO[bytes]]:
    """Opens a file for reading the bytes that are stored, which may be compressed ones; those of a member of an archive are unpacked."""
    archive, member = split_member(path)
    with open_member(archive, member) if member else fsspec.open(path, "rb") as stream:
        yield stream


@contextmanager
def open_input(path: str) -> Iterator[IO[bytes]]:
    """Opens a source file for reading bytes and lines, behind its compression; the rest is as of `decompressed`."""
    with open_stored(path) as stream, decompressed(stream, path) as plain:
        yield plain


@contextmanager
def damage_named(path: str | Path) -> Iterator[None]:
    """Turns what goes wrong while a source file is read into an error that names it: an InputError where the file is
    damaged, a WorkError where the machine does not give it."""
    try:
        yield
    except (EOFError, lzma.LZMAError, zlib.error, zipfile.BadZipFile) as error:
        raise _damaged(path, error) from None
    except FileNotFoundError:
        raise WorkError(f"{path}: vanished while the work ran; restore it and run the same command again") from None
    except Exception as error:
        if _is_of_network(error):
            raise WorkError(
                f"{path}: cannot be read ({type(error).__name__}: {error}); see to the network and run the same command again"
            ) from None
        if not isinstance(error, OSError):
            raise
        if error.errno is None:  # how gzip and bz2 tell that a file is damaged
            raise _damaged(path, error) from None
        raise WorkError(
            f"{path}: cannot be read ({error.strerror}); see to it and run the same command again"
        ) from None


class DamagedFileError(InputError):
    """A compressed file that is cut off or damaged; `mend` is what its message says to do."""

    mend = "fetch it again"


def _damaged(path: str | Path, error: Exception) -> InputError:
    return DamagedFileError(f"{path}: cannot be decompressed ({error}); {DamagedFileError.mend}")


def write_atomically(path: Path, content: bytes) -> None:
    """Writes a file so that a reader sees the old one or the new one, also after a power cut.

    Raises WorkError where the machine does not take it: a full or read-only disk, no permission.
    """
    with machine_errors_at(path):
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


def check_output(path: Path, flag: str) -> None:
    """Raises InputError naming the flag, before a long computation, where no file can be written because of what is in its place."""
    if path.is_dir():
        raise InputError(f"{flag} {path}: is a folder; give the name of a file")
    above = next(folder for folder in path.absolute().parents if folder.exists())
    if not above.is_dir():
        raise InputError(f"{flag} {path}: {above} is a file, not a folder; give another place")


def check_writable(folder: Path, instead: str) -> None:
    """Raises InputError, before a long computation, where a folder (which need not be there yet) takes no files.

    - `instead`: what the sentence proposes.
    """
    above = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.is_dir())
    try:
        with tempfile.TemporaryFile(dir=above):
            pass
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror}); {instead}") from None


def remove_unfinished(paths: Iterable[Path]) -> None:
    """Deletes those of the files that a killed `write_atomically` left behind; nobody may be writing them."""
    for path in paths:
        if re.fullmatch(r"\..+\.[0-9a-f]{8}", path.name) and path.is_file():
            path.unlink()


def write_array(path: Path, array: np.ndarray) -> None:
    """Writes a .npy file atomically. (np.save tells of a disk that fills up without the system's error number.)"""
    content = io.BytesIO()
    np.save(content, array, allow_pickle=False)
    write_atomically(path, content.getvalue())


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
    """Writes JSON atomically, in UTF-8, with keys as they come. Half a surrogate pair, as in a file name that is not UTF-8, is escaped."""
    write_atomically(path, (json.dumps(value, ensure_ascii=False, indent=2) + "\n").encode(errors="backslashreplace"))


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


def append(file: io.FileIO, content: bytes) -> None:
    """Writes all of it to an unbuffered file and makes it durable; OSError where the disk is full."""
    while content:  # a disk that is nearly full takes a part, and says that it is full at the next
        content = content[file.write(content) :]
    os.fsync(file.fileno())
