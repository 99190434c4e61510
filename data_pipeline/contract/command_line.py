"""Flags to dataclasses through tyro, each mistake told in one sentence instead of tyro's box."""

import dataclasses
import difflib
import io
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr
from typing import Any, TypeVar, get_type_hints, overload

import tyro

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.recipe_types import members_of, with_article

Command = TypeVar("Command")
TEXT_FLAGS = ("--text", "--query")
"""Flags whose values are no paths, however they begin."""
HOME = re.compile(r"~[\w.-]*(/|$)")


@overload
def parse_command_line(command: type[Command], arguments: Sequence[str], program: str) -> Command: ...
@overload
def parse_command_line(command: Command, arguments: Sequence[str], program: str) -> Command: ...
def parse_command_line(command: Command | type[Command], arguments: Sequence[str], program: str) -> Command:
    """Parses flags into a dataclass.

    - `command`: an instance, whose values are the defaults, or its class.
    - `program`: what the help calls the command: `python -m ...`.

    Where a field's type is a union or a base class, the flags are the fields of the member that the default holds.

    `--help` prints and ends with exit code 0. Raises InputError for a flag that does not exist (and names the nearest), a
    value of another type, a missing flag or value.
    """
    arguments = with_home(arguments)
    options: dict[str, Any] = {"args": arguments, "prog": program, "config": (tyro.conf.AvoidSubcommands,)}
    kind = command if isinstance(command, type) else type(command)
    if kind is not command:
        options["default"] = command
    box = io.StringIO()
    try:
        with redirect_stderr(box):
            parsed, unknown = tyro.cli(kind, return_unknown_args=True, **options)
    except SystemExit as exit_:
        if not exit_.code:
            raise
        sentence = _sentence(box.getvalue(), list(arguments))
        raise InputError(f"{sentence}; `{program} --help` lists every flag") from None
    if unknown:
        sentence = _unknown(unknown[0], list(arguments), kind, options.get("default"))
        raise InputError(f"{sentence}; `{program} --help` lists every flag")
    return parsed


def with_home(arguments: Sequence[str]) -> list[str]:
    """The words with `~` as home where a path begins with it: a shell leaves it alone in --to=~/x, and in quotes.

    What follows TEXT_FLAGS is text.
    """
    found, of_text = [], False
    for word in arguments:
        flag, separator, value = word.partition("=")
        if word.startswith("--"):
            of_text = flag in TEXT_FLAGS
        if of_text:
            found.append(word)
        elif word.startswith("--") and HOME.match(value):
            found.append(f"{flag}{separator}{os.path.expanduser(value)}")
        else:
            found.append(os.path.expanduser(word) if HOME.match(word) else word)
    return found


def _unknown(argument: str, arguments: list[str], kind: type, default: Any) -> str:
    if not argument.startswith("-"):
        last = (
            len(arguments) - 1 - arguments[::-1].index(argument)
        )  # where a word is there twice, the first has its place
        before = arguments[max(0, last - 1)]
        return f"{argument}: is neither a flag nor the value of one, after {before}"
    name = argument.partition("=")[0]
    names = name.lstrip("-").replace("-", "_").split(".")
    found = _of_other_member(names, default) or _near(name, list(_flags(kind, default)))
    return f"{name}: no such flag" + (f"; {found}" if found else "")


def _near(name: str, flags: list[str]) -> str | None:
    """The flag that was probably meant: the same one moved deeper or up, or one spelled alike."""
    moved = [flag for flag in flags if _within(name, flag) or _within(flag, name)]
    near = difflib.get_close_matches(name, moved or flags, n=1, cutoff=0.0 if moved else 0.6)
    return f"did you mean {near[0]}?" if near else None


def _within(name: str, flag: str) -> bool:
    """Whether a flag is another with components added before the last: `--masking.rate`, `--objective.masking.rate`."""
    inner, outer = (each.lstrip("-").replace("_", "-").split(".") for each in (name, flag))
    rest = iter(outer)
    return inner[-1] == outer[-1] and all(component in rest for component in inner)


def _of_other_member(names: list[str], default: Any) -> str | None:
    """What to say of a flag that the default's member of a union lacks and another has; None if it is no such flag.

    - `names`: the fields that lead to it.
    """
    value, hint, where = default, None, ""
    for place, name in enumerate(names):
        hints = _hints(type(value))
        if name not in hints:
            having = dict.fromkeys(member.__name__ for member in members_of(hint) if _has(member, names[place:]))
            found = "None" if value is None else with_article(type(value).__name__)
            have = "has" if len(having) == 1 else "have"
            return f"{' and '.join(having)} {have} it, and this recipe's {where} is {found}" if having else None
        value, hint, where = getattr(value, name), hints[name], name
    return None


def _has(kind: type, names: list[str]) -> bool:
    """Whether a dataclass has a field, given with the fields that lead to it."""
    first, *rest = names
    hints = _hints(kind)
    return first in hints and (not rest or any(_has(member, rest) for member in members_of(hints[first])))


def _hints(kind: type) -> dict[str, Any]:
    """Field -> type; empty for what is no dataclass."""
    if not dataclasses.is_dataclass(kind):
        return {}
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


def _flags(kind: Any, default: Any, prefix: str = "--") -> Iterator[str]:
    """The flags of a dataclass, as tyro names them; those of an inner one where the default holds one."""
    hints = get_type_hints(kind, include_extras=True)
    for field in dataclasses.fields(kind):
        inner = getattr(default, field.name, None)
        name = prefix + field.name.replace("_", "-")
        if dataclasses.is_dataclass(inner):
            yield from _flags(type(inner), inner, name + ".")
        elif not {tyro.conf.Suppress, tyro.conf.Positional} & set(getattr(hints[field.name], "__metadata__", ())):
            yield name


def _sentence(box: str, arguments: list[str]) -> str:
    """What tyro's box says, in one sentence. A box of a kind not known here is told whole."""
    lines = [line.strip("│ ") for line in re.sub(r"\x1b\[[0-9;]*m", "", box).splitlines()]
    text = " ".join(line for line in lines if line and line[0] not in "╭╰─")
    text = text.partition(" For full helptext")[0]
    if found := re.match(r"Error parsing (--\S+): .*Argument helptext: \S+ (\S+)", text):
        return f"{found[1]}{_value(found[1], arguments)}: must be {found[2]}"
    if found := re.match(r"invalid choice '(.*)' for argument '(\S+)'\. Expected one of \((.*)\)\.", text):
        return f"{found[2]} {found[1]}: must be one of {found[3]}"
    if found := re.match(r"Missing value for argument '(\S+)'", text):
        return f"{found[1]}: its value is missing"
    return text


def _value(flag: str, arguments: list[str]) -> str:
    """The value that follows a flag on the command line, with a blank before it; empty where it stands otherwise."""
    for place, argument in enumerate(arguments):
        name, separator, value = argument.partition("=")
        if name.replace("_", "-") == flag:
            return f" {value}" if separator else f" {' '.join(arguments[place + 1 : place + 2])}"
    return ""
