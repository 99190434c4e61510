"""Loops that numba compiles."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from numba import njit


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compiles at the first call and keeps the result on disk where that can be written (__pycache__ or the user's cache).

    The function must be called with one signature only: numba numbers the variants of a function without a lock, so its
    cache on disk is safe for several workers only as long as that holds.
    """
    try:
        return njit(cache=True)(function)
    except RuntimeError as error:
        # numba's word for "neither place is writable": a read-only install without a home. Compiling anew takes
        # seconds per process and changes no result.
        if "cannot cache" not in str(error):
            raise
        return njit(function)


def number_of_code(*modules: ModuleType) -> int:
    """A number that changes with the text of these modules.

    numba's cache knows the file of a compiled function, but not the files of the functions and constants that it uses. A function that reads
    this number from its closure is compiled again when they change.
    """
    digest = hashlib.sha256()
    for module in modules:
        digest.update(Path(str(module.__file__)).read_bytes())
    return int.from_bytes(digest.digest()[:7], "little")
