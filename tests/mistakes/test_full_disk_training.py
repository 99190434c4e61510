"""A disk that fills up during training or export: one sentence, nothing half-written is trusted, and the same results after."""

import json
import os
import re
import shutil
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
from harness import RECIPE_FILE, WORK_FAILED, SmallDisk, run_process
from training_runs import Run, exported, losses

from pretrain.checkpoints.verify import fault, list_steps, step_folder

MakeDisk = Callable[[str], SmallDisk]
NO_SPACE = r": no space left on the disk; free some and run the same command again"
NO_CHECKPOINT = (
    r": this checkpoint could not be written \(No space left on device\); free space or mend the folder, then run again to go "
    "on from the one before"
)


def put_on(disk: SmallDisk, run_dir: Path) -> Path:
    """Copies what training and export read of a run folder to a disk that is then full."""
    copy = disk.path / "run"
    shutil.copytree(run_dir, copy, ignore=shutil.ignore_patterns("corpus", "export"))
    leave_free(disk, 0)
    return copy


def leave_free(disk: SmallDisk, kilobytes: int) -> None:
    state = os.statvfs(disk.path)
    used = (state.f_blocks - state.f_bfree) * state.f_frsize // 1024
    disk.resize(f"{used + kilobytes}k")


def train(run: Path, *flags: object) -> tuple[object, ...]:
    return ("pretrain", "train", RECIPE_FILE, "--run-dir", run, *flags)


def assert_only_whole_checkpoints(run: Path) -> None:
    """Every checkpoint that has a manifest is as it says."""
    for step in list_steps(run / "checkpoints"):
        checkpoint = step_folder(run / "checkpoints", step)
        if (checkpoint / "manifest.json").exists():
            assert fault(checkpoint) is None


def test_a_disk_that_fills_up_while_training_costs_only_time(
    workplace: Path,
    run_command_line: Run,
    unbroken: Path,
    never_failed: Path,
    small_disk: MakeDisk,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Python 3.11 parses source to print a traceback, as a thread of the failed save may still do while the next command here
    # parses the recipe's; two at once can end in a SystemError (python/cpython#106905).
    monkeypatch.setattr(traceback, "_extract_caret_anchors_from_line_segment", lambda _: None, raising=False)
    disk = small_disk("32m")
    run = put_on(disk, unbroken)
    places = []
    # No more: what this last save leaves behind is free for the next, and both together would be enough for a whole run.
    for kilobytes in (0, 8, 16, 40, 500):
        leave_free(disk, kilobytes)
        sentence = run_command_line(*train(run)).sentence(WORK_FAILED)
        found = re.fullmatch(rf"{run}/(?P<place>\S+)(?:{NO_SPACE}|{NO_CHECKPOINT})", sentence)
        assert found, sentence
        places.append(found["place"])
        assert_only_whole_checkpoints(run)
    assert {Path(place).parts[0] for place in places} >= {"metrics", "checkpoints"}, places
    disk.resize("32m")
    run_command_line(*train(run)).success()
    assert losses(run) == losses(never_failed / "run")
    run_command_line("pretrain", "export", run, "--to", "exported").success()
    assert exported(Path("exported")) == exported(never_failed / "run" / "export")


def test_a_last_checkpoint_that_fails_in_the_background_fails_the_command(
    workplace: Path, run_command_line: Run, unbroken: Path, never_failed: Path, small_disk: MakeDisk
) -> None:
    disk = small_disk("32m")
    run = put_on(disk, unbroken)
    leave_free(disk, 500)
    command = train(run, "--training.checkpoints.every-steps", 0)
    sentence = run_process(*command).sentence(WORK_FAILED)
    assert re.fullmatch(rf"{run}/checkpoints/00000004{NO_CHECKPOINT}", sentence), sentence
    assert losses(run) == losses(never_failed / "run"), "all was trained; only the checkpoint is missing"
    assert "train" not in json.loads((run / "manifest.json").read_text()), "the run says of itself that it is done"
    disk.resize("32m")
    run_command_line(*command).success()
    assert losses(run) == losses(never_failed / "run")


@pytest.mark.usefixtures("trained")
def test_a_disk_that_fills_up_during_export_leaves_the_export_before(
    run_command_line: Run, never_failed: Path, small_disk: MakeDisk
) -> None:
    disk = small_disk("32m")
    run = put_on(disk, Path("run"))
    disk.resize("32m")
    run_command_line("pretrain", "export", run, "--step", 2).success()
    before = exported(run / "export")
    kilobytes = 0
    while True:
        leave_free(disk, kilobytes)
        ran = run_command_line("pretrain", "export", run)
        if ran.code == 0:
            break
        assert re.fullmatch(rf"{run}/\S+{NO_SPACE}", ran.sentence(WORK_FAILED)), ran.error
        assert [path.name for path in run.glob(".export*")] == []
        assert exported(run / "export") in (before, exported(never_failed / "run" / "export"))
        kilobytes += 28
    assert kilobytes > 100, "the disk was never full"
    assert exported(run / "export") == exported(never_failed / "run" / "export")
