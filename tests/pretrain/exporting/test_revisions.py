"""export --every: a folder for each checkpoint, on the hub a branch, the newest as main; killed and run again it does what is missing."""

import logging
from pathlib import Path
from typing import Any

import fsspec
import pytest
from test_hub import FakeApi, refused

from data_pipeline.contract.errors import InputError, WorkError
from data_pipeline.contract.run_folder import RunFolder
from pretrain.checkpoints.verify import step_folder
from pretrain.commands import export as export_command
from pretrain.exporting import hub

pytestmark = pytest.mark.usefixtures("shared_programs")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proof is other tests' business, and the hub is not there."""
    monkeypatch.setattr("pretrain.exporting.export.prove", lambda *_: "not proven")
    monkeypatch.setattr(FakeApi, "refusal", {}, raising=False)
    monkeypatch.setattr(hub, "HfApi", FakeApi)


def pushed() -> list[tuple[Any, str]]:
    """The branch and the folder of each upload."""
    return [
        (call["revision"], Path(call["folder_path"]).name) for name, call in FakeApi.calls if name == "upload_folder"
    ]


def written(folder: Path) -> dict[str, int]:
    return {path.parent.name: path.stat().st_mtime_ns for path in folder.glob("*/model.safetensors")}


def test_each_checkpoint_is_a_branch_and_the_newest_is_main(run: RunFolder) -> None:
    export_command.run([str(run.path), "--every", "--push-to-hub", "lab/kobert"])
    revisions = run.path / "revisions"
    assert sorted(path.name for path in revisions.iterdir()) == ["step-2", "step-4"]
    for step in (2, 4):
        card = (revisions / f"step-{step}" / "README.md").read_text()
        assert f"exported at step {step}." in card
    assert pushed() == [("step-2", "step-2"), ("step-4", "step-4"), (None, "step-4")]
    made = [call["branch"] for name, call in FakeApi.calls if name == "create_branch"]
    assert made == ["step-2", "step-4"]
    assert not run.export.exists()


def test_what_is_there_already_is_not_exported_again(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeApi, "refusal", {"upload_folder": refused(500)})
    with pytest.raises(WorkError, match="the hub did not take it"):
        export_command.run([str(run.path), "--every", "--push-to-hub", "lab/kobert"])
    first = written(run.path / "revisions")
    assert list(first) == ["step-2"]
    monkeypatch.setattr(FakeApi, "refusal", {})
    export_command.run([str(run.path), "--every", "--push-to-hub", "lab/kobert"])
    second = written(run.path / "revisions")
    assert set(second) == {"step-2", "step-4"}
    assert second["step-2"] == first["step-2"]
    assert len(pushed()) == 3


def test_a_damaged_checkpoint_is_named_and_skipped(
    run: RunFolder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    next(step_folder(run.checkpoints, 2).rglob("d/*")).write_bytes(b"damaged")
    with caplog.at_level(logging.WARNING):
        export_command.run([str(run.path), "--every", "--to", str(tmp_path / "all")])
    assert [path.name for path in (tmp_path / "all").iterdir()] == ["step-4"]
    assert "00000002: skipped:" in caplog.text


def test_one_step_and_every_step_are_two_things(run: RunFolder) -> None:
    with pytest.raises(InputError, match="--step 2: --every exports each checkpoint"):
        export_command.run([str(run.path), "--every", "--step", "2"])


def test_of_a_bucket_one_checkpoint_after_the_other_comes_here(
    run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    fsspec.filesystem("memory").put(str(run.path), "/revisions/tiny", recursive=True)
    export_command.run(["memory://revisions/tiny", "--every"])
    first = written(tmp_path / "runs" / "tiny" / "revisions")
    assert set(first) == {"step-2", "step-4"}
    export_command.run(["memory://revisions/tiny", "--every"])
    assert written(tmp_path / "runs" / "tiny" / "revisions") == first, "the copy's manifest knows what is there"
    fsspec.filesystem("memory").rm("/revisions", recursive=True)
