"""Flags to dataclasses through tyro, each mistake told in one sentence instead of tyro's box."""

import dataclasses
import difflib
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr
from typing import Any, TypeVar, get_type_hints, overload

import tyro

from data_pipeline.contract.errors import InputError

Command = TypeVar("Command")


@overload
def parse_command_line(command: type[Command], arguments: Sequence[str], program: str) -> Command: ...
@overload
def parse_command_line(command: Command, arguments: Sequence[str], program: str) -> Command: ...
def parse_command_line(command: Command | type[Command], arguments: Sequence[str], program: str) -> Command:
    """Parses flags into a dataclass.

    - `command`: an instance, whose values are the defaults, or its class.
    - `program`: what the help calls the command: `python -m ...`.

    `--help` prints and ends with exit code 0. Raises InputError for a flag that does not exist (and names the nearest), a
    value of another type, a missing flag or value.
    """
    options: dict[str, Any] = {"args": arguments, "prog": program}
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
        sentence = _unknown(unknown[0], list(arguments), list(_flags(kind, options.get("default"))))
        raise InputError(f"{sentence}; `{program} --help` lists every flag")
    return parsed


def _unknown(argument: str, arguments: list[str], flags: list[str]) -> str:
    if not argument.startswith("-"):
        before = arguments[max(0, arguments.index(argument) - 1)]
        return f"{argument}: a flag should stand here, after {before}"
    name = argument.partition("=")[0]
    near = difflib.get_close_matches(name, flags, n=1)
    return f"{name}: no such flag" + (f"; did you mean {near[0]}?" if near else "")


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
