import json
import re
from pathlib import Path

import pytest

from data_pipeline.contract.errors import InputError
from pretrain.monitoring.curves.compare import compare


def run(folder: Path, losses: list[float | None], seed: int) -> Path:
    (folder / "metrics").mkdir(parents=True)
    lines = [{"step": 10 * step, "loss": loss} for step, loss in enumerate(losses, 1)]
    lines.append({"step": 10 * len(losses), "evaluation_loss": 7.25 + seed})
    (folder / "metrics" / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "training_recipe.json").write_text(json.dumps({"seed": seed, "optimizer": {"learning_rate": 1e-3}}))
    return folder


@pytest.mark.filterwarnings("error:Glyph")
def test_a_page_holds_curves_last_values_and_what_differs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = [run(tmp_path / "base", [3.0, 2.0, 1.5], 0), run(tmp_path / "<b>$x$운영", [3.5, None, 1.25], 1)]
    page = tmp_path / "page.html"
    compare(folders, page)
    html = page.read_text()
    assert html.count("<svg") == 1
    assert "<b>" not in html
    assert "운영" in html[html.index("<svg") : html.index("</svg>")]
    assert not re.search(r'(src|href)="http', html)
    for cell in ("<td>1.5</td><td>1.25</td>", "<td>7.25</td><td>8.25</td>", "seed: 0 -&gt; 1"):
        assert cell in html
    assert "loss (nats)" in capsys.readouterr().out


@pytest.mark.filterwarnings("error:Glyph")
def test_a_png_is_drawn_and_the_same_runs_give_the_same_bytes(tmp_path: Path) -> None:
    folders = [run(tmp_path / name, [3.0, 2.0], seed) for seed, name in enumerate(("base", "다른"))]
    compare(folders, tmp_path / "one.png")
    compare(folders, tmp_path / "two.png")
    content = (tmp_path / "one.png").read_bytes()
    assert content.startswith(b"\x89PNG")
    assert content == (tmp_path / "two.png").read_bytes()


def test_what_cannot_be_drawn_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--to x\.pdf: must end in \.png or \.html"):
        compare([tmp_path], Path("x.pdf"))
    with pytest.raises(InputError, match="holds no metrics"):
        compare([tmp_path], tmp_path / "x.png")
