"""Zip archives, read member by member: each is a file of its own, `PLACE/NAME.zip!MEMBER`."""

import os
import re
import unicodedata
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

import fsspec

from data_pipeline.contract.compression import check_name, ending_of
from data_pipeline.contract.errors import InputError
from data_pipeline.contract.file_names import left_out, pattern_of

MEMBER = re.compile(r"(.+?\.zip)!(.+)", re.DOTALL | re.IGNORECASE)
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)


@dataclass(frozen=True)
class Member:
    """A file in a zip archive: its name, its size in bytes once unpacked, and the CRC-32 of these bytes."""

    name: str
    size: int
    crc: int


def split_member(path: str) -> tuple[str, str]:
    """The archive and the member (or the pattern of members) that `NAME.zip!MEMBER` names; of another path itself and nothing."""
    found = MEMBER.fullmatch(path)
    if found is None or ("://" not in path and os.path.lexists(os.path.expanduser(path))):
        return path, ""
    return found[1], found[2]


def is_zip(path: str) -> bool:
    """Whether the name says so."""
    return ending_of(path) == ".zip"


def zip_members(path: str, pattern: str = "") -> list[Member]:
    """The files in a zip archive, sorted by name; those that match a pattern (`*.json`, `**/*.json`) where one is given.

    Folders, hidden files and what macOS adds (`__MACOSX/`) are left out. Raises InputError for an archive that is damaged, has no such
    file, holds two of one name, or a member that is encrypted, an archive itself or compressed in a way that is not read.
    """
    with _opened(path) as archive:
        infos = _infos(archive, path)
    wanted = pattern_of(pattern) if pattern else None
    members = []
    for name, info in sorted(infos.items()):
        if wanted and not wanted.fullmatch(name):
            continue
        place = f"{path}!{name}"
        if info.flag_bits & 1:
            raise InputError(f"{place}: is encrypted with a password; unpack the archive and name its files")
        if info.compress_type not in METHODS:
            raise InputError(
                f"{place}: is compressed by method {info.compress_type} of zip, which is not read; unpack the archive and name its files"
            )
        if is_zip(name):
            raise InputError(f"{place}: is an archive inside another; unpack {path} and name its files")
        check_name(place)
        members.append(Member(name, info.file_size, info.CRC))
    if not members:
        raise InputError(f"{path}: holds no file{f' that matches {pattern}' if pattern else ''}; name another")
    return members


@contextmanager
def open_member(path: str, name: str) -> Iterator[IO[bytes]]:
    """The bytes of a member, by the name that `zip_members` gave it. A wrong CRC raises zipfile.BadZipFile at its end."""
    with _opened(path) as archive:
        info = _infos(archive, path).get(name)
        if info is None:
            raise InputError(f"{path}!{name}: is not in the archive any more; run the same command again")
        with archive.open(info) as stream:
            yield stream


@contextmanager
def _opened(path: str) -> Iterator[zipfile.ZipFile]:
    with fsspec.open(path, "rb") as raw:
        try:
            archive = zipfile.ZipFile(raw)
        except zipfile.BadZipFile as error:
            raise InputError(f"{path}: not readable as a zip archive ({error}); fetch it again") from None
        with archive:
            yield archive


def _infos(archive: zipfile.ZipFile, path: str) -> dict[str, zipfile.ZipInfo]:
    found: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        name = _name(info)
        if info.is_dir() or any(map(left_out, name.split("/"))):
            continue
        if name in found:
            raise InputError(f"{path}: holds two files named {name}; unpack it and name its files")
        found[name] = info
    return found


def _name(info: zipfile.ZipInfo) -> str:
    """A member's name in NFC. Windows in Korean wrote CP949 where zip has no mark of UTF-8, and Python reads CP437 there."""
    name = info.filename
    if not info.flag_bits & 0x800 and not name.isascii():
        for encoding in ("utf-8", "cp949"):
            try:
                name = name.encode("cp437").decode(encoding)
                break
            except UnicodeError:
                continue
    return unicodedata.normalize("NFC", name)
