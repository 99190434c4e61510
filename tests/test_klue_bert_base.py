"""The shipped recipe of KLUE-BERT-base runs as it is, with less text and fewer rows, through the public commands."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.numpy import load_file

PETITIONS = Path(__file__).parent.parent.parent / "shared" / "data" / "corpus"
RECIPE = "configs/klue_bert_base.py"


def command(*arguments: str) -> str:
    """What `python -m ...` prints, compiled as users have it; it must succeed."""
    everything = {**os.environ, "XLA_FLAGS": ""}
    line = [sys.executable, "-m", *arguments]
    done = subprocess.run(line, capture_output=True, text=True, timeout=1800, env=everything)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.skipif(not PETITIONS.exists(), reason="needs the petitions in ../shared/data/corpus")
def test_klue_bert_base_takes_five_steps_on_a_cpu_and_exports(tmp_path: Path) -> None:
    run = str(tmp_path / "run")
    command("data_pipeline", "prepare", RECIPE, "--run-dir", run, "--source", f"petitions:{PETITIONS}/petitions_*")
    rows = ("--training.global-batch-size", "8", "--training.stop-at-step", "5", "--training.log-every-steps", "1")
    trained = command("pretrain", "train", RECIPE, "--run-dir", run, *rows, "--training.evaluation.rows", "8")
    assert "110,617,344 parameters" in trained
    command("pretrain", "export", run)
    tensors = load_file(tmp_path / "run" / "export" / "model.safetensors")
    assert sum(tensor.size for name, tensor in tensors.items() if name.startswith("bert.")) == 110_617_344
    config = json.loads((tmp_path / "run" / "export" / "config.json").read_text())
    sizes = {"vocab_size": 32000, "hidden_size": 768, "num_hidden_layers": 12, "max_position_embeddings": 512}
    assert {name: config[name] for name in sizes} == sizes
    steps = (tmp_path / "run" / "metrics" / "metrics.jsonl").read_text().splitlines()
    losses = [json.loads(line)["next_sentence_loss"] for line in steps if "next_sentence_loss" in json.loads(line)]
    assert len(losses) >= 5
    assert all(0 < loss < 3 for loss in losses)
