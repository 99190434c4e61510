"""Every command on a run, in each state in which a run may be found: it does its work, or says in one sentence why not.

A run that one may only read lies on a real file system that is mounted read-only, which binds root as well.
"""

import importlib.util
import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from harness import RECIPE_FILE, WORK_FAILED, WRONG_INPUT, SmallDisk, snapshot
from training_runs import Run, copy_run

from data_pipeline.contract import packages
from data_pipeline.contract.run_folder import RunFolder
from data_pipeline.contract.storage import read_json, write_json
from pretrain.checkpoints.verify import MANIFEST, content_hash, step_folder

READERS: dict[str, tuple[str, ...]] = {
    "export": ("pretrain", "export", "RUN", "--to", "mine"),
    "export --every": ("pretrain", "export", "RUN", "--every", "--to", "mine"),
    "inspect": ("pretrain", "inspect", "RUN", "--rows", "1"),
    "fill": ("pretrain", "fill", "RUN"),
    "embed": ("pretrain", "embed", "RUN", "--input", "corpus/part-0.jsonl", "--pooling", "mean", "--to", "out.npy"),
    "compare": ("pretrain", "compare", "RUN", "--to", "curves.html"),
    "bench-input": ("pretrain", "bench-input", "RUN", "--seconds", "0.1"),
    "report": ("data_pipeline", "report", "RUN"),
    "inspect of rows": ("data_pipeline", "inspect", "RUN", "--rows", "1"),
    "diff": ("data_pipeline", "diff", "RUN", "twin", "--examined", "5"),
    "vocabulary extend": (
        *("data_pipeline", "vocabulary", "extend", "RUN/vocabulary", "--source", "jsonl:corpus/part-0.jsonl"),
        *("--to", "longer", "--min-count", "2", "--workers", "1"),
    ),
    "plan": ("pretrain", "plan", RECIPE_FILE, "--run-dir", "RUN", "--on", "cpu"),
    "evaluate": (
        *("pretrain", "evaluate", "RUN", "--task", "nsmc", "--data", "reviews", "--to", "scores", "--seeds", "1"),
        *("--settings.epochs", "1", "--settings.max-length", "16", "--no-every-epoch"),
    ),
}
WRITERS: dict[str, tuple[str, ...]] = {
    "train": ("pretrain", "train", RECIPE_FILE, "--run-dir", "RUN"),
    "prepare": ("data_pipeline", "prepare", RECIPE_FILE, "--run-dir", "RUN", "--workers", "1"),
}
ONLY_READ_ONLY: dict[str, tuple[str, ...]] = {
    "evaluate": ("pretrain", "evaluate", "RUN", "--task", "nsmc"),
    "contaminated": (
        *("data_pipeline", "contaminated", "jsonl:corpus/part-0.jsonl", "--run-dir", "RUN", "--workers", "1"),
        *("--benchmark", "corpus/part-0.jsonl"),
    ),
}
"""What writes to a run as well, if it is told to."""
SLOW = ("export --every", "compare", "embed", "plan", "evaluate", "vocabulary extend", "diff")
"""Beside the others they show little, or compile for long."""
EVERY_READER = pytest.mark.parametrize(
    "command",
    [pytest.param(each, id=name, marks=[pytest.mark.slow] * (name in SLOW)) for name, each in READERS.items()],
)
EVERY_WRITER = pytest.mark.parametrize("command", [pytest.param(each, id=name) for name, each in WRITERS.items()])


