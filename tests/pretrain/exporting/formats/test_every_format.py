"""Each further format of each family that is converted: proven at shapes that its writer has not seen, and the card's lines run."""

import re
from pathlib import Path

import pytest
from families import FAMILIES, drawn, stored
from tuned_models import HEADS, subject_of, written

from pretrain.exporting.card_of_use import PLACE
from pretrain.exporting.formats import onnx
from pretrain.exporting.formats.conversion import add_formats
from pretrain.exporting.formats.format import FORMATS, FormatName
from pretrain.models.registry import family_of

pytestmark = pytest.mark.slow
CONVERTED = [name for name, tiny in FAMILIES.items() if family_of(tiny.config).converts]
EXPORTS = [
    *((name, heads) for name in CONVERTED for heads in FAMILIES[name].exported),
    *(("bert", kind) for kind in HEADS),
    *((name, "classes") for name in CONVERTED if name != "bert"),
]


def exported(name: str, head: str, folder: Path) -> Path:
    """The folder of a tiny model with such heads, or fine-tuned with that of a task, and its card."""
    config = FAMILIES[name].config
    if head in HEADS:
        made = written(subject_of(config, HEADS[head], folder / "model"), folder / "out")
    else:
        made = stored(folder / "out", *drawn(config, frozenset(head.split())))
    (made / "README.md").write_text("# Ours\n")
    return made


def require(name: FormatName) -> None:
    for module in (*FORMATS[name].modules, FORMATS[name].runtime):
        pytest.importorskip(module)


def test_there_are_encoders_to_convert() -> None:
    assert {"bert", "roberta", "albert", "electra", "modernbert"} <= set(CONVERTED)
    assert not {"gpt2", "bert_shared", "t5"} & set(CONVERTED)


@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize(("name", "head"), EXPORTS)
def test_a_format_says_what_the_model_says(
    name: str, head: str, format_name: FormatName, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    require(format_name)
    folder = exported(name, head, tmp_path)
    add_formats(folder, [format_name])  # raises where a logit differs
    (block,) = re.findall(r"```python\n(.*?)\n```", (folder / "README.md").read_text(), re.DOTALL)
    capsys.readouterr()
    exec(block.replace(PLACE, str(folder)), {})
    assert capsys.readouterr().out.strip()


def test_weights_that_protobuf_does_not_take_lie_beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require("onnx")
    monkeypatch.setattr(onnx, "MOST_BYTES", 1000)
    folder = exported("bert", "vocabulary", tmp_path)
    add_formats(folder, ["onnx"])
    assert sorted(path.name for path in (folder / "onnx").iterdir()) == ["model.onnx", "model.onnx.data"]
