"""The main job, through the public commands: text in, a Hugging Face BERT out."""

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_pipeline.contract.records import Records
from data_pipeline.contract.tokenizer import Tokenizer
from pretrain.subject import load_subject

RECIPE = """
from data_pipeline.recipe import DataRecipe, Decontamination, {layout}, Source, Vocabulary
from pretrain.models.bert.config import BertConfig
from pretrain.recipe import Checkpoints, Evaluation, Optimizer, TrainingRecipe
from configs.quickstart import data as sample

data = DataRecipe(
    sources=sample.sources,
    decontamination=sample.decontamination,
    vocabulary=Vocabulary({vocabulary}, unused=10, character_coverage=0.995),
    examples={layout}(length=64),
)
training = TrainingRecipe(
    model=BertConfig(2, 32, 2, 64, max_position_embeddings=64),
    optimizer=Optimizer(learning_rate=1e-3, warmup_steps=2),
    checkpoints=Checkpoints(every_steps=4),
    evaluation=Evaluation(every_steps=4, rows=16),
    global_batch_size=16,
    max_steps=6,
    compute_dtype="float32",
    log_every_steps=1,
)
"""
TRANSFORMERS_4 = Path(sys.prefix) / "transformers-4"
LOAD = """
import json, sys
import numpy as np, torch, transformers
from transformers import AutoModel, AutoModelForMaskedLM, AutoModelForPreTraining, AutoTokenizer, pipeline

for folder, texts, logits in json.loads(sys.argv[1]):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    rows = tokenizer(texts, padding=True, return_tensors="pt")
    found = {"version": transformers.__version__, "ids": tokenizer(texts)["input_ids"], "length": tokenizer.model_max_length}
    for auto in (AutoModel, AutoModelForMaskedLM, AutoModelForPreTraining):
        model, info = auto.from_pretrained(folder, output_loading_info=True)
        found[auto.__name__] = {name: sorted(info[name]) for name in ("missing_keys", "mismatched_keys")}
        if auto is AutoModelForMaskedLM:
            with torch.no_grad():
                np.save(logits, model.eval()(**rows).logits.numpy())
    found["fills"] = [fill["token_str"] for fill in pipeline("fill-mask", model=folder)(texts[0])]
    print(json.dumps(found))
"""


@dataclass(frozen=True)
class Run:
    folder: Path
    recipe: Path
    pairs: bool


KOBERTS = 'model="unigram", scheme="plain", size=800'
"""Its padding is not row 0, and its words begin without ##."""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """A run folder of each layout after prepare, train and export."""
    made = {}
    for name, layout, vocabulary in (("packed", "Packed", "size=3000"), ("pairs", "SentencePairs", KOBERTS)):
        here = tmp_path_factory.mktemp("main_job")
        recipe = here / "tiny.py"
        recipe.write_text(RECIPE.format(layout=layout, vocabulary=vocabulary), encoding="utf-8")
        # One of them is compiled as a person compiles.
        compiling = {"XLA_FLAGS": ""} if name == "packed" else {}
        # Relative paths, as a person types them.
        command("data_pipeline", "prepare", "tiny.py", "--run-dir", "run", "--workers", "1", cwd=here)
        command("pretrain", "train", "tiny.py", "--run-dir", "run", cwd=here, **compiling)
        command("pretrain", "export", "run", cwd=here)
        made[name] = Run(here / "run", recipe, name == "pairs")
    return made


@pytest.fixture(params=["packed", "pairs"])
def run(request: pytest.FixtureRequest, runs: dict[str, Run]) -> Run:
    return runs[request.param]


