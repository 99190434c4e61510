"""train --run-dir gs://...: what is in the bucket goes on, wherever; the bucket is a folder here (launch/fakes/gcloud)."""

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from launch_world import FAKES
from tiny_run import LENGTH, TINY, changed, untimed, write_records

from data_pipeline.contract.errors import InputError, WorkError
from data_pipeline.contract.run_folder import RunFolder
from data_pipeline.contract.storage import write_atomically
from pretrain.checkpoints.verify import list_steps, newest_valid
from pretrain.commands import staging as staging_command
from pretrain.commands import train as train_command
from pretrain.recipe import Phase
from pretrain.remote import in_bucket
from pretrain.remote.in_bucket import run_in_bucket
from pretrain.remote.staging import folders_to_stage
from pretrain.train import train

pytestmark = pytest.mark.usefixtures("shared_programs")
URL = "gs://bucket/runs/tiny"


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the objects below URL lie; this user's cache is empty."""
    (tmp_path / "script.json").write_text("{}")
    for name, value in {
        "FAKE": str(tmp_path),
        "PATH": f"{FAKES}:{os.environ['PATH']}",
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }.items():
        monkeypatch.setenv(name, value)
    return tmp_path / "buckets" / "bucket" / "runs" / "tiny"


def saved(folder: Path, step: int) -> None:
    """What a save leaves, in small: a checkpoint, the note that it is whole, a line of metrics."""
    for name, content in {
        f"checkpoints/{step:08d}/manifest.json": "{}",
        "metrics/metrics.jsonl": f"{folder.parts[-2]} {step}\n",
        "manifest.json": "{}",
        "checkpoints/committed.json": json.dumps({"newest_step": step}),
    }.items():
        write_atomically(folder / name, content.encode())


@pytest.mark.slow
def test_a_run_in_a_bucket_goes_on_from_an_empty_disk_with_the_losses_of_one_folder(
    bucket: Path, new_run: Callable[..., RunFolder], tmp_path: Path
) -> None:
    here, prepared = new_run("here"), new_run("prepared")
    train(here, "tiny", TINY)
    prepared.record("prepare", {})
    shutil.copytree(prepared.path, bucket)
    for folder in ("corpus", "evaluation"):
        (bucket / folder).mkdir()
        (bucket / folder / "large").write_text("text")
    with run_in_bucket(URL, TINY) as run_folder:
        train(run_folder, "tiny", changed(TINY, stop_at_step=2))
    assert newest_valid(bucket / "checkpoints") is not None
    shutil.rmtree(tmp_path / "cache")
    with run_in_bucket(URL, TINY) as run_folder:
        assert list_steps(run_folder.checkpoints) == [2]
        assert not run_folder.corpus.exists()
        train(run_folder, "tiny", TINY)
    assert untimed(RunFolder(bucket)) == untimed(here)
    assert list_steps(bucket / "checkpoints") == list_steps(here.checkpoints)
    assert [part["start_step"] for part in RunFolder(bucket).manifest()["train"]["parts"]] == [0, 2]
    for folder in ("corpus", "evaluation"):
        assert (bucket / folder / "large").exists(), "nothing goes that training does not own"


def test_a_save_is_brought_while_training_goes_on(bucket: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_bucket, "LOOK_SECONDS", 0.05)
    saved(bucket, 2)
    with run_in_bucket(URL, TINY) as run_folder:
        saved(run_folder.path, 4)
        there = [bucket / "checkpoints" / name for name in ("00000004/manifest.json", "committed.json")]
        deadline = time.monotonic() + 30
        while not (there[0].exists() and '"newest_step": 4' in there[1].read_text()):
            assert time.monotonic() < deadline
            time.sleep(0.05)


PHASES = changed(TINY, phases=(Phase(24, 0.5), Phase(LENGTH, 0.5)))
"""Three steps with rows of 24 tokens, then three with those of the main records."""


@pytest.mark.parametrize(
    ("done", "staged"), [(0, {"examples", "24"}), (2, {"examples", "24"}), (3, {"examples"}), (4, {"examples"})]
)
def test_only_the_rows_of_phases_still_to_be_trained_come_and_those_in_the_bucket_stay(
    bucket: Path, done: int, staged: set[str]
) -> None:
    both_lengths(bucket, evaluation=5)
    if done:
        saved(bucket, done)
    before = sorted(bucket.rglob("*-train.array_record-*"))
    with run_in_bucket(URL, PHASES) as run_folder:
        assert {path.parent.name for path in run_folder.path.rglob("*-train.array_record-*")} == staged
        assert {path.parent.name for path in run_folder.path.rglob("*-evaluation.array_record-*")} == {"examples", "24"}
        saved(run_folder.path, 5)
    assert '"newest_step": 5' in (bucket / "checkpoints" / "committed.json").read_text()
    assert sorted(bucket.rglob("*-train.array_record-*")) == before
    with run_in_bucket(URL, PHASES) as run_folder:
        assert {path.parent.name for path in run_folder.path.rglob("*-train.array_record-*")} == staged, "none goes"


