import json
from pathlib import Path

import pytest

from data_pipeline.contract.errors import InputError
from pretrain.devices.peaks import model_flops_utilisation, peak_tflops
from pretrain.monitoring.console import console_line
from pretrain.monitoring.metrics import MetricsWriter, cut_after, read_metrics
from pretrain.recipe import TrainingRecipe


@pytest.mark.parametrize(
    ("kind", "peak"),
    [
        ("TPU v3", 61.5),
        ("TPU v5 lite", 197),
        ("TPU v5p", 459),
        ("TPU v6 lite", 918),
        ("NVIDIA H200", 989),
        ("cpu", None),
    ],
)
def test_the_peak_is_that_of_one_jax_device(kind: str, peak: float | None) -> None:
    assert peak_tflops(kind) == peak


def test_utilisation_is_unknown_where_the_peak_is() -> None:
    assert model_flops_utilisation(1e12, None, 8) is None
    assert model_flops_utilisation(246e12, 61.5, 8) == pytest.approx(0.5)


HEADLINES = TrainingRecipe().objective.headlines()


def test_the_console_line_names_the_denominator() -> None:
    values: dict[str, float | None] = {
        "loss": 2.5,
        "masked_accuracy": 0.5,
        "learning_rate": 1e-4,
        "tokens_per_second": 12345.6,
        "mfu": 0.431,
        "data_wait": 0.01,
    }
    assert "MFU 43.1% of 8 x 61.5 TFLOP/s" in console_line(5, 10, values, HEADLINES, 61.5, 8, 3700)
    line = console_line(5, 10, {**values, "mfu": None}, HEADLINES, None, 8, 61)
    assert "MFU n/a" in line
    assert line.startswith("step 5/10: loss 2.5000, masked accuracy 0.500, learning rate 1.00e-04")
    assert "1 min 01 s left" in line


def test_a_resumed_run_says_each_step_once_and_drops_a_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text(
        '{"step": 2, "loss": 0.1}\n{"step": 2, "evaluation_loss": 1}\n{"step": 3, "loss": 9}\n{"step": 4, "lo'
    )
    writer = MetricsWriter(tmp_path, 2)
    writer.write(3, {"loss": 1 / 3, "mfu": None})
    writer.close()
    assert read_metrics(path) == [
        {"step": 2, "loss": 0.1},
        {"step": 2, "evaluation_loss": 1},
        {"step": 3, "loss": 1 / 3, "mfu": None},
    ]


def test_lines_are_not_rewritten_where_nothing_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text(json.dumps({"step": 1, "loss": 0.1}) + "\n")
    before = path.stat().st_ino
    cut_after(path, 1)
    assert path.stat().st_ino == before


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\n{"st\n{"step": 3}\n')
    with pytest.raises(InputError, match=r"metrics\.jsonl:2"):
        read_metrics(path)
