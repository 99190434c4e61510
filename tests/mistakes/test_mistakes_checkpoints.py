"""Damaged checkpoints, metrics and exports, steps that are not there, and folders that export must not touch."""

import fcntl
import json
import logging
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from harness import WORK_FAILED, WRONG_INPUT, snapshot
from training_runs import EXPORT, TRAIN, Run, cut, data_files, exported, fails, flip_bit, losses

NEWEST = Path("run/checkpoints/00000004")
INSPECT, FILL = ("pretrain", "inspect", "run"), ("pretrain", "fill", "run")

DAMAGES = {
    "bit flipped": (lambda: flip_bit(data_files(NEWEST)[0]), r"params/\S+ differs from its hash in manifest.json"),
    "cut": (lambda: cut(data_files(NEWEST)[0]), r"params/\S+ has \d+ bytes, manifest.json says \d+"),
    "file missing": (lambda: data_files(NEWEST)[-1].unlink(), r"params/\S+ is missing"),
    "without manifest": (
        lambda: manifest().unlink(),
        r"it has no manifest.json: it was never finished, or is being written or removed at this moment",
    ),
    "manifest cut": (lambda: cut(manifest()), r"manifest.json is not readable"),
    "manifest changed": (lambda: change_facts(), r"manifest.json differs from its own hash"),
}


def manifest() -> Path:
    return NEWEST / "manifest.json"


def change_facts() -> None:
    content = json.loads(manifest().read_text())
    content["facts"]["rows_seen"] += 1
    manifest().write_text(json.dumps(content))


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_checkpoint_is_named_and_nobody_takes_numbers_from_it(
    trained: Path, run_command_line: Run, name: str
) -> None:
    damage, fault = DAMAGES[name]
    damage()
    for command in (EXPORT, INSPECT):
        fails(run_command_line, (*command, "--step", 4), rf"\S*{NEWEST}: {fault}; choose another .*", WORK_FAILED)