def both_lengths(folder: Path, evaluation: int) -> None:
    """A prepared run with records of the main length and of 24 tokens."""
    write_records(folder / "examples", evaluation=evaluation)
    write_records(folder / "examples" / "24", length=24, evaluation=evaluation, vocabulary=folder / "vocabulary")
    RunFolder(folder).record("prepare", {})


def test_training_rows_of_the_main_length_come_where_the_proof_of_an_export_reads_them(tmp_path: Path) -> None:
    backwards = changed(TINY, phases=(Phase(LENGTH, 0.5), Phase(24, 0.5)))
    for evaluation, needed in ((5, ["24"]), (0, [".", "24"])):
        both_lengths(tmp_path / str(evaluation), evaluation)
        assert folders_to_stage(tmp_path / str(evaluation) / "examples", backwards, 3) == needed
    assert folders_to_stage(tmp_path / "none", backwards, 3) == []


def test_the_launcher_is_told_the_folders_of_the_phases_to_come(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both_lengths(tmp_path, evaluation=5)
    flags = ["quickstart", "--run-dir", str(tmp_path), "--training.max-steps", "10"]
    staging_command.run(["3", *flags])
    assert capsys.readouterr().out.split() == ["."]


def test_what_was_saved_is_brought_also_when_training_fails(bucket: Path) -> None:
    saved(bucket, 2)

    def fail() -> None:
        with run_in_bucket(URL, TINY) as run_folder:
            saved(run_folder.path, 4)
            raise WorkError("too many updates")

    with pytest.raises(WorkError, match="too many updates"):
        fail()
    assert (bucket / "checkpoints" / "00000004").exists()


@pytest.mark.parametrize(("elsewhere", "kept"), [(6, "runs 6\n"), (2, "copy 4\n")], ids=["bucket", "this machine"])
def test_the_one_with_the_later_checkpoint_counts(bucket: Path, elsewhere: int, kept: str) -> None:
    saved(bucket, 2)
    with run_in_bucket(URL, TINY) as run_folder:
        path = run_folder.path
    shutil.rmtree(path)
    saved(path, 4)
    (path / "metrics" / "metrics.jsonl").write_text("copy 4\n")
    saved(bucket, elsewhere)
    with run_in_bucket(URL, TINY) as run_folder:
        assert (run_folder.metrics / "metrics.jsonl").read_text() == kept
    assert (bucket / "metrics" / "metrics.jsonl").read_text() == kept


def test_of_two_machines_that_train_one_run_the_second_brings_nothing(
    bucket: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_bucket, "LOOK_SECONDS", 60.0)  # what is saved is brought at the end
    saved(bucket, 2)

    def train_elsewhere_meanwhile() -> None:
        with run_in_bucket(URL, TINY) as here:
            monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other"))
            with run_in_bucket(URL, TINY) as there:
                saved(there.path, 4)
            saved(here.path, 4)
            (here.path / "metrics" / "metrics.jsonl").write_text("lost\n")

    with pytest.raises(
        WorkError, match="tiny has step 4, which another machine brought there: it trains this run, too"
    ):
        train_elsewhere_meanwhile()
    assert "lost" not in (bucket / "metrics" / "metrics.jsonl").read_text()


def test_a_bucket_that_was_emptied_meanwhile_is_filled_again(bucket: Path) -> None:
    saved(bucket, 2)
    with run_in_bucket(URL, TINY) as run_folder:
        shutil.rmtree(bucket)
        saved(run_folder.path, 4)
    assert (bucket / "checkpoints" / "00000004").exists()


@pytest.mark.parametrize("killed", ["before", "after"])
def test_a_push_that_is_killed_is_no_other_machine(bucket: Path, killed: str) -> None:
    saved(bucket, 2)
    with run_in_bucket(URL, TINY) as run_folder:
        saved(run_folder.path, 4)
    if killed == "before":
        (bucket / "checkpoints" / "committed.json").write_text('{"newest_step": 2}')
    (run_folder.path.parent / ".tiny.seen").write_text("2 4")
    in_bucket._sync("push", URL, run_folder)
    assert '"newest_step": 4' in (bucket / "checkpoints" / "committed.json").read_text()


def test_what_cannot_be_is_one_sentence(bucket: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def enter(url: str) -> None:
        with run_in_bucket(url, TINY):
            raise AssertionError("entered")

    with pytest.raises(InputError, match=r"gs://bucket/runs/tiny: not a run folder \(it has no manifest.json\)"):
        train_command.run(["quickstart", "--run-dir", f"{URL}/"])
    with pytest.raises(InputError, match="--run-dir s3://bucket/x: runs are trained in a folder or on gs://"):
        enter("s3://bucket/x")
    (tmp_path / "script.json").write_text('{"read_only": true}')
    with pytest.raises(WorkError, match="gs://bucket/runs cannot be written from this host"):
        enter(URL)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="gcloud is not installed, which brings runs to buckets"):
        enter(URL)
