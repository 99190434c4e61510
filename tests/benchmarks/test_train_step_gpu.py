"""The benchmark for GPUs, with a tiny model on the CPU: each row trains, the rows do the same work, and the page says what was seen."""

import dataclasses
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="torch is not installed (extra [export])")

from benchmarks.train_step.__main__ import make_records
from benchmarks.train_step.gpu import (
    OURS_FUSED,
    OURS_PLAIN,
    TORCH,
    Command,
    contenders,
    measure,
    run,
    section,
    training_recipe,
)
from benchmarks.train_step.rounds import Setting
from data_pipeline.contract.errors import InputError
from data_pipeline.contract.run_folder import RunFolder
from pretrain.models.bert.config import BertConfig

CORPUS = Path("../shared/data/corpus")


def test_a_step_has_as_many_tokens_at_every_length() -> None:
    sizes = {length: training_recipe(length).global_batch_size for length in (512, 128)}
    assert sizes == {512: 128, 128: 512}
    rows = contenders(Setting(Path(), training_recipe(128), 1, "cuda"))
    assert [setting.recipe.attention for _, setting in rows.values()] == ["cudnn", "xla", "xla"]
    assert list(rows) == [OURS_FUSED, OURS_PLAIN, TORCH]


@pytest.mark.skipif(any(Path("/dev").glob("nvidia[0-9]*")), reason="this machine has a GPU")
def test_a_machine_without_a_gpu_is_told_before_anything_is_prepared(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="this machine has no NVIDIA GPU"):
        run(Command(run_dir=tmp_path / "runs"))
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_rows_train_on_the_same_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not list(CORPUS.glob("petitions_*.jsonl.gz")):
        pytest.skip(f"{CORPUS} holds no petitions_*.jsonl.gz")
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    folder = RunFolder(tmp_path)
    make_records(CORPUS, folder, 64)
    model = BertConfig(
        num_hidden_layers=2, hidden_size=64, num_attention_heads=2, intermediate_size=128, max_position_embeddings=64
    )
    recipe = dataclasses.replace(training_recipe(64), model=model, global_batch_size=8)
    setting = Setting(tmp_path, recipe, 4)
    rows = contenders(setting)
    del rows[OURS_FUSED]  # needs the GPU
    seconds, facts = measure(rows, 2)
    assert {row: len(times) for row, times in seconds.items()} == {OURS_PLAIN: 2, TORCH: 2}
    page = section(setting, seconds, facts)
    assert "## 64 tokens a row, 8 rows a step" in page
    assert all(f"| {row} | " in page for row in rows)
