"""Compressed files: which compressions are read, and which files are refused because they are archives or documents of an office."""

import bz2
import gzip
import io
import lzma
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Any

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.packages import needed

READ_BYTES = 1 << 16
HEAD_BYTES = 512
COMPRESSED = (".gz", ".xz", ".bz2", ".zst")
"""Endings of the names of files that are decompressed, in small letters or capitals."""
UNPACK = {
    ".tar": "tar -xf",
    ".tgz": "tar -xf",
    ".tbz": "tar -xf",
    ".tbz2": "tar -xf",
    ".txz": "tar -xf",
    ".tzst": "tar -xf",
    ".7z": "7z x",
    ".rar": "unrar x",
    ".alz": "unalz",
    ".egg": "unegg",
}
"""Endings of archives that are not read, and the command that unpacks each."""
OTHER_COMPRESSIONS = (".lzma", ".lz4", ".lzo", ".br", ".snappy", ".sz", ".z")
SIGNATURES: tuple[tuple[bytes, str, str], ...] = (
    (rb"\x1f\x8b", "gzip data", ".gz"),
    (rb"\xfd7zXZ\0", "xz data", ".xz"),
    (rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)", "bzip2 data", ".bz2"),
    (rb"\x28\xb5\x2f\xfd", "zstandard data", ".zst"),
    (rb"PK(?:\x03\x04|\x05\x06)", "a zip archive", ".zip"),
    (rb".{257}ustar", "a tar archive", ".tar"),
    (rb"7z\xbc\xaf\x27\x1c", "a 7z archive", ".7z"),
    (rb"Rar!\x1a\x07", "a RAR archive", ".rar"),
    (rb"ALZ\x01", "an ALZ archive", ".alz"),
    (rb"EGGA", "an EGG archive", ".egg"),
    (rb"\x04\x22\x4d\x18", "LZ4 data", ".lz4"),
    (rb"\x1f\x9d", "data of compress", ".Z"),
    (rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1|HWP Document File", "a Hangul, Word or Excel document", ""),
    (rb"%PDF-", "a PDF document", ""),
)
"""How files begin that no reader of text takes: pattern, what it is, and the ending that names it."""
_SIGNATURES = tuple((re.compile(pattern, re.DOTALL), what, ending) for pattern, what, ending in SIGNATURES)


def ending_of(name: str) -> str:
    """The last ending of a file's name, in small letters; without what follows `?` in a URL."""
    if "://" in name:
        name = name.partition("?")[0]
    found = re.search(r"\.[^./]+\Z", name)
    return found[0].lower() if found else ""


def without_compression(name: str) -> str:
    """The name without the ending of its compression."""
    return name[: -len(ending)] if (ending := ending_of(name)) in COMPRESSED and name.lower().endswith(ending) else name


def check_name(path: str) -> None:
    """Raises InputError where a name says that the file is an archive that is not read, or is compressed in another way."""
    ending = ending_of(path)
    inner = ending_of(without_compression(path)) if ending in COMPRESSED else ""
    archive = next((each for each in (ending, inner) if each in UNPACK), None)
    if archive:
        raise _archive(path, f"is a {archive} archive", archive)
    if ending in OTHER_COMPRESSIONS:
        raise InputError(f"{path}: {ending} is not read; decompress it, or compress it as {', '.join(COMPRESSED)}")


def _archive(path: str, what: str, ending: str) -> InputError:
    name = re.split(r"[/!]", path)[-1]
    return InputError(f"{path}: {what}, which is not read; unpack it ({UNPACK[ending]} {name}) and name its files")


@contextmanager
def decompressed(stream: IO[bytes], path: str) -> Iterator[IO[bytes]]:
    """What a file holds behind the compression that its name tells (COMPRESSED); the file itself where it tells none.

    A file that is cut off raises EOFError where it ends, one that is damaged OSError or lzma.LZMAError. Raises InputError where
    what is behind it is another compression, an archive or an office document.
    """
    check_name(path)
    ending = ending_of(path)
    if ending == ".gz":
        with gzip.GzipFile(fileobj=stream, mode="rb") as plain:
            yield _checked(plain, path)
    elif ending in COMPRESSED:
        yield _checked(io.BufferedReader(_Frames(stream, *_FRAMES[ending]()), READ_BYTES), path)
    else:
        yield _checked(stream, path)


def _checked(stream: Any, path: str) -> Any:
    head, stream = head_of(stream)
    found = next(((what, ending) for pattern, what, ending in _SIGNATURES if pattern.match(head)), None)
    if found is None:
        return stream
    what, ending = found
    if ending in UNPACK:
        raise _archive(path, f"is {what}", ending)
    if ending not in (*COMPRESSED, ".zip"):
        raise InputError(f"{path}: is {what}, not text; save its text as a text file")
    if ending_of(path) == ending or ending_of(path) in COMPRESSED:
        raise InputError(f"{path}: holds {what} inside another compression; decompress it once")
    if ending == ".zip" and ending_of(path) in (".docx", ".xlsx", ".pptx", ".hwpx", ".epub", ".odt"):
        raise InputError(f"{path}: is an office document, not text; save its text as a text file")
    holds = "is" if ending == ".zip" else "holds"
    raise InputError(f"{path}: {holds} {what}, but its name does not end with {ending}; rename it")


def head_of(stream: Any) -> tuple[bytes, Any]:
    """The first bytes of a file that was just opened (HEAD_BYTES, fewer of a short one), and the file from its start."""
    head = b""
    while len(head) < HEAD_BYTES and (more := stream.read(HEAD_BYTES - len(head))):
        head += more
    if stream.seekable():
        stream.seek(0)
        return head, stream
    return head, io.BufferedReader(_Again(head, stream), READ_BYTES)


class _Again(io.RawIOBase):
    """A stream, behind what was read of it already."""

    def __init__(self, head: bytes, stream: IO[bytes]) -> None:
        self._head, self._stream = head, stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        content = self._head[: len(buffer)] or self._stream.read(len(buffer))
        self._head = self._head[len(buffer) :]
        buffer[: len(content)] = content
        return len(content)


class _Frames(io.RawIOBase):
    """Decompresses all frames (zstandard), or streams (xz, bzip2), of a file.

    The libraries' own readers stop after the first frame (zstandard), pass over a damaged one behind a whole one without a word
    (xz, bzip2), or take a cut file for a whole one (zstandard).
    """

    def __init__(self, stream: IO[bytes], new_frame: Callable[[], Any], damaged: type[Exception], name: str) -> None:
        self._stream, self._new_frame, self._damaged, self._name = stream, new_frame, damaged, name
        self._frame = new_frame()
        self._inside_frame, self._waiting = False, memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._waiting:
            compressed = self._frame.unused_data if self._frame.eof else b""
            if self._frame.eof:
                self._frame, self._inside_frame = self._new_frame(), False
            compressed = compressed or self._stream.read(READ_BYTES)
            while compressed and not self._inside_frame and not (compressed := compressed.lstrip(b"\0")):
                compressed = self._stream.read(READ_BYTES)  # padding behind a stream of xz
            if not compressed:
                if self._inside_frame:
                    raise EOFError(f"the file ends inside {self._name}")
                return 0
            self._inside_frame = True
            try:
                self._waiting = memoryview(self._frame.decompress(compressed))
            except self._damaged as error:
                raise OSError(str(error)) from None  # as gzip does
        taken, self._waiting = self._waiting[: len(buffer)], self._waiting[len(buffer) :]
        buffer[: len(taken)] = taken
        return len(taken)


def _zstandard() -> tuple[Callable[[], Any], type[Exception], str]:
    zstandard = needed("zstandard", "the reading of .zst files")  # of the extra [data]; training reads no corpus
    return zstandard.ZstdDecompressor().decompressobj, zstandard.ZstdError, "a zstandard frame"


_FRAMES: dict[str, Callable[[], tuple[Callable[[], Any], type[Exception], str]]] = {
    ".xz": lambda: (lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ), lzma.LZMAError, "a stream of xz"),
    ".bz2": lambda: (bz2.BZ2Decompressor, OSError, "a stream of bzip2"),
    ".zst": _zstandard,
}
"""Ending -> the maker of a decompressor of one frame, what it raises, and what a frame is called."""
