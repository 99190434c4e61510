"""What a request asks: a text and settings, each within the limits of a page that people share with other work."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from data_pipeline.contract.errors import InputError
from pretrain.exporting.answers.by_head import check_setting, composed
from pretrain.exporting.answers.tokens import quoted

LONGEST_TEXT = 4000
"""Characters: more than any model here reads, but for those that read rows of any length."""
MOST_OTHERS = 31
"""Texts that one is compared with; with it they are one batch."""
DIGITS = 20
"""Of a number that is read from a form, or quoted in an error."""
NUMBERS: Mapping[str, tuple[type, float]] = {
    "top": (int, 20),
    "tokens": (int, 256),
    "temperature": (float, 10),
    "seed": (int, 2**31 - 1),
}
"""Settings that are numbers: their kind, and the largest."""


@dataclass(frozen=True)
class Question:
    """- `text`: NFC. - `others`: what it is compared with. - `settings`: a value for each that the ability has."""

    text: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    others: tuple[str, ...] = ()


def read_question(given: Any, settings: Mapping[str, Any], *, compares: bool = False) -> Question:
    """The question of a request.

    - `given`: what its JSON holds.
    - `settings`: those that may be given, and their defaults; null means the default.
    - `compares`: whether `others` are asked for.

    Raises InputError for whatever cannot be asked.
    """
    if not isinstance(given, dict):
        raise InputError(f'the request must be a JSON object with "text", not {_kind(given)}')
    known = {"text", *settings, *(["others"] if compares else [])}
    if unknown := sorted(given.keys() - known):
        raise InputError(f"{quoted(unknown[0])}: not known here; may be {', '.join(sorted(known))}")
    others = given.get("others", [])
    if compares and not (isinstance(others, list) and 1 <= len(others) <= MOST_OTHERS):
        raise InputError(f"others: must be a list of 1 to {MOST_OTHERS} texts")
    return Question(
        read_text(given.get("text"), "text"),
        {name: _setting(name, given.get(name), default) for name, default in settings.items()},
        tuple(read_text(each, f"others[{place}]") for place, each in enumerate(others)),
    )


def read_text(value: Any, called: str) -> str:
    """A text in NFC. Raises InputError for what is none, is empty or too long."""
    if not isinstance(value, str):
        raise InputError(f"{called}: must be a text, not {_kind(value)}")
    text = composed(value, called)
    if not text.strip():
        raise InputError(f"{called}: is empty; type something")
    if len(text) > LONGEST_TEXT:
        raise InputError(f"{called}: has {len(text):,} characters, {LONGEST_TEXT:,} are taken; shorten it")
    return text


def read_number(name: str, value: Any, called: str = "") -> float:
    """A number of NUMBERS within its limits, else InputError; `called`: the setting in the error, where it has another name."""
    called, (kind, most) = called or name, NUMBERS[name]
    if isinstance(value, bool) or not isinstance(value, (int, float) if kind is float else int):
        raise InputError(f"{called}: must be {'a whole number' if kind is int else 'a number'}, not {_kind(value)}")
    check_setting(name, value, called)
    if value > most:
        raise InputError(f"{called} {_kind(value)}: must be at most {most:,}")
    return float(value) if kind is float else int(value)


def _setting(name: str, value: Any, default: Any) -> Any:
    if value is None:
        return default
    return read_number(name, value) if name in NUMBERS else value


def _kind(value: Any) -> str:
    """What an error calls a value of JSON: its kind, or the number."""
    kinds = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "nothing"}
    return kinds.get(type(value), f"{value}"[:DIGITS])
