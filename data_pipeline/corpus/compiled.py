"""Loops that numba compiles."""

from collections.abc import Callable
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
