"""What somebody reads of a run stays until it is read, while training saves and removes checkpoints beside it."""

import logging
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_run import changed

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.run_folder import RunFolder
from pretrain.checkpoints import restore
from pretrain.checkpoints.held import free_to_remove, held
from pretrain.checkpoints.store import CheckpointStore
from pretrain.checkpoints.verify import fault, list_steps, newest_valid, step_folder
from pretrain.exporting.export import export
from pretrain.exporting.exported import exports_of
from pretrain.monitoring.inspect import print_batch
from pretrain.recipe import TrainingRecipe
from pretrain.subject import held_step, load_subject
from pretrain.train import train

READER = """
import sys
from pathlib import Path
from pretrain.checkpoints.held import held

with held(Path(sys.argv[1])) as there:
    print(there, flush=True)
    sys.stdin.read()
"""
WRITER = """
import sys
from data_pipeline.contract import run_folder

run_folder.software_versions = dict  # it asks git
for number in range(50):
    run_folder.RunFolder(sys.argv[1]).change("export", lambda last: {**last, f"{sys.argv[2]}{number}": 1})
"""
pytestmark = pytest.mark.usefixtures("shared_programs")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, shared_programs: None) -> RunFolder:
    """Four steps with a checkpoint after each."""
    from tiny_run import TINY, write_records

    run = RunFolder(tmp_path_factory.mktemp("held") / "run")
    run.path.mkdir()
    write_records(run.examples)
    keep = {"every_steps": 1, "keep": 4}
    train(run, "tiny", changed(TINY, max_steps=4, evaluation={"rows": 0}, checkpoints=keep))
    return run


@pytest.fixture
def run(trained: RunFolder, tmp_path: Path) -> RunFolder:
    shutil.copytree(trained.path, tmp_path / "run")
    return RunFolder(tmp_path / "run")


def python(script: str, *arguments: object) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def prune(run: RunFolder, keep: int = 1) -> list[int]:
    """What training does after each save; returns the steps that are left."""
    CheckpointStore(run.checkpoints, keep)._prune(4)
    return list_steps(run.checkpoints)


def prune_once_before(module: Any, name: str, run: RunFolder, patch: pytest.MonkeyPatch) -> None:
    """Training removes all but the newest checkpoint the first time that a function of a module is called."""
    original, over = getattr(module, name), threading.Event()

    def call(*arguments: Any, **named: Any) -> Any:
        if not over.is_set():
            over.set()
            prune(run)
        return original(*arguments, **named)

    patch.setattr(module, name, call)


def test_what_is_read_is_kept_until_it_is_read_and_then_goes_with_the_next_save(run: RunFolder) -> None:
    with held_step(run, 2) as step, held_step(run, 2):
        assert step == 2
        assert prune(run) == [2, 4]
        assert fault(step_folder(run.checkpoints, 2)) is None
    assert prune(run) == [4]


def test_a_reader_that_is_killed_keeps_nothing(run: RunFolder) -> None:
    reader = python(READER, step_folder(run.checkpoints, 1))
    assert reader.stdout is not None
    assert reader.stdout.readline() == "True\n"
    assert prune(run) == [1, 4]
    reader.kill()
    reader.wait()
    assert prune(run) == [4]


def test_what_is_no_checkpoint_is_held_by_nobody(run: RunFolder) -> None:
    broken = step_folder(run.checkpoints, 1)
    (broken / "manifest.json").write_text("{")
    for folder in (broken, step_folder(run.checkpoints, 9)):
        with held(folder) as there, free_to_remove(folder) as free:
            assert (there, free) == (False, True)


def test_the_next_newest_is_taken_where_one_goes_between_choice_and_reading(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pretrain import subject

    shutil.rmtree(step_folder(run.checkpoints, 4))
    choose, taken = subject.find_step, []

    def find_step(*arguments: Any) -> int:
        taken.append(choose(*arguments))
        if len(taken) == 1:
            shutil.rmtree(step_folder(run.checkpoints, 3))
        return taken[-1]

    monkeypatch.setattr(subject, "find_step", find_step)
    with held_step(run, None) as step:
        assert (taken, step) == ([3, 2], 2)
    taken.clear()
    with pytest.raises(InputError, match=r"--step 3: no such checkpoint; there are 1, 2"), held_step(run, 3):
        pass


def test_checkpoints_that_go_while_they_are_compared_are_no_damage(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """All that were listed are gone when their turn comes, and another one is there."""
    from pretrain.checkpoints import verify

    last, kept = step_folder(run.checkpoints, 4), run.path / "kept"
    last.rename(kept)
    compare, asked = verify.fault, []

    def fault_after_removal(checkpoint: Path) -> str | None:
        asked.append(checkpoint.name)
        if len(asked) == 1:
            for step in (1, 2, 3):
                shutil.rmtree(step_folder(run.checkpoints, step))
            kept.rename(last)
        return compare(checkpoint)

    monkeypatch.setattr(verify, "fault", fault_after_removal)
    with caplog.at_level(logging.WARNING):
        found = newest_valid(run.checkpoints)
    assert found is not None
    assert found[0] == 4
    assert caplog.text == ""


@pytest.mark.parametrize("to", ["beside", "inside"])
def test_an_export_beside_training_is_whole_and_known_to_its_run(
    to: str, run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pretrain.exporting import export as exporting

    monkeypatch.setattr("pretrain.exporting.export.prove", lambda *_: "not proven")
    prune_once_before(exporting, "subject_of_run", run, monkeypatch)
    place = run.export if to == "inside" else tmp_path / "mine"
    assert export(run, 2, place) == 2
    assert list_steps(run.checkpoints) == [2, 4]
    (record,) = exports_of(run).values()
    assert record["step"] == 2
    assert export(run, None, place) == 4, "the export before is known, so that it is replaced"


def test_inspect_and_load_beside_training(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from pretrain import subject
    from pretrain.monitoring import inspect

    prune_once_before(inspect, "restore_params", run, monkeypatch)
    print_batch(run, 2, 1)
    assert "  right: " in capsys.readouterr().out, "the model of step 2 was asked"
    assert list_steps(run.checkpoints) == [2, 4]
    assert prune(run, 2) == [2, 4]
    prune_once_before(subject, "restore_params", run, monkeypatch)
    assert load_subject(run.path, step=2).step == 2
    assert prune(run) == [4]


def test_two_commands_change_the_manifest_one_after_the_other(tmp_path: Path) -> None:
    """Each adds what it did; with a manifest that was read before the other's was written, one would be lost."""
    writers = [python(WRITER, tmp_path, name) for name in "ab"]
    assert [writer.wait() for writer in writers] == [0, 0]
    assert len(RunFolder(tmp_path).manifest()["export"].keys() - {"software"}) == 100


def test_training_beside_a_reader_keeps_its_checkpoint(
    new_run: Callable[..., RunFolder], tiny: TrainingRecipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a user has it: one start saves at every step and keeps one, and an export of step 1 takes its time."""
    run, recipe = new_run(), changed(tiny, evaluation={"rows": 0}, checkpoints={"every_steps": 1, "keep": 1})
    train(run, "tiny", changed(recipe, stop_at_step=1))
    with held_step(run, None) as step:
        train(run, "tiny", changed(recipe, stop_at_step=4))
        assert list_steps(run.checkpoints) == [1, 4]
        assert restore.restore_params(step_folder(run.checkpoints, step))
    train(run, "tiny", recipe)
    assert list_steps(run.checkpoints) == [6]
