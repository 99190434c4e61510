"""Two processes fine-tune as one, through the public command: scores and exported model are those of one process."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from families import FAMILIES
from safetensors.numpy import load_file
from tuned_models import HEADS, subject_of, written

from pretrain.devices import processes

pytest.importorskip("sklearn")
pytest.importorskip("seqeval")

TASK = """
from pretrain.evaluate.tasks.description import ClassColumns, TaskDescription
from pretrain.evaluate.tasks.task import Settings

task = TaskDescription(
    title="Two letters", columns=ClassColumns(), train="train.csv", test="test.csv",
    settings=Settings(epochs=2, batch_size=8, learning_rate=1e-3, max_length=16, seed=7),
)
"""


def evaluate(folder: Path, name: str, count: int) -> Path:
    """Evaluates with four devices in so many processes, each with a folder of its own; returns that of the first."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    paths = os.pathsep.join([str(Path(__file__).parents[2] / "support"), str(Path(__file__).parents[3])])
    started = []
    for number in range(count):
        command = [
            sys.executable,
            "-m",
            "pretrain",
            "evaluate",
            str(folder / "model"),
            "--task",
            str(folder / "own.py"),
        ]
        command += ["--data", str(folder), "--to", str(folder / f"{name}-{number}"), "--seeds", "1", "--export"]
        command += ["--hardware.mesh.data", "1", "--hardware.mesh.fsdp", "4"]
        said = {processes.ADDRESS: f"localhost:{port}", processes.COUNT: str(count), processes.NUMBER: str(number)}
        said = said if count > 1 else {processes.COUNT: "1"}
        devices = {"JAX_NUM_CPU_DEVICES": str(4 // count), "JAX_PLATFORMS": "cpu", "PYTHONPATH": paths}
        environment = {**{name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}, **said, **devices}
        pipe = subprocess.PIPE
        started.append(subprocess.Popen(command, env=environment, stdout=pipe, stderr=subprocess.STDOUT, text=True))
    try:
        for process in started:
            log = process.communicate(timeout=500)[0]
            assert process.returncode == 0, log
    finally:
        for process in started:
            process.kill()
    assert not any((folder / f"{name}-{number}").exists() for number in range(1, count)), "the first one writes"
    return folder / f"{name}-0" / "evaluation"


@pytest.mark.slow
def test_two_processes_fine_tune_and_export_as_one(tmp_path: Path) -> None:
    written(subject_of(FAMILIES["bert"].config, HEADS["classes"], tmp_path / "made"), tmp_path / "model")
    random = np.random.default_rng(0)
    for split, size in (("train", 24), ("test", 10)):
        labels = random.integers(0, 2, size)
        rows = [f"{'나가'[label]} {'다라마'[: random.integers(1, 4)]},{'ab'[label]}" for label in labels]
        (tmp_path / f"{split}.csv").write_text("\n".join(["text,label", *rows]) + "\n", encoding="utf-8")
    (tmp_path / "own.py").write_text(TASK, encoding="utf-8")
    alone, together = (evaluate(tmp_path, name, count) for name, count in (("alone", 1), ("together", 2)))
    one, two = (json.loads((folder / "own.json").read_text()) for folder in (alone, together))
    assert two["devices"] == one["devices"] == "4 x cpu"
    for mine, theirs in zip(one["epochs"]["7"], two["epochs"]["7"], strict=True):
        assert mine["loss"] == pytest.approx(theirs["loss"], rel=1e-5)
    ours, exported = (load_file(folder / "own" / "model" / "model.safetensors") for folder in (alone, together))
    assert ours.keys() == exported.keys()
    for name, tensor in ours.items():
        np.testing.assert_allclose(exported[name], tensor, atol=2e-4)
