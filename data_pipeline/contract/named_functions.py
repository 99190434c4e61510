"""Functions that plain data name, `module:function`: operations of tasks, steps, readers of sources. Shipped and hashed as text."""

from importlib import import_module
from typing import Any


def named_function(name: str, below: str = "") -> Any:
    """The function of this name.

    - `below`: the package in which its module lies; empty where the name has the whole path.
    """
    return getattr(import_module(module_of(name, below)), name.partition(":")[2])


def module_of(name: str, below: str = "") -> str:
    """The module in which the function of this name lies; arguments as of `named_function`."""
    module = name.partition(":")[0]
    return f"{below}.{module}" if below else module


def name_of(function: Any) -> str:
    """The whole name of a function of a module."""
    return f"{function.__module__}:{function.__name__}"
