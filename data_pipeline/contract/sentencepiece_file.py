"""A SentencePiece model file, read and written without the package sentencepiece (its sentencepiece_model.proto, version 0.2)."""

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from data_pipeline.contract.errors import InputError

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, BYTE = 1, 2, 3, 4, 6
"""ModelProto.SentencePiece.Type."""
UNIGRAM = 1
"""TrainerSpec.ModelType; 2 is BPE."""
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_PIECES, _TRAINER, _NORMALIZER = 1, 2, 3
_Field = tuple[int, int, int | bytes]
"""Number, wire type, value."""


class Piece(NamedTuple):
    """A row: its text, its log probability, and what it is (NORMAL, UNKNOWN, CONTROL, USER_DEFINED, BYTE)."""

    text: str
    score: float
    kind: int


@dataclass(frozen=True)
class SentencePieceModel:
    """What a model file says, as far as cutting text asks for it.

    - `pieces`: in the order of their ids.
    - `charsmap`: of the normaliser, as tokenizers' Precompiled takes it; empty for `identity`.
    - `others`: the file's other fields, as they lie there.
    """

    pieces: tuple[Piece, ...]
    charsmap: bytes
    others: tuple[_Field, ...]

    def ids(self) -> dict[str, int]:
        """Text -> id."""
        return {piece.text: index for index, piece in enumerate(self.pieces)}

    def with_pieces(self, pieces: Sequence[Piece]) -> "SentencePieceModel":
        """The model with other rows."""
        return SentencePieceModel(tuple(pieces), self.charsmap, self.others)

    def to_bytes(self) -> bytes:
        """The file; of a model that was read, the bytes that were read."""
        rows: list[_Field] = [(_PIECES, _BYTES, _of_piece(piece)) for piece in self.pieces]
        return _message([*rows, *self.others])


def read_sentencepiece(path: Path) -> SentencePieceModel:
    """The Unigram model of a file.

    Raises InputError where the file is not a SentencePiece model, or one that tokenizers does not cut as here: another kind than
    Unigram, blanks that are kept or end a word, characters that fall back on bytes.
    """
    content = path.read_bytes()
    try:
        return _read(content, path)
    except (IndexError, struct.error, UnicodeDecodeError, ValueError):
        raise InputError(f"{path}: not a SentencePiece model; restore the file") from None


def parse_sentencepiece(content: bytes) -> SentencePieceModel:
    """The model of bytes that SentencePiece has just made."""
    return _read(content, Path("model"))


def _read(content: bytes, path: Path) -> SentencePieceModel:
    fields = list(_fields(content))
    pieces = tuple(_piece(value) for number, _, value in fields if number == _PIECES and isinstance(value, bytes))
    trainer = _numbers(next((value for number, _, value in fields if number == _TRAINER), b""))
    normalizer_fields = next((value for number, _, value in fields if number == _NORMALIZER), b"")
    normalizer = _numbers(normalizer_fields)
    if not pieces:
        raise ValueError("no pieces")
    if trainer.get(3, UNIGRAM) != UNIGRAM:
        raise InputError(f"{path}: not a Unigram model; give its Hugging Face folder with tokenizer.json instead")
    # add_dummy_prefix, remove_extra_whitespaces, escape_whitespaces; treat_whitespace_as_suffix, byte_fallback.
    usual = all(normalizer.get(number, 1) == 1 for number in (3, 4, 5)) and not trainer.get(24) and not trainer.get(35)
    if not usual or any(piece.kind == BYTE for piece in pieces):
        raise InputError(
            f"{path}: treats blanks or unknown characters in a way that is not known here; give its Hugging Face folder with "
            "tokenizer.json instead"
        )
    charsmap = next((value for number, _, value in _fields(_as_bytes(normalizer_fields)) if number == 2), b"")
    return SentencePieceModel(pieces, _as_bytes(charsmap), tuple(each for each in fields if each[0] != _PIECES))


def _piece(content: bytes) -> Piece:
    text, score, kind = "", 0.0, NORMAL
    for number, _, value in _fields(content):
        if number == 1:
            text = _as_bytes(value).decode()
        elif number == 2:
            score = struct.unpack("<f", _as_bytes(value))[0]
        elif number == 3 and isinstance(value, int):
            kind = value
    return Piece(text, score, kind)


def _of_piece(piece: Piece) -> bytes:
    kind: list[_Field] = [] if piece.kind == NORMAL else [(3, _VARINT, piece.kind)]
    return _message([(1, _BYTES, piece.text.encode()), (2, _FIXED32, struct.pack("<f", piece.score)), *kind])


def _as_bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise ValueError("a number where bytes belong")
    return value


def _numbers(message: int | bytes) -> dict[int, int]:
    return {number: value for number, _, value in _fields(_as_bytes(message)) if isinstance(value, int)}


def _fields(message: bytes) -> Iterator[_Field]:
    """The fields of a protocol buffer in the order in which they lie there."""
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        number, wire = key >> 3, key & 7
        if wire == _VARINT:
            value, place = _varint(message, place)
            yield number, wire, value
            continue
        if wire == _BYTES:
            size, place = _varint(message, place)
        elif wire in (_FIXED32, _FIXED64):
            size = 4 if wire == _FIXED32 else 8
        else:
            raise ValueError(f"wire type {wire}")
        if place + size > len(message):
            raise IndexError("cut short")
        yield number, wire, message[place : place + size]
        place += size


def _varint(message: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            return value, place


def _message(fields: Iterable[_Field]) -> bytes:
    parts = bytearray()
    for number, wire, value in fields:
        parts += _as_varint(number << 3 | wire)
        if isinstance(value, int):
            parts += _as_varint(value)
        else:
            if wire == _BYTES:
                parts += _as_varint(len(value))
            parts += value
    return bytes(parts)


def _as_varint(value: int) -> bytes:
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])
