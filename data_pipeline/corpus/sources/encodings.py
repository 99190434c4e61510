"""Encodings: files in another one than UTF-8 are read where the source says so, and told by what they look like where it does not."""

import codecs
import io
import re
from typing import IO, Any

from data_pipeline.contract.compression import head_of
from data_pipeline.contract.errors import InputError

UTF8 = "utf-8"
READ_BYTES = 1 << 16
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "UTF-32", "utf-32"),
    (codecs.BOM_UTF32_BE, "UTF-32", "utf-32"),
    (codecs.BOM_UTF16_LE, "UTF-16", "utf-16"),
    (codecs.BOM_UTF16_BE, "UTF-16", "utf-16"),
)
TABLES = ((b"PAR1", "a Parquet file", "parquet"), (b"ARROW1", "an Arrow file", ""))
_HANGUL = re.compile("[가-힣ㄱ-ㅣ]")
_HANGUL_AND_ASCII = re.compile("[가-힣ㄱ-ㅣ\t\n\r -~]")
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
_UNDECODED = "\udcff"  # encoded as a byte that is no UTF-8, so that the line that holds it is unreadable, and no other

# What Hangul looks like in bytes that were taken for Latin-1 or Windows-1252: 한국 in CP949 is ÇÑ±¹, in UTF-8 íêµ­.
_AS_LATIN = "\x80-\xff€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ"
_CP949_AS_LATIN = re.compile(r"(?:[\xb0-\xc8][\xa1-\xfe]){2}")
_UTF8_AS_LATIN = re.compile(rf"(?:[\xea-\xed][{_AS_LATIN}]{{2}} ?){{2}}")
_LATIN = re.compile(rf"[{_AS_LATIN}]")
_HAN_OR_LOST = re.compile("[\u4e00-\u9fff\uf900-\ufaff\ufffd]")
LOOKED_AT = 1000
"""Characters of a text that are searched for mojibake."""
LEAST_RARE = 3
"""Syllables outside KS X 1001 from which on a text may be mojibake."""
LEAST_MOJIBAKE = 0.5
"""Share of the letters outside ASCII that must turn into Hangul for a text to count as mojibake."""


def standard_encoding(name: str) -> str:
    """Python's name of an encoding of text; EUC-KR is read as its superset CP949. LookupError for a name that is none."""
    "".encode(name)  # also refuses codecs that are no encodings of text
    found = codecs.lookup(name).name
    return {"euc_kr": "cp949", "utf-8-sig": UTF8, "ascii": UTF8}.get(found, found)


