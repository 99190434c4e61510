"""docs/python.md: its blocks run as they stand."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs/python.md").read_text(encoding="utf-8")

SAME = """
assert (word_starts == row["word_starts"]).all() and (segment_starts == row["segment_starts"]).all()
assert (record["tokens"] == row["tokens"]).all()
"""
"""What the page reads in two ways is the same."""


@pytest.mark.slow
def test_the_blocks_of_the_page_run_one_after_the_other(tmp_path: Path) -> None:
    code = "\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
    code = code.replace("max_steps=100", "max_steps=4") + SAME
    # quickstart itself, of fewer steps: 400 take ten minutes on a busy machine.
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "__init__.py").touch()
    recipe = (ROOT / "configs/quickstart.py").read_text(encoding="utf-8")
    fewer = (
        recipe.replace("max_steps=300", "max_steps=6")
        .replace("warmup_steps=30", "warmup_steps=2")
        .replace("Path(__file__).parent.parent", f"Path({str(ROOT)!r})")
    )
    assert fewer != recipe
    (tmp_path / "configs" / "quickstart.py").write_text(fewer, encoding="utf-8")
    (tmp_path / "page.py").write_text(code, encoding="utf-8")
    environment = {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu", "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "page.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    assert "['나는 학교에 갔다.', '너는 어디 갔니?']" in done.stdout
    assert (tmp_path / "runs/python/export/config.json").is_file()
    assert (tmp_path / "runs/other/checkpoints").is_dir()