def on(run: Path, command: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(re.sub(r"^RUN(?=/|$)", str(run), word) for word in command)


@pytest.fixture(autouse=True)
def beside_the_run(workplace: Path, unbroken: Path) -> None:
    """In the working directory a few films' reviews in NSMC's form, and another run."""
    (workplace / "twin").symlink_to(unbroken)
    rows = [
        f"{number}\t{'정말 좋았다' if number % 2 else '시간이 아깝다'} {number}\t{number % 2}" for number in range(16)
    ]
    (workplace / "reviews").mkdir()
    for name in ("ratings_train.txt", "ratings_test.txt"):
        text = "\n".join(["id\tdocument\tlabel", *rows]) + "\n"
        (workplace / "reviews" / name).write_text(text, encoding="utf-8")


def unfinished(run: Path) -> None:
    """What a start leaves or has at work: no last word in the manifest, a save that is under way, half a line of metrics."""
    manifest = read_json(run / "manifest.json")
    del manifest["train"]
    write_json(run / "manifest.json", manifest)
    shutil.rmtree(step_folder(run / "checkpoints", 4))
    write_json(run / "checkpoints" / "committed.json", {"newest_step": 2})
    for name in ("00000004", "00000004.orbax-checkpoint-tmp-12"):
        (run / "checkpoints" / name / "params").mkdir(parents=True)


def rewritten(run: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Changes the facts of every checkpoint, whose hash is right again."""
    for path in run.glob(f"checkpoints/*/{MANIFEST}"):
        manifest = read_json(path)
        change(manifest["facts"])
        write_json(path, {"sha256": content_hash(manifest), "facts": manifest["facts"], "files": manifest["files"]})


def as_older_code_wrote(facts: dict[str, Any]) -> None:
    """Fields that came later are not there."""
    for name in ("batch_warmup", "start_from", "spikes", "probes", "format"):
        facts["recipe"].pop(name)
    for name in ("left_out", "window", "software"):
        facts.pop(name, None)


@pytest.fixture(scope="module")
def read_only(never_failed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The run on a disk that is mounted read-only."""
    try:
        disk = SmallDisk(tmp_path_factory.mktemp("read-only") / "disk", "64m")
    except OSError as error:
        pytest.skip(str(error))
    copy_run(never_failed / "run", disk.path / "run")
    disk.read_only(True)
    yield disk.path / "run"
    disk.close()


@EVERY_READER
@pytest.mark.usefixtures("trained")
def test_of_a_run_that_one_may_only_read(command: tuple[str, ...], read_only: Path, run_command_line: Run) -> None:
    before = snapshot(read_only)
    ran = run_command_line(*on(read_only, command)).success()
    assert snapshot(read_only) == before
    if command[1] == "export":
        assert list(Path("mine").rglob("model.safetensors"))
    if command[1] == "evaluate":
        run_command_line("pretrain", "leaderboard", "scores", "--to", "board").success()
    if command[1] == "report":
        assert "report.html: not written (" in ran.out
        assert "the disk is read-only" in ran.out


@pytest.mark.usefixtures("trained")
def test_an_export_that_cannot_be_recorded_warns_and_may_be_made_again(
    read_only: Path, run_command_line: Run, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        run_command_line(*on(read_only, READERS["export"])).success()
        assert "mine: the export is whole, but its run does not know of it (" in caplog.text
        caplog.clear()
    sentence = run_command_line("pretrain", "export", read_only, "--step", 2).sentence(WORK_FAILED)
    assert sentence.endswith("or use another folder")


@EVERY_WRITER
@pytest.mark.usefixtures("trained")
def test_what_writes_refuses_a_run_that_one_may_only_read(
    command: tuple[str, ...], read_only: Path, run_command_line: Run
) -> None:
    sentence = run_command_line(*on(read_only, command)).sentence(WRONG_INPUT)
    assert "cannot be a run folder (Read-only file system)" in sentence


@pytest.mark.parametrize("command", [pytest.param(each, id=name) for name, each in ONLY_READ_ONLY.items()])
@pytest.mark.usefixtures("trained")
def test_what_would_write_to_a_run_that_one_may_only_read_says_so_before_any_work(
    command: tuple[str, ...], read_only: Path, run_command_line: Run
) -> None:
    before = snapshot(read_only)
    sentence = run_command_line(*on(read_only, command)).sentence(WRONG_INPUT)
    assert "Read-only file system" in sentence
    assert re.search(r"say with --to|choose another", sentence)
    assert snapshot(read_only) == before


@pytest.mark.parametrize("state", ["read-only", "killed"])
def test_what_compares_evaluations_or_seeds_says_which_run_lacks_them(
    state: str, trained: Path, read_only: Path, run_command_line: Run
) -> None:
    run = trained if state == "killed" else read_only
    if state == "killed":
        unfinished(trained)
    sentence = run_command_line("pretrain", "leaderboard", run, "--to", "board").sentence(WRONG_INPUT)
    assert sentence.startswith(f"{run}")
    run_command_line("pretrain", "reference", run, run, "--to", "reference.json").sentence(WRONG_INPUT)
    sentence = run_command_line("pretrain", "predict", run, "--input", "reviews/ratings_test.txt").sentence(WRONG_INPUT)
    assert "evaluate" in sentence
    assert not Path("board").exists()
    assert not Path("reference.json").exists()


@EVERY_READER
@pytest.mark.parametrize("state", ["live", "killed"])
def test_of_a_run_that_is_at_work_or_was_killed(
    command: tuple[str, ...], state: str, trained: Path, run_command_line: Run
) -> None:
    unfinished(trained)
    with RunFolder(trained).locked() if state == "live" else nothing():
        run_command_line(*on(trained, command)).success()
    if command[1] == "export":
        card = next(Path("mine").rglob("README.md")).read_text(encoding="utf-8")
        assert "A Korean BERT of 2 layers, 32 wide" in card
        assert "- 2 of 4 steps of 8 rows; tokens seen: " in card
        assert "hours of training: unknown" not in card


@contextmanager
def nothing() -> Iterator[None]:
    yield


@EVERY_WRITER
def test_what_writes_waits_for_nobody(command: tuple[str, ...], trained: Path, run_command_line: Run) -> None:
    unfinished(trained)
    with RunFolder(trained).locked():
        assert "run: in use by process" in run_command_line(*on(trained, command)).sentence(WORK_FAILED)
    run_command_line(*on(trained, command)).success()


@pytest.mark.parametrize("step", ["2", "latest", "3"])
@pytest.mark.parametrize("command", ["export", "inspect", "embed"])
@pytest.mark.usefixtures("trained")
def test_of_an_earlier_step(command: str, step: str, run_command_line: Run) -> None:
    ran = run_command_line(*on(Path("run"), READERS[command]), "--step", step)
    if step == "3" and command != "inspect":
        assert ran.sentence(WRONG_INPUT) == "--step 3: no such checkpoint; there are 2, 4"
        return
    ran.success()
    if command == "inspect":
        assert f"the batch of step {5 if step == 'latest' else int(step) + 1} " in ran.out


@EVERY_READER
def test_of_a_run_of_older_code(command: tuple[str, ...], trained: Path, run_command_line: Run) -> None:
    rewritten(trained, as_older_code_wrote)
    run_command_line(*on(trained, command)).success()


def test_a_run_of_older_code_goes_on(trained: Path, run_command_line: Run) -> None:
    shutil.rmtree(step_folder(trained / "checkpoints", 4))
    rewritten(trained, as_older_code_wrote)
    run_command_line(*on(trained, WRITERS["train"])).success()
    assert step_folder(trained / "checkpoints", 4).exists()


@pytest.mark.parametrize("module", ["torch", "transformers", "matplotlib", "jinja2"])
@pytest.mark.parametrize("command", ["export", "fill", "inspect", "report"])
@pytest.mark.usefixtures("trained")
def test_with_an_optional_package_that_is_broken(
    command: str,
    module: str,
    run_command_line: Run,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is there, and its import fails in its own way: a library that is not found, a version that does not fit."""
    found, load = importlib.util.find_spec, packages.import_module

    def import_module(name: str) -> Any:
        if name == module:
            raise OSError("libcudart.so.12: cannot open shared object file")
        return object() if name in ("torch", "transformers") else load(name)

    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: object() if name in ("torch", "transformers") else found(name)
    )
    monkeypatch.setattr(packages, "import_module", import_module)
    if command == "export" and module not in ("torch", "transformers"):
        pytest.skip("an export draws nothing")
    with caplog.at_level("INFO", "pretrain"):
        ran = run_command_line(*on(Path("run"), READERS[command])).success()
    if command == "export":
        told = f"not compared with transformers, because {module} cannot be imported (OSError: libcudart"
        assert told in caplog.text
    if command == "report" and module in ("matplotlib", "jinja2"):
        assert f"the package {module}, which cannot be imported (OSError: libcudart" in ran.out
    assert json.loads(Path("run/manifest.json").read_bytes())
