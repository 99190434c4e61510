"""The whole road on hosts that are folders here, with nothing faked but ssh: text, records, training over gloo, export."""

import json
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from launch_world import FAKES, ROOT, STORE, World

QUICK_RECIPE = (
    "quickstart",
    *("--workers", "1"),
    *("--training.max-steps", "12", "--training.checkpoints.every-steps", "4", "--training.log-every-steps", "1"),
    *("--training.global-batch-size", "8", "--training.optimizer.warmup-steps", "2"),
)


@pytest.mark.slow
@pytest.mark.parametrize("place", ["shared folder", "bucket"])
def test_two_hosts_train_one_model_and_go_on_after_one_was_killed(world: World, tmp_path: Path, place: str) -> None:
    shutil.copy(FAKES / "real_python", world.fake / "image" / "korean-pretrain" / ".venv" / "bin" / "python")
    world.script()
    world.checkout = ROOT
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    environment = {
        "REAL_PYTHON": sys.executable,
        "COORDINATOR_PORT": port,
        "JAX_PLATFORMS": "cpu",
        "POLL_SECONDS": "1",
        "OTHERS_SECONDS": "2",
    }
    hosts = world.hosts(2, "127.0.0.")
    store, kept = (STORE, world.bucket()) if place == "bucket" else (tmp_path / "shared", tmp_path / "shared")
    command = ("--hosts", hosts, "--name", "lab", "--store", store, *QUICK_RECIPE)
    with world.running(*command, **environment) as launched:
        world.wait_for(kept / "quickstart" / "checkpoints" / "00000004" / "manifest.json", 900, launched)
        pid = (world.fake / "hosts" / "127.0.0.2" / "korean-pretrain" / "runs" / ".host" / "pid").read_text().strip()
        subprocess.run(["pkill", "-KILL", "-P", pid], check=True)  # the training of worker 1
        said, _ = launched.communicate(timeout=900)
    assert launched.returncode == 0, said
    assert "starting again on all workers" in said
    assert "step 12/12: loss" in said
    manifest = json.loads((kept / "quickstart" / "manifest.json").read_text())
    assert [part["devices"] for part in manifest["train"]["parts"]] == [2, 2]
    export = kept / "quickstart" / "export"
    assert (export / "model.safetensors").exists()
    filled = subprocess.run(
        [sys.executable, "-m", "pretrain", "fill", export, "--text", "오늘은 [MASK] 좋다."],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert filled.stdout.count("%") == 5, filled.stderr