@pytest.mark.parametrize("name", ["bit flipped", "cut", "without manifest"])
def test_a_damaged_checkpoint_is_skipped_for_the_one_before_and_the_losses_are_the_same(
    trained: Path, run_command_line: Run, never_failed: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    damage, fault = DAMAGES[name]
    damage()
    shutil.rmtree("run/export")
    with caplog.at_level(logging.INFO):
        run_command_line(*EXPORT).success()
        assert re.search(rf"{NEWEST}: skipped: {fault}\n", caplog.text + "\n")
        assert "BERT of step 2" in caplog.text
        caplog.clear()
        run_command_line(*TRAIN).success()
    assert re.search(rf"{NEWEST}: skipped: {fault}\n", caplog.text)
    assert "steps 2 to 4" in caplog.text
    assert losses(trained) == losses(never_failed / "run")
    run_command_line(*EXPORT).success()
    assert exported(trained / "export") == exported(never_failed / "run" / "export")


def test_where_no_checkpoint_is_valid_the_run_stops_and_starts_again_only_when_told(
    trained: Path, run_command_line: Run, never_failed: Path
) -> None:
    for checkpoint in ("00000002", "00000004"):
        flip_bit(data_files(trained / "checkpoints" / checkpoint)[0])
    shutil.rmtree("run/export")
    message = (
        r"\S*run/checkpoints: checkpoints were written here but none is valid; restore one from a copy, or remove this folder "
        "to start again from step 0"
    )
    for command in (TRAIN, EXPORT, INSPECT):
        fails(run_command_line, command, message, WORK_FAILED)
    shutil.rmtree("run/checkpoints")
    run_command_line(*TRAIN).success()
    assert losses(trained) == losses(never_failed / "run")
    run_command_line(*EXPORT).success()
    assert exported(trained / "export") == exported(never_failed / "run" / "export")


def test_a_step_that_is_not_there_lists_those_that_are(trained: Path, run_command_line: Run) -> None:
    fails(run_command_line, (*EXPORT, "--step", 3), r"--step 3: no such checkpoint; there are 2, 4")
    fails(run_command_line, (*INSPECT, "--step", -1), r"--step -1: must be 0 or more")
    fails(run_command_line, (*INSPECT, "--rows", 0), r"--rows 0: must be 1 or more")
    fails(
        run_command_line, (*EXPORT, "--steps", 3), r"--steps: no such flag; did you mean --step\?; .* lists every flag"
    )
    fails(run_command_line, EXPORT[:2], r".*RUN_DIR.*; `python -m pretrain export --help` lists every flag")


def test_what_is_not_trained_yet_cannot_be_exported_or_filled(prepared: Path, run_command_line: Run) -> None:
    first = r"run `python -m pretrain train` first"
    fails(run_command_line, EXPORT, rf"run/checkpoints: no checkpoint yet; {first}")
    fails(run_command_line, (*EXPORT, "--step", 1), r"--step 1: no such checkpoint; there are none")
    fails(run_command_line, INSPECT, rf"run: training has not started here; {first}")
    fails(
        run_command_line,
        FILL,
        r"run: holds no config.json and model.safetensors; run `python -m pretrain export` first",
    )
    not_a_run = r"nowhere: not a run folder \(it has no manifest.json\); give the --run-dir of an earlier prepare"
    for command in ("export", "inspect"):
        fails(run_command_line, ("pretrain", command, "nowhere"), not_a_run)


@pytest.mark.parametrize(
    ("path", "damage", "commands", "message"),
    [
        (
            "run/metrics/metrics.jsonl",
            lambda text: text.replace('{"step": 2', 'step": 2', 1),
            ((*TRAIN, "--training.stop-at-step", 3), (*EXPORT, "--to", "elsewhere")),
            r"{path}:2: not a line of JSON with a step; remove the line and run again",
        ),
        (
            "run/training_recipe.json",
            lambda text: text[:100],
            (INSPECT,),
            r"{path}: not readable as JSON \(.*\); restore it or remove it and run again",
        ),
        (
            "run/training_recipe.json",
            lambda text: text.replace('"kind": "TrainingRecipe"', '"kind": "Other"'),
            (INSPECT,),
            r"the training recipe that was written down is not one that this code knows \(.*\); use .*, or train again",
        ),
        (
            "run/manifest.json",
            lambda text: text[:100],
            (TRAIN, EXPORT, FILL),
            r"{path}: not readable as JSON \(.*\); restore it or remove it and run again",
        ),
    ],
    ids=["metrics", "recipe cut", "recipe of other code", "manifest"],
)
def test_a_damaged_text_file_of_the_run_is_named(
    trained: Path, run_command_line: Run, path: str, damage: Callable[[str], str], commands: tuple, message: str
) -> None:
    remove_checkpoint_of_step_4 = "metrics" in path
    if remove_checkpoint_of_step_4:
        shutil.rmtree(NEWEST)  # so that train has something to do
    whole = Path(path).read_text(encoding="utf-8")
    Path(path).write_text(damage(whole), encoding="utf-8")
    for command in commands:
        fails(run_command_line, command, message.replace("{path}", path))
    Path(path).write_text(whole, encoding="utf-8")
    for command in commands:
        run_command_line(*command).success()


EXPORT_DAMAGES = {
    "model.safetensors": lambda path: flip_bit(path),
    "tokenizer.json": lambda path: path.write_text(path.read_text(encoding="utf-8").replace("[MASK]", "[UNUSED]")),
    "vocab.txt": lambda path: cut(path),
    "config.json": lambda path: path.unlink(),
}


@pytest.mark.parametrize("name", EXPORT_DAMAGES)
def test_a_damaged_export_is_named_by_fill_and_mended_by_export(
    trained: Path, run_command_line: Run, never_failed: Path, name: str
) -> None:
    EXPORT_DAMAGES[name](trained / "export" / name)
    message = rf"run/export/{name}: not as it was exported; run `python -m pretrain export` again"
    fails(run_command_line, FILL, message)
    run_command_line(*EXPORT).success()
    assert exported(trained / "export") == exported(never_failed / "run" / "export")
    assert run_command_line(*FILL, "--top", 1).success().out.count("%") == 2


def test_an_exported_folder_far_from_its_run_is_checked_as_well_as_can_be(trained: Path, run_command_line: Run) -> None:
    shutil.copytree("run/export", "away")
    command = ("pretrain", "fill", "away")
    run_command_line(*command).success()
    for name, damage, message in (
        ("model.safetensors", cut, r"away/model.safetensors: damaged \(.*\); fetch or export it again"),
        ("config.json", cut, r"away/config.json: not readable as JSON \(.*\); .*"),
        (
            "config.json",
            lambda path: path.write_text("{}"),
            r"away: config.json says model_type None; this code reads bert.*",
        ),
        ("tokenizer.json", cut, r"away/tokenizer.json: not a tokenizer \(.*\); restore the file"),
    ):
        whole = Path("away", name).read_bytes()
        damage(Path("away", name))
        fails(run_command_line, command, message)
        Path("away", name).write_bytes(whole)
    fails(run_command_line, (*command, "--top", 0), r"--top 0: must be 1 or more")
    ran = run_command_line(*command, "--text", "빈칸이 없다.")
    assert ran.sentence(WRONG_INPUT) == "'빈칸이 없다.': holds no [MASK]; put it where a word is to be filled in"


def test_export_touches_no_folder_of_others(trained: Path, run_command_line: Run) -> None:
    Path("file").write_text("mine")
    for name in ("notes.txt", "model.safetensors"):
        Path("theirs").mkdir(exist_ok=True)
        Path("theirs", name).write_text("mine")
    shutil.copytree("run/export", "published")
    Path("published/README.md").write_text("# My model\n")
    card = r"its README.md is not as this run exported it; move the folder away, or choose another --to"
    for to, message in (
        ("file", r"--to file: is a file; choose an empty or a new folder"),
        ("file/below", r"--to file/below: no folder can be made there \(.*\); choose another"),
        ("theirs", r"--to theirs: holds other files \(notes.txt\); choose an empty or a new folder"),
        ("run", r"--to run: holds other files \(.*\); choose an empty or a new folder"),
        ("run/checkpoints", r"--to run/checkpoints: holds other files \(.*\); choose an empty or a new folder"),
        ("published", rf"--to published: {card}"),
    ):
        fails(run_command_line, (*EXPORT, "--to", to), message)
    Path("theirs/notes.txt").unlink()
    fails(run_command_line, (*EXPORT, "--to", "theirs"), rf"--to theirs: {card}")
    run_command_line(*EXPORT, "--to", "new/folder").success()
    assert exported(Path("new/folder")) == exported(trained / "export")


def test_a_card_that_was_filled_in_is_never_overwritten(trained: Path, run_command_line: Run) -> None:
    card = trained / "export" / "README.md"
    exported_card = card.read_text(encoding="utf-8")
    card.write_text(exported_card.replace("unknown", "the author"), encoding="utf-8")
    run_command_line(*EXPORT).success()  # the same checkpoint stands there
    assert "the author" in card.read_text(encoding="utf-8")
    message = (
        r"--to run/export: its README.md is not as this run exported it; move the folder away, or choose another --to"
    )
    fails(run_command_line, (*EXPORT, "--step", 2), message)
    card.write_text(exported_card, encoding="utf-8")
    run_command_line(*EXPORT, "--step", 2).success()


@pytest.mark.parametrize("killed", ["before the old one moved", "before the new one moved", "before the manifest"])
def test_an_export_that_was_killed_is_made_anew_and_leaves_nothing(
    trained: Path, run_command_line: Run, never_failed: Path, killed: str
) -> None:
    shutil.copytree("run/export", "run/.export.0123abcd")
    if killed == "before the old one moved":
        Path("run/.export.0123abcd/config.json").unlink()
        flip_bit(trained / "export" / "model.safetensors")  # so that there is something to do
    elif killed == "before the new one moved":
        os.rename("run/export", "run/.export.old")
    else:
        shutil.rmtree("run/.export.0123abcd")
        manifest = json.loads((trained / "manifest.json").read_text(encoding="utf-8"))
        del manifest["export"]
        (trained / "manifest.json").write_text(json.dumps(manifest, ensure_ascii=False), encoding="utf-8")
    run_command_line(*EXPORT).success()
    assert exported(trained / "export") == exported(never_failed / "run" / "export")
    assert sorted(path.name for path in trained.glob(".*")) == [".lock", ".manifest.lock"]


def test_an_export_at_work_is_not_disturbed_by_another(trained: Path, run_command_line: Run) -> None:
    at_work = trained / ".export.0123abcd"
    at_work.mkdir()
    descriptor = os.open(at_work, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    shutil.rmtree("run/export")
    run_command_line(*EXPORT).success()
    assert at_work.is_dir()
    os.close(descriptor)
    shutil.rmtree("run/export")
    run_command_line(*EXPORT).success()
    assert not at_work.exists()


def test_without_transformers_an_export_says_that_it_was_not_compared(
    trained: Path, run_command_line: Run, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        run_command_line(*EXPORT, "--to", "again").success()
    assert "not compared with transformers, because torch is not installed (pip install .[export])" in caplog.text
    assert snapshot(Path("again")) == snapshot(trained / "export")
