"""Processes that train as one through the public command: the losses of one process, whoever goes on with the run."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from tiny_run import TINY, changed, write_records

from data_pipeline.contract.errors import InputError, WorkError
from data_pipeline.contract.run_folder import RunFolder
from pretrain.devices import processes
from pretrain.monitoring.metrics import read_metrics
from pretrain.train import train

pytestmark = pytest.mark.usefixtures("shared_programs")
RECIPE = changed(TINY, model={"hidden_dropout_prob": 0.1})
RECIPE_FILE = 'from tiny_run import TINY, changed\ntraining = changed(TINY, model={"hidden_dropout_prob": 0.1})\n'
SOURCES = {"train": (("petitions", 50),), "evaluation": (("petitions", 7), ("reviews", 4))}
OF_SOURCES = ("evaluation_loss/petitions", "evaluation_loss/reviews")
COMPARED = (
    *OF_SOURCES,
    "loss",
    "grad_norm",
    "masked_accuracy",
    "real_tokens",
    "evaluation_loss",
    "evaluation_masked_accuracy",
)


def results(run: RunFolder) -> list[dict[str, float]]:
    """What metrics.jsonl says of losses and rows."""
    lines = read_metrics(run.metrics / "metrics.jsonl")
    return [{name: value for name, value in line.items() if name in ("step", *COMPARED)} for line in lines]


def assert_near(found: list[dict[str, float]], expected: list[dict[str, float]]) -> None:
    assert [sorted(line) for line in found] == [sorted(line) for line in expected]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(list(one.values()), [other[name] for name in one], rtol=1e-5)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, shared_programs: None) -> list[dict[str, float]]:
    """The results of one process with eight devices."""
    run = RunFolder(tmp_path_factory.mktemp("alone"))
    write_records(run.examples, sources=SOURCES)
    train(run, "tiny", RECIPE)
    found = results(run)
    assert set(OF_SOURCES) < found[-1].keys()
    return found


def train_together(run: RunFolder, count: int, devices: int, *overrides: str) -> str:
    """Trains in so many processes, each with so many devices; they all must succeed. Returns what process 0 logged."""
    if not run.manifest_path.exists():
        run.record("examples", {})  # the command takes no folder without a manifest
    recipe = run.path.parent / "tiny.py"
    recipe.write_text(RECIPE_FILE, encoding="utf-8")
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    paths = os.pathsep.join([str(Path(__file__).parents[2] / "support"), str(Path(__file__).parents[3])])
    command = [sys.executable, "-m", "pretrain", "train", str(recipe), "--run-dir", str(run.path), *overrides]
    started = []
    for number in range(count):
        said = {processes.ADDRESS: f"localhost:{port}", processes.COUNT: str(count), processes.NUMBER: str(number)}
        environment = {**os.environ, **said, "JAX_NUM_CPU_DEVICES": str(devices), "PYTHONPATH": paths}
        pipe = subprocess.PIPE
        started.append(subprocess.Popen(command, env=environment, stdout=pipe, stderr=subprocess.STDOUT, text=True))
    logs = []
    try:
        for process in started:
            logs.append(process.communicate(timeout=400)[0])
            assert process.returncode == 0, logs[-1]
    finally:
        for process in started:
            process.kill()
    return logs[0]


def test_two_processes_train_as_one_and_one_process_goes_on(
    alone: list[dict[str, float]], new_run: Callable[..., RunFolder]
) -> None:
    run = new_run(sources=SOURCES)
    log = train_together(run, 2, 4, "--training.stop-at-step", "4")
    assert "process 0 of 2" in log
    assert "8 x cpu" in log
    assert_near(results(run), [line for line in alone if line["step"] <= 4])
    # Another number of processes, another mesh, and microbatches, all at once.
    train(run, "tiny", changed(RECIPE, mesh={"data": 2, "fsdp": 2, "tensor": 2}, accumulation=2))
    assert_near(results(run), alone)


@pytest.mark.slow
def test_the_same_processes_go_on_bit_for_bit_and_others_within_rounding(
    alone: list[dict[str, float]], new_run: Callable[..., RunFolder]
) -> None:
    uninterrupted, in_parts = (new_run(name, sources=SOURCES) for name in ("uninterrupted", "in_parts"))
    train_together(uninterrupted, 2, 4)
    train_together(in_parts, 2, 4, "--training.stop-at-step", "2")
    train_together(in_parts, 2, 4, "--training.stop-at-step", "4")
    assert results(in_parts) == [line for line in results(uninterrupted) if line["step"] <= 4]
    log = train_together(in_parts, 4, 2, "--training.mesh.data", "2", "--training.mesh.fsdp", "4")
    assert "losses agree with those of the old mesh within rounding" in log
    assert_near(results(in_parts), alone)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({processes.ADDRESS: "here:1"}, "JAX_COORDINATOR_ADDRESS is set, but not JAX_PROCESS_COUNT, JAX_PROCESS_ID"),
        ({processes.ADDRESS: "here:1", processes.COUNT: "2", processes.NUMBER: "2"}, "JAX_PROCESS_ID=2: must be 0 to"),
        ({processes.ADDRESS: "here:1", processes.COUNT: "two", processes.NUMBER: "0"}, "JAX_PROCESS_COUNT=two"),
        ({processes.ADDRESS: "here", processes.COUNT: "2", processes.NUMBER: "0"}, "must be HOST:PORT"),
    ],
)
def test_half_an_introduction_is_refused(said: dict[str, str], words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match=words):
        processes.join_processes()


def test_processes_that_do_not_come_are_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {processes.ADDRESS: "localhost:1", processes.COUNT: "2", processes.NUMBER: "1"}.items():
        monkeypatch.setenv(name, value)

    def nobody(*_: Any, **__: Any) -> None:
        raise jax.errors.JaxRuntimeError("DEADLINE_EXCEEDED: Barrier timed out")

    monkeypatch.setattr(jax.distributed, "initialize", nobody)
    with pytest.raises(WorkError, match=r"process 1 of 2: the 2 processes did not meet at localhost:1 .*DEADLINE"):
        processes.join_processes()


@pytest.mark.parametrize("error", [ValueError("coordinator_address should be defined."), OSError("no route to host")])
@pytest.mark.parametrize(
    ("nodes", "platforms", "asked"), [(["/dev/accel0"], "", 1), (["/dev/accel0"], "cpu", 0), ([], "", 0)]
)
def test_a_tpu_says_itself_which_hosts_it_has(
    nodes: list[str],
    platforms: str,
    asked: int,
    error: Exception,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    calls = []

    def no_metadata(**options: Any) -> None:
        calls.append(options)
        raise error

    monkeypatch.setattr(processes, "existing", lambda _: nodes)
    monkeypatch.setattr(processes, "platforms_asked_for", lambda: platforms)
    monkeypatch.setattr(jax.distributed, "initialize", no_metadata)
    with caplog.at_level("INFO"):
        processes.join_processes()
    assert len(calls) == asked
    assert ("one process: no metadata name other hosts" in caplog.text) == bool(asked)


def test_a_notebooks_tpu_is_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "existing", lambda _: ["/dev/accel0"])
    monkeypatch.setattr(processes, "platforms_asked_for", lambda: "")
    monkeypatch.setenv("TPU_PROCESS_ADDRESSES", "local")
    monkeypatch.setattr(
        jax.distributed, "initialize", lambda **_: pytest.fail("JAX waits 300 s for a host named local")
    )
    processes.join_processes()


def test_tasks_of_slurm_that_nobody_joined_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "existing", lambda _: [])
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "8")
    with pytest.raises(InputError, match="one of 8 tasks of a Slurm step, and each would train alone: set JAX_COORD"):
        processes.join_processes()


def test_within_slurm_jax_does_not_choose_the_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    for name, value in {processes.ADDRESS: "localhost:1", processes.COUNT: "2", processes.NUMBER: "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "2")
    monkeypatch.setattr(jax.distributed, "initialize", lambda *_, **options: calls.append(options))
    processes.join_processes()
    assert [options["cluster_detection_method"] for options in calls] == ["deactivate"]
