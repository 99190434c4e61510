"""Lines of a UTF-8 file, with the place of each and of each that cannot be read."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A record that is no document: where it stands (`FILE:LINE`) and what is wrong with it."""

    location: str
    problem: str


def decoded_lines(stream: IO[bytes], file: str) -> Iterator[tuple[int, str] | Unreadable]:
    """Numbered lines without their line end; a line that is not UTF-8 is Unreadable and reading goes on after it."""
    for number, raw in enumerate(stream, 1):
        try:
            line = raw.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            byte = raw[error.start]
            yield Unreadable(f"{file}:{number}", f"not UTF-8 (byte 0x{byte:02x} at column {error.start + 1})")
            continue
        yield number, line.rstrip("\r\n")
