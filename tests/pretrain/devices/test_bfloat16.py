"""GPUs before Ampere get a warning, and no other device does."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import jax
import pytest
from tiny_run import changed

from data_pipeline.contract.run_folder import RunFolder
from pretrain import train as train_module
from pretrain.devices.available import bfloat16_warning
from pretrain.recipe import TrainingRecipe
from pretrain.train import train


def device(kind: str, capability: str | None) -> Any:
    told = {} if capability is None else {"compute_capability": capability}
    return SimpleNamespace(device_kind=kind, **told)


@pytest.mark.parametrize(
    ("kind", "capability"),
    [("Tesla K80", "3.7"), ("Tesla V100-SXM2-16GB", "7.0"), ("Tesla T4", "7.5")],
)
def test_a_gpu_before_ampere_is_named_with_what_to_set(kind: str, capability: str) -> None:
    warning = bfloat16_warning(device(kind, capability))
    assert warning is not None
    assert f"{kind} has compute capability {capability}" in warning
    assert "give --training.compute-dtype float32" in warning


@pytest.mark.parametrize(
    ("kind", "capability"),
    [
        ("NVIDIA A100-SXM4-40GB", "8.0"),
        ("NVIDIA H200", "9.0"),
        ("NVIDIA B200", "10.0"),
        ("AMD Instinct MI250X", "gfx90a"),
        ("TPU v3", None),
    ],
)
def test_other_devices_are_not(kind: str, capability: str | None) -> None:
    assert bfloat16_warning(device(kind, capability)) is None
    assert bfloat16_warning(jax.devices()[0]) is None


def test_training_warns_at_its_start_where_it_computes_in_bfloat16(
    tiny: TrainingRecipe,
    new_run: Callable[..., RunFolder],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(train_module, "bfloat16_warning", lambda _: bfloat16_warning(device("Tesla T4", "7.5")))
    recipe = changed(tiny, max_steps=3, stop_at_step=1, evaluation={"rows": 0})
    for dtype in ("float32", "bfloat16"):
        caplog.clear()
        train(new_run(dtype), "tiny", changed(recipe, compute_dtype=dtype))
        assert ("Tesla T4 has compute capability 7.5" in caplog.text) == (dtype == "bfloat16")
