"""Lines of a text file, with the place of each and of each that cannot be read."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from data_pipeline.corpus.sources.encodings import encoding_of, looks_like, to_convert


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A record that is no document: where it stands (`FILE:LINE`) and what is wrong with it.

    - `mend`: what to do about it, where the reader knows better than "mend the file".
    - `ends`: nothing that follows in the file can be read either. `unread`: bytes of it from there on; 0 where the file is cut off.
    """

    location: str
    problem: str
    mend: str = ""
    ends: bool = False
    unread: int = 0


@dataclass(frozen=True, slots=True)
class Remark:
    """What a reader counts of a file beside its records, under the name of the count."""

    count: str
    number: int = 1


@dataclass(frozen=True, slots=True)
class Skipped(Remark):
    """What is no document by the format's design: a redirect, or the templates of a whole file.

    - `size`: its bytes in the file, of text in UTF-8.
    """

    size: int = 0


def decoded_lines(stream: IO[bytes], file: str) -> Iterator[tuple[int, str] | Unreadable]:
    """Numbered lines without their line end; a line that is not UTF-8 is Unreadable, and reading continues behind it.

    A byte order mark at the start of a line goes: files that were put behind each other hold several.
    """
    for number, raw in enumerate(stream, 1):
        try:
            line = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            yield _undecoded(stream, f"{file}:{number}", raw, error)
            continue
        yield number, line.rstrip("\r\n").removeprefix("\ufeff")


def _undecoded(stream: IO[bytes], location: str, raw: bytes, error: UnicodeDecodeError) -> Unreadable:
    if encoding := encoding_of(stream):
        before = len(raw[: error.start].decode(errors="replace"))
        return Unreadable(location, f"not {encoding} (behind {before} characters)")
    where = f"byte 0x{raw[error.start]:02x} at column {error.start + 1}"
    if found := looks_like(raw):
        name, encoding = found
        return Unreadable(location, f"looks like {name}, not UTF-8 ({where})", to_convert(encoding))
    return Unreadable(location, f"not UTF-8 ({where})")


def left_in(stream: IO[bytes]) -> int:
    """Bytes that a reader has not taken yet; those before the damage where the file is damaged again."""
    number = 0
    try:
        while content := stream.read(1 << 16):
            number += len(content)
    except (OSError, EOFError, ValueError):
        return number  # what the caller tells of is the first damage
    return number
