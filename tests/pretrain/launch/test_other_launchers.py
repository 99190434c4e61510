"""What lies in launch/: each file is read by the tool it is for, as far as that is here."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from launch_world import ROOT

LAUNCH = ROOT / "launch"


def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    hadolint = Path(sys.executable).parent / "hadolint"
    checked = subprocess.run([hadolint, LAUNCH / "Dockerfile"], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout


def copied() -> set[str]:
    lines = (LAUNCH / "Dockerfile").read_text().splitlines()
    return {name for line in lines if line.startswith("COPY ") and "--from" not in line for name in line.split()[1:-1]}


def test_images_and_slices_get_code_and_nothing_else_of_a_checkout() -> None:
    ignored = (LAUNCH / "Dockerfile.dockerignore").read_text().splitlines()
    assert ignored[0] == "*"
    assert {line[1:] for line in ignored if line.startswith("!")} == copied()
    mounts = (LAUNCH / "skypilot.yaml").read_text().partition("file_mounts:")[2].partition("setup:")[0]
    assert {line.split(": ")[1] for line in mounts.splitlines() if ": " in line} == copied()
    code = (ROOT / "pretrain" / "launch" / "code.sh").read_text()
    assert all(name in code for name in copied())


@pytest.mark.slow
def test_the_image_for_cpus_is_built() -> None:
    if subprocess.run(["docker", "info"], capture_output=True).returncode:
        pytest.skip("no docker daemon here")
    command = ["docker", "build", "--file", LAUNCH / "Dockerfile", "--tag", "korean-pretrain-test", ROOT]
    built = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "DOCKER_BUILDKIT": "1"})
    assert built.returncode == 0, built.stderr[-3000:]
    said = subprocess.run(["docker", "run", "--rm", "korean-pretrain-test"], capture_output=True, text=True)
    assert "train" in said.stdout


def test_skypilot_reads_its_file() -> None:
    sky = pytest.importorskip("sky", reason="SkyPilot is not installed")
    yaml = pytest.importorskip("yaml")
    written = yaml.safe_load((LAUNCH / "skypilot.yaml").read_text())
    task = sky.Task.from_yaml_config(written, env_overrides=[("RUN", "gs://bucket/run")])
    (resources,) = task.resources
    assert resources.use_spot
    assert "tpu-v5litepod-8" in resources.accelerators


@pytest.mark.parametrize("code", [0, 75, 1])
def test_slurm_starts_one_task_a_node_and_queues_again_what_was_told_to_stop(tmp_path: Path, code: int) -> None:
    tools = {
        "scontrol": 'echo "scontrol $*" >>"$CALLS"; if [ "$1" = show ]; then echo node07; echo node08; fi',
        "srun": 'shift 2; for SLURM_PROCID in 0 1; do export SLURM_PROCID; "$@"; done; exit "$CODE"',
        "python": 'echo "$JAX_COORDINATOR_ADDRESS $JAX_PROCESS_ID of $JAX_PROCESS_COUNT: $*" >>"$CALLS"',
    }
    binaries = tmp_path / ".venv" / "bin"
    binaries.mkdir(parents=True)
    for name, body in tools.items():
        (binaries / name).write_text(f"#!/bin/bash\n{body}\n")
        (binaries / name).chmod(0o755)
    environment = {
        "PATH": f"{binaries}:{os.environ['PATH']}",
        "CALLS": str(tmp_path / "calls"),
        "CODE": str(code),
        "SLURM_JOB_NODELIST": "node[07-08]",
        "SLURM_JOB_NUM_NODES": "2",
        "SLURM_JOB_ID": "40123",
        "RECIPE": "klue_bert_base",
        "RUN_DIR": "/shared/a run",
    }
    done = subprocess.run(
        ["bash", LAUNCH / "slurm.sbatch"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == code, done.stderr
    calls = (tmp_path / "calls").read_text().splitlines()
    trained = "-m pretrain train klue_bert_base --run-dir /shared/a run"
    assert calls[1:3] == [f"node07:20123 {number} of 2: {trained}" for number in (0, 1)]
    assert calls[3:] == (["scontrol requeue 40123"] if code == 75 else [])


@pytest.mark.parametrize("name", ["kaggle", "colab"])
def test_the_cells_of_a_notebook_are_commands_that_exist(name: str) -> None:
    notebook = json.loads((LAUNCH / f"{name}.ipynb").read_text())
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    shell = "\n".join(line[1:] for cell in cells for line in cell.splitlines() if line.startswith("!"))
    assert subprocess.run(["bash", "-n", "-c", shell]).returncode == 0
    assert "./run_tpu.sh --install-only\n" in shell
    assert ".venv/bin/python -m pretrain train $RECIPE --run-dir $RUN" in shell
    recipe = cells[0].partition('RECIPE = "')[2].partition('"')[0]
    assert (ROOT / "configs" / f"{recipe}.py").exists()
    assert "git clone" in shell
