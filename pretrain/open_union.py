"""Unions that are open: every subclass of a base class is a member, and each lies in a package that brings all it needs.

No list names the members: the packages of a room are looked up, and any other whose class was imported counts as well.
"""

import functools
import importlib
import importlib.util
import pkgutil
from typing import Any, TypeVar

from data_pipeline.contract.recipe_types import members_of

Base = TypeVar("Base")


def members(base: type[Base], room: str, module: str) -> tuple[type[Base], ...]:
    """The subclasses of a base class, those of a room first.

    - `room`: the dotted name of a package whose packages each may have a `module` that defines members.
    """
    _import_all(room, module)
    return tuple(members_of(base))


def companion(member: type, module: str) -> Any:
    """The module of this name beside the one that defines a member."""
    return importlib.import_module(f"{member.__module__.rpartition('.')[0]}.{module}")


@functools.cache
def _import_all(room: str, module: str) -> None:
    for package in pkgutil.iter_modules(importlib.import_module(room).__path__):
        name = f"{room}.{package.name}.{module}"
        if package.ispkg and importlib.util.find_spec(name):
            importlib.import_module(name)
