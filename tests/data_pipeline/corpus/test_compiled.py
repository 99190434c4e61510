"""Loops compile wherever the code lies."""

from collections.abc import Callable
from typing import Any

import numba
import pytest

from data_pipeline.corpus import compiled


def test_kernels_compile_without_a_place_for_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    # What numba does where neither __pycache__ nor the user's cache folder can be written.
    def njit_without_cache(function: Callable[..., Any] | None = None, cache: bool = False) -> Any:
        def refuse(_: Callable[..., Any]) -> None:
            raise RuntimeError("cannot cache function 'f': no locator available for file 'f.py'")

        return refuse if cache else numba.njit(function)

    monkeypatch.setattr(compiled, "njit", njit_without_cache)
    assert compiled.compiled(lambda x: x + 1)(2) == 3
