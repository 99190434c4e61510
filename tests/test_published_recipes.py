"""The recipes of published models have the published sizes, and run as they are with less of everything."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from data_pipeline.contract.recipe_file import load_recipe
from data_pipeline.contract.tokenizer import Tokenizer
from data_pipeline.recipe import DataRecipe
from pretrain.recipe import TrainingRecipe

ROOT = Path(__file__).parent.parent
PETITIONS = ROOT.parent / "shared" / "data" / "corpus"
PARAMETERS = {
    "klue_bert_base": 110_617_344,
    "kobert": 92_186_880,
    "bert_kor_base": 118_297_344,
    "kpf_bert": 114_027_264,
    "kcbert": 108_918_528,
    "albert_kor_base": 13_186_816,
    "funnel_kor_base": 185_872_896,
}
"""Of the published backbones, with their poolers."""


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_published_model_has_its_published_parameters(name: str) -> None:
    data, training = load_recipe(name, "data", DataRecipe)[1], load_recipe(name, "training", TrainingRecipe)[1]
    assert training.model.parameter_count(data.vocabulary.size, frozenset({"pair"})) == PARAMETERS[name]
    assert f"{PARAMETERS[name]:,} parameters" in (ROOT / "configs" / f"{name}.py").read_text(encoding="utf-8")


SMALL = (
    "--training.model.num-hidden-layers", "2", "--training.model.hidden-size", "32", "--training.model.num-attention-heads", "2",
    "--training.model.intermediate-size", "64", "--training.global-batch-size", "8", "--training.stop-at-step", "3",
    "--training.evaluation.rows", "8", "--training.log-every-steps", "1",
)  # fmt: skip
LOAD = """
import json, sys
from transformers import AutoTokenizer
folder, texts = sys.argv[1], json.loads(sys.argv[2])
print(json.dumps(AutoTokenizer.from_pretrained(folder)(texts)["input_ids"]))
"""


def command(*arguments: str) -> str:
    """What `python -m ...` prints; it must succeed."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=900, env=environment, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.skipif(not PETITIONS.exists(), reason="needs the petitions in ../shared/data/corpus")
@pytest.mark.parametrize(
    "name",
    [
        "kobert",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("mini/kobert", "kcbert", "kpf_bert", "bert_kor_base", "albert_kor_base")
        ),
    ],
)
def test_a_published_recipe_runs_with_less_of_everything(name: str, tmp_path: Path) -> None:
    pytest.importorskip("MeCab")
    pytest.importorskip("transformers")
    run = str(tmp_path / "run")
    source = ("--source", f"petitions:{PETITIONS}/petitions_2017-08*", "--data.vocabulary.size", "4000")
    command("-m", "data_pipeline", "prepare", name, "--run-dir", run, *source, "--data.vocabulary.unused", "20")
    command("-m", "pretrain", "train", name, "--run-dir", run, *SMALL)
    command("-m", "pretrain", "export", run)
    export = tmp_path / "run" / "export"
    texts = ["한국어 모델을 공유합니다.", "ㅋㅋㅋ 1,234원 Ａ é", ""]
    tokenizer = Tokenizer(export)
    theirs = json.loads(command("-c", LOAD, str(export), json.dumps(texts)))
    assert theirs == [encoding.ids for encoding in tokenizer.backend.encode_batch(texts)]
    config = json.loads((export / "config.json").read_text())
    assert config["pad_token_id"] == tokenizer.special.pad == (1 if "kobert" in name else 0)
    assert tokenizer.size == config["vocab_size"] == 4_000