def _unread(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return _UNDECODED, error.end


codecs.register_error("korean-data-undecoded", _unread)


class _AsUtf8(io.RawIOBase):
    """A file of another encoding as UTF-8. What is no character of it becomes the byte 0xff."""

    def __init__(self, stream: IO[bytes], encoding: str) -> None:
        self._stream, self._waiting, self._ended = stream, b"", False
        self._decoder = codecs.getincrementaldecoder(encoding)("korean-data-undecoded")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._waiting and not self._ended:
            content = self._stream.read(READ_BYTES)
            self._ended = not content
            self._waiting = self._decoder.decode(content, final=self._ended).encode(UTF8, "surrogateescape")
        taken, self._waiting = self._waiting[: len(buffer)], self._waiting[len(buffer) :]
        buffer[: len(taken)] = taken
        return len(taken)


class _Converted(io.BufferedReader):
    """Keeps the name of the encoding that was converted to UTF-8."""

    def __init__(self, raw: io.RawIOBase, encoding: str) -> None:
        super().__init__(raw, READ_BYTES)
        self.encoding = encoding


def encoding_of(stream: object) -> str:
    """The encoding from which `as_utf8` converts a stream; empty where it is UTF-8 in the file."""
    return stream.encoding if isinstance(stream, _Converted) else ""


def as_utf8(stream: Any, encoding: str, path: str) -> Any:
    """The stream of a text file in UTF-8.

    Raises InputError where it is said to be UTF-8, but begins as UTF-16, UTF-32 or a table of Parquet or Arrow.
    """
    encoding = standard_encoding(encoding)
    head, stream = head_of(stream)
    for signature, what, reader in TABLES:
        if head.startswith(signature):
            use = f"read it with the format {reader}" if reader else "write it as a stream (.arrow of save_to_disk)"
            raise InputError(f"{path}: is {what}, not text; {use}")
    if encoding != UTF8:
        if encoding == "utf-16" and not head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            encoding = _utf16_of(head) or "utf-16-le"
        return _Converted(_AsUtf8(stream, encoding), encoding)
    for mark, name, codec in BYTE_ORDER_MARKS:
        if head.startswith(mark):
            raise InputError(f"{path}: is {name} (by its byte order mark), not UTF-8; {to_convert(codec)}")
    if b"\0" in head and (utf16 := _utf16_of(head)):
        raise InputError(f"{path}: looks like UTF-16 without a byte order mark, not UTF-8; {to_convert(utf16)}")
    return stream


def to_convert(encoding: str) -> str:
    """What to do about a file in an encoding."""
    return (
        f'convert the file (iconv -f {encoding} -t utf-8), or name its encoding: --source FORMAT@{encoding}:GLOB, or encoding="{encoding}" '
        "of the recipe's source"
    )


def looks_like(raw: bytes) -> tuple[str, str] | None:
    """Name and codec of the encoding in which bytes that are not UTF-8 are Korean; None where that cannot be told."""
    if len(_HANGUL.findall(raw.decode(UTF8, "ignore"))) * 3 * 2 > len(raw):
        return None  # UTF-8 with a few bytes that are damaged
    if b"\0" in raw and (utf16 := _utf16_of(raw)):
        return "UTF-16", utf16
    text = raw.decode("cp949", "replace")
    outside = _NOT_ASCII.findall(text)
    if outside and len(_HANGUL.findall(text)) > 0.6 * len(outside):
        johab = raw.decode("johab", "replace")  # its bytes are rare syllables in CP949
        if _rare_syllables(text) and _HANGUL.search(johab) and not _rare_syllables(johab):
            return "Johab", "johab"
        return "CP949 (EUC-KR)", "cp949"
    return None


def _utf16_of(head: bytes) -> str | None:
    """The byte order in which bytes are Korean or English in UTF-16."""
    for codec in ("utf-16-le", "utf-16-be"):
        text = head[: len(head) // 2 * 2].decode(codec, "replace")
        if len(text) > 1 and len(_HANGUL_AND_ASCII.findall(text)) > 0.7 * len(text):
            return codec
    return None


def mojibake(text: str) -> str:
    """What is wrong with a text whose bytes were taken for another encoding when it was saved; else empty. Its beginning decides."""
    text = text[:LOOKED_AT]
    if _HANGUL.search(text):  # at once, in nearly every text
        head = text[:200]
        spoilt = len(_HAN_OR_LOST.findall(head)) > 0.1 * len(head) and _rare_syllables(text)
        return "mojibake: UTF-8 that was read as CP949" if spoilt else ""
    if _CP949_AS_LATIN.search(text) and _restored(text, ("latin-1",), "cp949"):
        return f"mojibake: CP949 that was read as Latin-1 ({_excerpt(text, 'cp949')})"
    if _UTF8_AS_LATIN.search(text) and _restored(text, ("cp1252", "latin-1"), UTF8):
        return f"mojibake: UTF-8 that was read as Latin-1 ({_excerpt(text, UTF8)})"
    return ""


def _bytes(text: str, taken_for: tuple[str, ...]) -> bytes:
    """The bytes that were taken for characters; those of Windows-1252 where Latin-1 has none."""
    pieces = []
    for character in text:
        for encoding in taken_for:
            try:
                pieces.append(character.encode(encoding))
                break
            except UnicodeEncodeError:
                continue
        else:
            pieces.append(b"?")
    return b"".join(pieces)


def _restored(text: str, taken_for: tuple[str, ...], encoding: str) -> bool:
    letters = len(_NOT_ASCII.findall(text))
    restored = _bytes(text, taken_for).decode(encoding, "ignore")
    per_syllable = 2 if encoding == "cp949" else 3
    return len(_HANGUL.findall(restored)) * per_syllable > LEAST_MOJIBAKE * letters


def _rare_syllables(text: str) -> bool:
    """Whether most of the Hangul is outside the 2,350 syllables of KS X 1001, which Korean is written with: 한국 turns into �븳援�."""
    encoded = [syllable.encode("cp949") for syllable in re.findall("[가-힣]", text)]
    rare = sum(pair[-1] < 0xA1 for pair in encoded)
    return rare >= LEAST_RARE and rare > 0.5 * len(encoded)


def _excerpt(text: str, encoding: str) -> str:
    found = _LATIN.search(text)
    piece = text[found.start() :].split()[0][:24] if found else ""
    restored = _bytes(piece, ("latin-1", "cp1252") if encoding == "cp949" else ("cp1252", "latin-1"))
    return f"{piece} for {restored.decode(encoding, 'ignore')}"
