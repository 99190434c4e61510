"""A further format lies in the export with its proof and its lines on the card, or nothing of it does. test_every_format.py writes them."""

import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from families import FAMILIES, drawn, stored

from data_pipeline.contract.errors import InputError, WorkError
from data_pipeline.contract.run_folder import RunFolder
from pretrain.commands import export as export_command
from pretrain.exporting.export import export
from pretrain.exporting.formats import conversion
from pretrain.exporting.formats.format import FORMATS
from pretrain.subject import Subject

pytestmark = pytest.mark.usefixtures("shared_programs")


class StandIn:
    """A format that is written at once: its file is a list of its inputs, and this code answers, falsely by `error`."""

    error = 0.0
    written = 0

    def write(self, source: Path, subject: Subject, inputs: Sequence[str], outputs: Sequence[str], to: Path) -> None:
        StandIn.written += 1
        self.subject = subject
        (to / "model.onnx").write_text(" ".join(inputs))

    def ask(self, folder: Path, rows: Mapping[str, np.ndarray], outputs: Sequence[str]) -> list[np.ndarray]:
        assert list(rows) == (folder / "model.onnx").read_text().split()
        types = rows.get("token_type_ids", np.zeros_like(rows["input_ids"]))
        logits = self.subject.logits(rows["input_ids"], types, rows["attention_mask"])
        return [logits + np.float32(StandIn.error)]


@pytest.fixture(autouse=True)
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pretrain.exporting.export.prove", lambda *_: "not proven")
    found = StandIn()
    monkeypatch.setattr(StandIn, "error", 0.0)
    monkeypatch.setattr(StandIn, "written", 0)
    monkeypatch.setitem(conversion.WRITERS, "onnx", (found.write, found.ask))  # type: ignore[arg-type]
    quick = replace(FORMATS["onnx"], modules=(), runtime="numpy")
    monkeypatch.setitem(FORMATS, "onnx", quick)  # type: ignore[arg-type]


def record_of(run: RunFolder) -> dict[str, Any]:
    record: dict[str, Any] = run.manifest()["export"]["folders"]["export"]
    return record


def test_manifest_and_card_tell_of_a_format(run: RunFolder) -> None:
    export(run, None, run.export, ["onnx"])
    assert (run.export / "onnx" / "model.onnx").read_text() == "input_ids attention_mask token_type_ids"
    record = record_of(run)
    assert record["formats"] == {
        "onnx": f"logits at 1 x 32 and 11 x 17 tokens within 0.0e+00 in numpy {np.__version__}"
    }
    assert "onnx/model.onnx" in record["files"]
    card = (run.export / "README.md").read_text()
    assert card.count("## ONNX\n") == 1
    assert 'model = onnxruntime.InferenceSession("PATH_OR_NAME/onnx/model.onnx")' in card


def test_a_format_stays_with_its_checkpoint_and_goes_with_it(run: RunFolder) -> None:
    export(run, None, run.export, ["onnx"])
    export(run, None, run.export)
    assert StandIn.written == 1, "nothing new, nothing written"
    (run.export / "onnx" / "model.onnx").write_text("changed")
    export(run, None, run.export)
    assert StandIn.written == 2
    shutil.rmtree(run.export / "onnx")
    export(run, None, run.export)
    assert StandIn.written == 2, "whoever removes it does not want it"
    export(run, None, run.export, ["onnx"])
    assert StandIn.written == 3
    export(run, 2, run.export)
    assert StandIn.written == 3
    assert not (run.export / "onnx").exists()
    assert "ONNX" not in (run.export / "README.md").read_text()
    assert record_of(run)["formats"] == {}


@pytest.mark.parametrize("error", [1e-3, float("nan")])
def test_a_format_that_answers_otherwise_leaves_nothing(
    error: float, run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StandIn, "error", error)
    with pytest.raises(WorkError, match=r"--format onnx: logits differ from this code's by (1\.0e-03|inf), more than"):
        export(run, None, run.export, ["onnx"])
    assert not run.export.exists()
    assert "export" not in run.manifest()


def test_a_hugging_face_folder_gets_a_format_and_one_section_of_its_card(tmp_path: Path) -> None:
    folder = stored(tmp_path / "model", *drawn(FAMILIES["roberta"].config, frozenset({"vocabulary"})))
    (folder / "README.md").write_text("# Ours\n")
    before = sorted(path.name for path in folder.iterdir())
    for _ in range(2):
        export_command.run([str(folder), "--format", "onnx"])
    assert sorted(path.name for path in folder.iterdir()) == sorted([*before, "onnx"])
    card = (folder / "README.md").read_text()
    assert card.startswith("# Ours\n\n## ONNX\n")
    assert card.count("## ONNX\n") == 1


def test_a_family_that_is_not_converted_is_refused(tmp_path: Path) -> None:
    folder = stored(tmp_path / "gpt2", *drawn(FAMILIES["gpt2"].config, frozenset({"next_token"})))
    with pytest.raises(InputError, match=r"--format onnx: .*gpt2 is a GPT-2, and only encoders are converted"):
        export_command.run([str(folder), "--format", "onnx"])
    assert not (folder / "onnx").exists()


def test_a_missing_package_is_named_before_any_work(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(
        InputError,
        match=r"--format savedmodel needs the package tensorflow-cpu, which is not .*`./run_tpu.sh --install-only savedmodel`",
    ):
        export(run, None, run.export, ["savedmodel"])
    assert not run.export.exists()


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ((), "is a Hugging Face folder already; give --format, or a run"),
        (("--format", "onnx", "--step", "2"), "--step goes with a run"),
        (("--format", "onnx", "--every"), "--every goes with a run"),
        (("--format", "onnx", "--to", "x"), "--to goes with a run"),
        (("--format", "onnx", "--push-to-hub", "x"), "--push-to-hub goes with a run"),
        (("--format", "tflite"), "tflite"),
    ],
)
def test_flags_that_a_hugging_face_folder_does_not_take(flags: tuple[str, ...], told: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match=told):
        export_command.run([str(tmp_path), *flags])
