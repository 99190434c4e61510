"""The lines of docs/export.md that readers paste run as they are, on an export and what is written beside it."""

import re
from pathlib import Path

import pytest
from families import FAMILIES, drawn, stored

from pretrain.exporting.card_of_use import PLACE
from pretrain.exporting.formats.conversion import add_formats

PAGE = Path(__file__).parent.parent.parent.parent / "docs" / "export.md"
BLOCKS = [
    block
    for block in re.findall(r"```python\n(.*?)\n```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    if PLACE in block
]


@pytest.mark.slow
@pytest.mark.parametrize("block", BLOCKS, ids=[block.split()[1] for block in BLOCKS])
def test_the_lines_of_the_page_run(block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in re.findall(r"^(?:import|from) (\w+)", block, re.MULTILINE):
        pytest.importorskip(module)
    folder = stored(tmp_path / "model", *drawn(FAMILIES["bert"].config, frozenset({"vocabulary"})))
    if "onnx" in block:
        add_formats(folder, ["onnx"])
    monkeypatch.chdir(tmp_path)
    exec(block.replace(PLACE, str(folder)), {})
