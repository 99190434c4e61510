"""Loops compile wherever the code lies."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
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


PACKAGE = {
    "inner.py": "from numba import njit\n@njit\ndef inner(x):\n    return x + {added}\n",
    "outer.py": """
from data_pipeline.corpus.compiled import compiled, number_of_code
import inner
def make(code):
    def outer(x):
        _ = code
        return inner.inner(x)
    return compiled(outer)
outer = make(number_of_code(inner))
""",
}


def test_a_cached_kernel_is_compiled_again_when_what_it_calls_changes(tmp_path: Path) -> None:
    """numba's cache alone looks at the kernel's own file."""
    root = str(Path(__file__).resolve().parents[3])
    code = f"import sys; sys.path[:0] = [{root!r}, {str(tmp_path)!r}]; from outer import outer; print(outer(1), sum(outer.stats.cache_hits.values()))"
    said = []
    for added in (1, 1, 40):
        for name, text in PACKAGE.items():
            content = text.replace("{added}", str(added))
            if not (tmp_path / name).exists() or (tmp_path / name).read_text() != content:
                (tmp_path / name).write_text(content)
        said.append(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    assert said == ["2 0\n", "2 1\n", "41 0\n"]
