"""Texts as tokens that know their characters, and the special tokens around them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import tokenizers
from numpy.typing import NDArray

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.tokenizer import Tokenizer

MAX_LENGTH = "--settings.max-length (--max-length where a model is asked)"
"""The flags of the most tokens of a row."""

Ids = NDArray[np.int32]
Places = NDArray[np.int64]


class Pieces(NamedTuple):
    """The tokens of a text, without special ones.

    - `tokens`: int32 [n].
    - `starts`, `ends`: int64 [n], the characters of each, blanks before them left out; neither ever decreases. A token that is a
      blank alone has none, and starts with the word behind it.
    """

    tokens: Ids
    starts: Places
    ends: Places


class FramedRow(NamedTuple):
    """Tokens with special ones around them, int32 [n] each, and where the first and the second text start."""

    tokens: Ids
    token_types: Ids
    first: int
    second: int


def pieces_of(tokenizer: Tokenizer, texts: Sequence[str]) -> list[Pieces]:
    """The tokens of each text; offsets are of the text as it is given, not of what the normaliser makes of it."""
    encodings = tokenizer.backend.encode_batch(list(texts), add_special_tokens=False)
    return [_pieces(text, encoding) for text, encoding in zip(texts, encodings, strict=True)]


def _pieces(text: str, encoding: tokenizers.Encoding) -> Pieces:
    starts, ends = np.array(encoding.offsets, np.int64).reshape(-1, 2).T
    # SentencePiece counts the blank before a word to its first token.
    shown = np.array([place for place, character in enumerate(text) if not character.isspace()] + [len(text)])
    starts = shown[np.searchsorted(shown, starts)]
    return Pieces(np.array(encoding.ids, np.int32), starts, np.maximum(ends, starts))


@dataclass(frozen=True)
class Frame:
    """How a tokenizer's template puts special tokens around one text, or two.

    - `parts`: for each place the number of a text, or -1 of a special token; the id of the special token; the token type.
    """

    parts: tuple[tuple[int, int, int], ...]

    @property
    def added(self) -> int:
        """Special tokens of a row."""
        return sum(text < 0 for text, _, _ in self.parts)

    def row(self, first: Ids, second: Ids | None = None) -> FramedRow:
        """`second` is given where the frame is one of pairs."""
        tokens: list[Ids] = []
        types: list[Ids] = []
        starts, length = [0, 0], 0
        for text, special, kind in self.parts:
            part = np.array([special], np.int32) if text < 0 else first if text == 0 or second is None else second
            if text >= 0:
                starts[text] = length
            tokens.append(part)
            types.append(np.full(len(part), kind, np.int32))
            length += len(part)
        return FramedRow(np.concatenate(tokens), np.concatenate(types), *starts)

    def room(self, max_length: int) -> int:
        """Tokens of text in a row of `max_length`. Raises InputError where there are none."""
        if max_length <= self.added:
            raise InputError(
                f"{MAX_LENGTH} {max_length}: leaves no room for text beside {self.added} special tokens; raise it"
            )
        return max_length - self.added


def frame_of(tokenizer: Tokenizer, pair: bool = False) -> Frame:
    """The frame of single texts or pairs, read off the tokenizer: `[CLS] A [SEP]` and `[CLS] A [SEP] B [SEP]` of BERT's."""
    probe = tokenizer.backend.encode(".", "." if pair else None)
    parts: list[tuple[int, int, int]] = []
    for text, token, kind in zip(probe.sequence_ids, probe.ids, probe.type_ids, strict=True):
        part = (-1, token, kind) if text is None else (text, 0, kind)
        if text is None or part not in parts:
            parts.append(part)
    return Frame(tuple(parts))
