"""Killed, doubled or damaged, a run goes on with the same command and ends with the same bytes."""

import logging
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from prepared_runs import results, run

from data_pipeline.contract.run_folder import RunFolder
from data_pipeline.contract.storage import read_json
from data_pipeline.recipe import DataRecipe, Decontamination

MakeRecipe = Callable[..., DataRecipe]
STAGES = (
    "documents",
    "duplicates",
    "signatures",
    "near_duplicates",
    "survivors",
    "shown",
    "split",
    "sentences",
    "morphemes",
    "counts",
    "vocabulary",
    "records",
)
PLACES = (
    "corpus/.dropped",
    *(f"corpus/{stage}/" for stage in STAGES),
    "run/vocabulary/",
    "run/examples/",
    "run/manifest.json",
)
"""Where a command is killed: in its stages, and while it publishes what they made."""
BENCHMARKS = "corpus/benchmarks/"
RECIPE_FILE = """
import sys
from dataclasses import replace
sys.path[:0] = {tests!r}
from conftest import make_recipe
from data_pipeline.recipe import Decontamination
data = replace(make_recipe({glob!r}), decontamination=Decontamination(benchmarks={benchmarks!r}))
"""
# In every process of the command: counts the calls that name a file of each place, and kills all at the one that is due.
KILLER = """
import os, signal, sys
COUNTED = ("open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.link", "shutil.rmtree")
places, due, folder = {places!r}, {due!r}, {folder!r}
counters = {{p: os.open(folder + "/" + p.replace("/", "."), os.O_CREAT | os.O_APPEND | os.O_WRONLY) for p in places}}
def count(event, arguments):
    if event in COUNTED:
        names = [os.fsdecode(a) + "/" for a in arguments[:2] if isinstance(a, (str, bytes, os.PathLike))]
        for place, counter in counters.items():
            if any(place in name for name in names):
                os.write(counter, b".")
                if due and place == due[0] and os.fstat(counter).st_size >= due[1]:
                    os.killpg(0, signal.SIGKILL)
sys.addaudithook(count)
"""


@pytest.fixture(scope="module")
def recipe(corpus: Path, tiny_recipe: MakeRecipe, tmp_path_factory: pytest.TempPathFactory) -> DataRecipe:
    """Its corpus is an archive, a task a member; what it drops is kept."""
    place = tmp_path_factory.mktemp("zipped") / "parts.zip"
    with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as archive:
        for part in sorted(corpus.glob("part-*.jsonl")):
            archive.write(part, part.name)
    return tiny_recipe(place)


