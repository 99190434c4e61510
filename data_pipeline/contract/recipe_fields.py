"""What a recipe's field says about itself, as its metadata: the limit of a number, and whether a resumed run may change it. No JAX here."""

import dataclasses
import re
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from data_pipeline.contract.errors import InputError

Number = TypeVar("Number", bound=float | None)

FREE = {"resume": "free"}
"""Metadata of a field that may differ when a run is resumed; every other field must stay, or the run is another run."""

INFINITY = float("inf")


@dataclasses.dataclass(frozen=True)
class Limit:
    """What a number, or a field of several, must be.

    - `words`: completes the sentence "must be ...".
    - `holds`: whether a number is so; False for NaN and infinity.
    """

    words: str
    holds: Callable[[Any], bool]


AT_LEAST_ONE = Limit("1 or more", lambda value: 1 <= value < INFINITY)
AT_LEAST_ZERO = Limit("0 or more", lambda value: 0 <= value < INFINITY)
ABOVE_ZERO = Limit("above 0", lambda value: 0 < value < INFINITY)
ABOVE_ONE = Limit("above 1", lambda value: 1 < value < INFINITY)
ABOVE_ZERO_TO_ONE = Limit("above 0 and at most 1", lambda value: 0 < value <= 1)
ZERO_TO_ONE = Limit("0 to 1", lambda value: 0 <= value <= 1)
ZERO_TO_BELOW_ONE = Limit("0 or more and below 1", lambda value: 0 <= value < 1)
ROW_LENGTH = Limit("a multiple of 8 and at least 16", lambda value: 16 <= value < INFINITY and value % 8 == 0)
"""Tokens of a training row: its bitmaps have whole bytes."""
UINT32 = Limit(f"0 to {2**32 - 1}", lambda value: 0 <= value < 2**32)


def between(least: float, most: float) -> Limit:
    """Both ends included."""
    return Limit(f"{least:g} to {most:g}", lambda value: least <= value <= most)


def limited(limit: Limit, *, free: bool = False) -> dict[str, Any]:
    """Metadata of a field with a limit, for `dataclasses.field`; only a field without a default needs it, see `number`."""
    return {"limit": limit, **(FREE if free else {})}


def number(default: Number, limit: Limit, *, free: bool = False) -> Number:
    """Declares a number field: `num_hidden_layers: int = number(12, AT_LEAST_ONE)`.

    - `free`: it may differ when a run is resumed.
    """
    return dataclasses.field(default=default, metadata=limited(limit, free=free))


def is_free(field: dataclasses.Field[Any]) -> bool:
    """Whether a field, and all below it, may differ when a run is resumed."""
    return field.metadata.get("resume") == FREE["resume"]


def limits(recipe: Any, above: str = "") -> Iterator[tuple[str, Any, Limit]]:
    """Dotted name, value and limit of every number in a recipe that has a limit and is not None.

    - `recipe`: any dataclass; dataclasses in its fields, also in tuples, are searched as well.
    - `above`: what its names begin with, such as `phases.0.`.
    """
    for field in dataclasses.fields(recipe):
        name, value = above + field.name, getattr(recipe, field.name)
        if "limit" in field.metadata and value is not None:
            yield name, value, field.metadata["limit"]
        inner = [(f"{name}.{i}", each) for i, each in enumerate(value)] if isinstance(value, tuple) else [(name, value)]
        for inner_name, each in inner:
            if dataclasses.is_dataclass(each):
                yield from limits(each, f"{inner_name}.")


def flag(part: str, field: str) -> str:
    """The flag of a recipe's field: `--training.optimizer.learning-rate`; the field itself where it is one of several, `phases.0.length`.

    - `part`: data or training; another where a command's flags begin with that; empty where they begin with the field.
    - `field`: its dotted name.
    """
    if ".0." in re.sub(r"\d+", "0", field):
        return field
    return f"--{f'{part}.' if part else ''}{field.replace('_', '-')}"


def check_limits(recipe: Any, named: Callable[[str], str]) -> None:
    """Raises InputError for the first number of a recipe that is beyond its limit.

    - `named`: what the user calls a field, given its dotted name: its flag.
    """
    for name, value, limit in limits(recipe):
        if not limit.holds(value):
            raise InputError(f"{named(name)} {value}: must be {limit.words}")
