"""A sentence as the detectors see it, and what they find in it."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "email",
    "url",
    "ip_address",
    "mention",
    "messenger",
    "mobile",
    "landline",
    "resident_number",
    "foreigner_number",
    "passport",
    "customs_code",
    "driver_licence",
    "card",
    "bank_account",
    "plate",
    "address",
]
"""Types of personal data; the fields of data_pipeline.recipe.Pseudonyms bear the same names."""
CONTEXT_CHARS = 30
"""Characters of the sentence before that a detector may look at: 계좌번호입니다. | 110-..."""

# One character for one, so that positions stay: full-width forms, and everything that people type as a hyphen.
_WIDER = 0xFEE0
_PLAIN = {code: code - _WIDER for code in range(0xFF01, 0xFF5F)} | dict.fromkeys(
    map(ord, "‐‑‒–—―−─ㅡ－"),
    ord("-"),
)
_NOT_PLAIN = re.compile("[！-～‐-―−─ㅡ]")


@dataclass(frozen=True, slots=True)
class Line:
    """A sentence with plain digits, letters and hyphens, after the end of the sentence before it.

    - `text`: both; detectors search from `start` on.
    """

    text: str
    start: int

    def near(self, words: re.Pattern[str], start: int, end: int, before: int = 0, after: int = 0) -> bool:
        """Whether one of the words stands in so many characters before or after a span."""
        return bool(
            words.search(self.text, max(0, start - before), start)
            or (after and words.search(self.text, end, end + after))
        )


@dataclass(frozen=True, slots=True)
class Found:
    """A value of personal data: `text[start:end]` of its line.

    - `body`: where the part begins that is replaced; what stands before (010, a region) stays.
    - `names`: the spans of a street's, village's or person's own name, where the value holds one.
    """

    kind: Kind
    start: int
    end: int
    body: int
    names: tuple[tuple[int, int], ...] = ()


Detector = Callable[[Line], Iterable[Found]]


def plain(text: str) -> str:
    """The text with plain digits, letters and hyphens, as long as it was."""
    return text.translate(_PLAIN) if _NOT_PLAIN.search(text) else text


def as_written(text: str, pattern: str) -> str:
    """Plain text in the characters of `pattern`: full width where it is, and its own hyphens."""
    return "".join(map(_as_written, text, pattern))


def _as_written(new: str, old: str) -> str:
    if new == old.translate(_PLAIN):
        return old
    return chr(ord(new) + _WIDER) if ord(old) - _WIDER in range(0x21, 0x7F) and new.isascii() else new


def line_of(sentence: str, sentence_before: str) -> Line:
    """The line of a sentence; positions in it are those of the sentence plus `start`."""
    before = f"{sentence_before[-CONTEXT_CHARS:]} "
    text = before + sentence
    return Line(plain(text), len(before))