@pytest.fixture(scope="module")
def unbroken(recipe: DataRecipe, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run with one worker that nothing disturbed; read only."""
    return run(tmp_path_factory.mktemp("unbroken") / "run", recipe, keep_dropped=True)


def start(folder: Path, recipe: DataRecipe, due: tuple[str, int] | None = None) -> "subprocess.Popen[str]":
    """The command of a recipe as a person runs it, with two workers, on `folder/run`; `folder` gets the counters of calls."""
    [source], benchmarks = recipe.sources, recipe.decontamination.benchmarks
    tests = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2] / "support")]
    (folder / "tiny.py").write_text(
        RECIPE_FILE.format(tests=tests, glob=source.glob, benchmarks=benchmarks), encoding="utf-8"
    )
    killer = folder / "killer"
    shutil.rmtree(killer, ignore_errors=True)
    killer.mkdir(parents=True)
    code = KILLER.format(places=(*PLACES, BENCHMARKS), due=due, folder=str(killer))
    (killer / "sitecustomize.py").write_text(code, encoding="utf-8")
    arguments = [
        "prepare",
        str(folder / "tiny.py"),
        "--run-dir",
        str(folder / "run"),
        "--workers",
        "2",
        "--keep-dropped",
    ]
    root = str(Path(__file__).parents[3])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(killer), root])}
    return subprocess.Popen(
        [sys.executable, "-m", "data_pipeline", *arguments],
        stderr=subprocess.PIPE, text=True, start_new_session=True, env=environment,
    )  # fmt: skip


@pytest.fixture(scope="module")
def calls(recipe: DataRecipe, unbroken: RunFolder, tmp_path_factory: pytest.TempPathFactory) -> Counter[str]:
    """How many calls name a file of each place in a command that nobody kills."""
    folder = tmp_path_factory.mktemp("counted")
    _, printed = start(folder, recipe).communicate(timeout=600)
    assert results(folder / "run") == results(unbroken.path), printed
    counted = Counter({place: (folder / "killer" / place.replace("/", ".")).stat().st_size for place in PLACES})
    assert all(counted.values()), counted
    return counted


TRIALS = [(place, seed) for seed in range(2) for place in PLACES][:20]
FAST = [("corpus/.dropped", 0), ("corpus/documents/", 0), ("corpus/sentences/", 0), ("run/examples/", 0)]


@pytest.mark.parametrize(
    ("place", "seed"),
    [pytest.param(*trial, marks=[] if trial in FAST else [pytest.mark.slow]) for trial in TRIALS],
)
def test_killed_at_any_call_in_any_stage_gives_the_same_bytes(
    place: str, seed: int, calls: Counter[str], recipe: DataRecipe, unbroken: RunFolder, tmp_path: Path
) -> None:
    """Every process of the command is killed at once, when one of them opens, makes, moves or removes a file."""
    due = random.Random(f"{place} {seed}").randint(1, calls[place])
    killed = start(tmp_path, recipe, (place, due))
    _, printed = killed.communicate(timeout=600)
    assert killed.returncode == -signal.SIGKILL, printed
    run(tmp_path / "run", recipe, keep_dropped=True)
    assert results(tmp_path / "run") == results(unbroken.path)


@pytest.mark.slow
def test_killed_while_the_benchmarks_are_indexed_gives_the_same_bytes(recipe: DataRecipe, tmp_path: Path) -> None:
    (tmp_path / "benchmark.txt").write_text(
        "평가용 자료에만 나오는 보라색 코끼리가 피아노를 연주한다.\n", encoding="utf-8"
    )
    recipe = replace(recipe, decontamination=Decontamination(benchmarks=(str(tmp_path / "benchmark.txt"),)))
    clean = run(tmp_path / "clean", recipe)
    for due in (1, 5, 12):
        killed = start(tmp_path, recipe, (BENCHMARKS, due))
        _, printed = killed.communicate(timeout=600)
        assert killed.returncode == -signal.SIGKILL, printed
    run(tmp_path / "run", recipe)
    assert results(tmp_path / "run") == results(clean.path)


def test_of_two_commands_at_once_one_refuses(recipe: DataRecipe, unbroken: RunFolder, tmp_path: Path) -> None:
    first = start(tmp_path, recipe)
    lock = tmp_path / "run" / ".lock"
    while not (lock.exists() and lock.read_text(encoding="utf-8").strip()):
        assert first.poll() is None
        time.sleep(0.01)
    os.kill(first.pid, signal.SIGSTOP)  # or it may be done before the second looks
    second = start(tmp_path, recipe)
    _, printed = second.communicate(timeout=600)
    assert second.returncode == 1
    assert printed.splitlines()[-1].startswith(f"error: {tmp_path / 'run'}: in use by process {first.pid}; wait for it")
    os.kill(first.pid, signal.SIGCONT)
    assert first.wait(timeout=600) == 0
    assert results(tmp_path / "run") == results(unbroken.path)


def outputs(folder: Path, stage: str) -> list[Path]:
    """The files that the done tasks of a stage left, where they hold anything."""
    attempts = [read_json(path)["attempt"] for path in sorted((folder / "corpus" / stage / "done").iterdir())]
    found = [path for name in attempts for path in sorted((folder / "corpus" / stage / "data" / name).iterdir())]
    return [path for path in found if path.stat().st_size]


@pytest.mark.parametrize("stage", STAGES)
def test_a_cut_output_of_any_stage_is_found_and_made_again(
    stage: str, recipe: DataRecipe, unbroken: RunFolder, tmp_path: Path
) -> None:
    shutil.copytree(unbroken.path, tmp_path / "run")
    for cut in outputs(tmp_path / "run", stage):
        os.truncate(cut, cut.stat().st_size - 1)
    run(tmp_path / "run", recipe, keep_dropped=True)
    assert results(tmp_path / "run") == results(unbroken.path)


@pytest.mark.parametrize("stage", [stage for stage in STAGES[:-1] if stage != "shown"])  # it leaves counts only
def test_a_flipped_bit_of_any_stage_is_found_by_the_stages_that_read_it(
    stage: str, recipe: DataRecipe, unbroken: RunFolder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(unbroken.path, tmp_path / "run")
    damaged = outputs(tmp_path / "run", stage)[-1]
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 4
    damaged.write_bytes(content)
    for later in STAGES[STAGES.index(stage) + 1 :]:
        shutil.rmtree(tmp_path / "run" / "corpus" / later)
    with caplog.at_level(logging.WARNING, "data_pipeline"):
        run(tmp_path / "run", recipe, keep_dropped=True)
    assert f"{damaged}: not what was written there; it is made again" in caplog.text
    assert results(tmp_path / "run") == results(unbroken.path)


def test_every_file_reaches_the_disk_before_its_done_record(
    recipe: DataRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the order of the calls: fsync of each output, of the folders that name them, of the record; rename; fsync of its folder."""
    events: list[tuple[str, Path]] = []
    fsync, rename = os.fsync, os.replace

    def synced(descriptor: int) -> None:
        fsync(descriptor)
        events.append(("fsync", Path(os.readlink(f"/proc/self/fd/{descriptor}"))))

    def renamed(source: Path, target: Path) -> None:
        rename(source, target)
        events.extend([("rename of", Path(source)), ("rename", Path(target))])

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", renamed)
    folder = run(tmp_path / "run", recipe).path
    records = sorted(folder.glob("corpus/*/done/*.json"))
    assert {path.parent.parent.name for path in records} == set(STAGES)
    for record in records:
        at = events.index(("rename", record))
        before = [path for event, path in events[:at] if event == "fsync"]
        assert events[at - 1][1] in before  # the record's own bytes, under their temporary name
        attempt = record.parent.parent / "data" / read_json(record)["attempt"]
        expected = [*attempt.rglob("*"), attempt, attempt.parent]
        assert set(expected) <= set(before), record
        assert ("fsync", record.parent) in events[at:], record