def command(*arguments: str | Path, cwd: Path, **environment: str) -> None:
    """Runs `python -m ...` in a process of its own; it must succeed."""
    line = [sys.executable, "-m", *map(str, arguments)]
    everything = {**os.environ, **environment}
    done = subprocess.run(line, capture_output=True, text=True, timeout=300, cwd=cwd, env=everything)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def printed_by(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> Callable[..., str]:
    """What a command prints and logs that runs in this process; it must succeed."""

    def printed(room: str, *arguments: str | Path) -> str:
        monkeypatch.setattr(sys, "argv", [room, *map(str, arguments)])
        capfd.readouterr()
        caplog.clear()
        with caplog.at_level("INFO"):
            importlib.import_module(f"{room}.__main__").main()
        return "".join(capfd.readouterr()) + caplog.text

    return printed


def texts(run: Run) -> list[str]:
    """Real text of the held-out rows, one of them with a mask."""
    tokenizer = Tokenizer(run.folder / "vocabulary")
    rows = Records(run.folder / "examples", "evaluation").read(range(4))
    decoded = [tokenizer.backend.decode(tokens.tolist()[:30]) for tokens in rows["tokens"]]
    return ["오늘은 날씨가 [MASK] 좋다.", *decoded]


@pytest.fixture(scope="module")
def loaded(
    runs: dict[str, Run], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], dict[Path, dict[str, Any]]]:
    """What transformers 4 or 5 finds in each run's export, in a process without network; its logits are in "logits"."""

    @cache
    def load(generation: str) -> dict[Path, dict[str, Any]]:
        home = tmp_path_factory.mktemp(f"transformers-{generation}")
        environment = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", "PATH": "", "HOME": str(home)}
        if generation == "4":
            environment["PYTHONPATH"] = str(TRANSFORMERS_4)
        asked = [(str(run.folder / "export"), texts(run), str(home / f"{name}.npy")) for name, run in runs.items()]
        done = subprocess.run(
            [sys.executable, "-c", LOAD, json.dumps(asked)],
            capture_output=True, text=True, env=environment, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        return {
            run.folder: {**of_run, "logits": np.load(logits)}
            for run, of_run, (_, _, logits) in zip(runs.values(), found, asked, strict=True)
        }

    return load


@pytest.mark.parametrize("generation", ["4", "5"])
def test_export_loads_in_transformers_with_our_tokens_and_logits(
    run: Run, generation: str, loaded: Callable[[str], dict[Path, dict[str, Any]]]
) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    if generation == "4" and not TRANSFORMERS_4.exists():
        pytest.skip("transformers 4 is not installed beside the current one; run_tests.sh does that")
    found = loaded(generation)[run.folder]
    assert found["version"].split(".")[0] == generation

    ours = load_subject(run.folder / "export")
    encoded = ours.tokenizer.backend.encode_batch(texts(run))
    assert found["ids"] == [row.ids for row in encoded]
    assert found["length"] == 64
    longest = max(len(row.ids) for row in encoded)
    ids, attends = np.zeros((len(encoded), longest), int), np.zeros((len(encoded), longest), int)
    for index, row in enumerate(encoded):
        ids[index, : len(row.ids)], attends[index, : len(row.ids)] = row.ids, 1
    logits = ours.logits(ids, np.zeros_like(ids), attends)
    assert np.abs(found["logits"] - logits)[attends == 1].max() < 1e-4

    assert found["AutoModelForMaskedLM"] == {"missing_keys": [], "mismatched_keys": []}
    assert len(found["fills"]) == 5
    if run.pairs:
        assert found["AutoModelForPreTraining"] == {"missing_keys": [], "mismatched_keys": []}
        assert found["AutoModel"] == {"missing_keys": [], "mismatched_keys": []}
    else:
        # Nothing but the pooler is new, and the card says so.
        assert set(found["AutoModel"]["missing_keys"]) == {"pooler.dense.weight", "pooler.dense.bias"}
        assert "No pooler was trained" in (run.folder / "export" / "README.md").read_text(encoding="utf-8")


def test_the_commands_do_nothing_twice(runs: dict[str, Run], printed_by: Callable[..., str]) -> None:
    run = runs["packed"]
    before = {
        path: path.stat().st_mtime_ns for path in run.folder.rglob("*") if path.is_file() and "done" in path.parts
    }
    metrics = (run.folder / "metrics" / "metrics.jsonl").read_bytes()
    printed_by("data_pipeline", "prepare", run.recipe, "--run-dir", run.folder)
    assert "nothing to train" in printed_by("pretrain", "train", run.recipe, "--run-dir", run.folder)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert (run.folder / "metrics" / "metrics.jsonl").read_bytes() == metrics
    (run.folder / "export" / ".cache").mkdir()
    (run.folder / "export" / ".cache" / "of-the-hub").touch()
    assert "nothing to do" in printed_by("pretrain", "export", run.folder), "whatever others keep below the export"


def test_export_of_an_earlier_step_elsewhere(
    runs: dict[str, Run], printed_by: Callable[..., str], tmp_path: Path
) -> None:
    run = runs["pairs"]
    printed_by("pretrain", "export", run.folder, "--step", "4", "--to", tmp_path / "early")
    early, late = (load_subject(folder) for folder in (tmp_path / "early", run.folder / "export"))
    name = "word_embeddings"
    assert not np.array_equal(
        early.params["bert"]["embeddings"][name]["embedding"], late.params["bert"]["embeddings"][name]["embedding"]
    )
    assert "exported at step 4" in (tmp_path / "early" / "README.md").read_text(encoding="utf-8")


def test_inspect_shows_labels_and_predictions(run: Run, printed_by: Callable[..., str]) -> None:
    shown = printed_by("pretrain", "inspect", run.folder, "--rows", "2")
    assert "the batch of step 7" in shown
    assert "row 1 (sample): " in shown
    assert "right: " in shown
    before_training = printed_by("pretrain", "inspect", run.folder, "--step", "3", "--rows", "1")
    assert "the batch of step 4" in before_training
    assert "right: " not in before_training
    assert ("next-sentence label" in shown) == run.pairs


def test_fill_prints_five_words(run: Run, printed_by: Callable[..., str]) -> None:
    lines = printed_by("pretrain", "fill", run.folder, "--text", "오늘은 [MASK] 좋다.").splitlines()
    assert len([line for line in lines if "%" in line]) == 5


def test_model_card_tells_what_the_run_knows(run: Run) -> None:
    card = (run.folder / "export" / "README.md").read_text(encoding="utf-8")
    for expected in (
        "language: ko",
        "license: apache-2.0",
        'mask_token: "[MASK]"',
        "sentences split with kss_repaired",
        "6 of 6 steps",
        "1 x cpu",
    ):
        assert expected in card
    for section in ("Training text", "Preprocessing", "Tokenizer", "Hardware", "Intended use", "Risks", "Citation"):
        assert f"## {section}" in card
    assert "estimated carbon: unknown" in card
