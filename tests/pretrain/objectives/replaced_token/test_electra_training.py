"""Generator and discriminator train together, on every mesh, through interruptions, to two exports."""

import json
import logging
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file
from test_replaced_token import RECIPE
from tiny_run import TINY, changed, untimed

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.records import Records
from data_pipeline.contract.run_folder import RunFolder
from pretrain.checkpoints.facts import another_topology
from pretrain.checkpoints.restore import restore_params
from pretrain.checkpoints.verify import facts_of, step_folder
from pretrain.devices.sharding import batch_sharding, make_mesh
from pretrain.exporting.export import export
from pretrain.input.batches import TrainingBatches
from pretrain.job import objective_of
from pretrain.monitoring.inspect import print_batch
from pretrain.optimization.step import compile_train_step, make_steps
from pretrain.recipe import Mesh
from pretrain.recipe_upgrade import plain_recipe
from pretrain.subject import load_subject
from pretrain.train import train

pytestmark = pytest.mark.usefixtures("shared_programs")
DROPOUT = changed(RECIPE, model={"hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1})
TABLES = "electra.embeddings."


@pytest.mark.slow
def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit_and_exports_both_models(
    new_run: Callable[..., RunFolder], tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: Any
) -> None:
    whole, parts = new_run("whole"), new_run("parts")
    train(whole, "electra", DROPOUT)
    train(parts, "electra", changed(DROPOUT, stop_at_step=2))
    train(parts, "electra", DROPOUT)
    assert untimed(parts) == untimed(whole)
    one, other = (restore_params(step_folder(run.checkpoints, 6)) for run in (whole, parts))
    jax.tree.map(np.testing.assert_array_equal, one, other)
    last = untimed(parts)[-1]
    assert {"evaluation_loss", "evaluation_discriminator_auc", "evaluation_discriminator_recall"} <= last.keys()
    print_batch(parts, 2, 1)
    assert "replaced {original probability}" in capsys.readouterr().out

    with caplog.at_level(logging.INFO):
        export(parts, None, tmp_path / "export")
    proofs = [line for line in caplog.messages if "logits within" in line or "read back; not compared" in line]
    assert len(proofs) == 2
    folders = {"discriminator": tmp_path / "export", "generator": tmp_path / "export" / "generator"}
    tensors = {part: load_file(folder / "model.safetensors") for part, folder in folders.items()}
    shared = {name for name in tensors["generator"] if name.startswith(TABLES)}
    assert len(shared) == 5
    for name in shared:
        np.testing.assert_array_equal(tensors["discriminator"][name], tensors["generator"][name])
    assert "generator_lm_head.bias" in tensors["generator"]
    told = {part: json.loads((folder / "config.json").read_text()) for part, folder in folders.items()}
    assert [each["architectures"] for each in told.values()] == [["ElectraForPreTraining"], ["ElectraForMaskedLM"]]
    assert [each["hidden_size"] for each in told.values()] == [32, 16]
    for part, folder in folders.items():
        assert load_subject(folder).heads == load_subject(parts.path, part=part).heads
    assert facts_of(step_folder(parts.checkpoints, 6))["models"]["generator"]["shares"]


@cache
def first_steps(folder: Path, recipe: Any, devices: int) -> list[list[float]]:
    """Loss, gradient norm and AUC of the first steps."""
    records = Records(folder, "train")
    mesh = make_mesh(recipe.mesh, jax.devices()[:devices])
    objective = objective_of(recipe, records.header)
    batches = TrainingBatches(
        records, seed=0, global_batch_size=16, accumulation=recipe.accumulation, sharding=batch_sharding(mesh)
    )
    found = []
    with jax.set_mesh(mesh):
        steps = make_steps(objective, recipe, mesh)
        state, step = steps.init(), compile_train_step(steps, batches(0))
        for number in range(3):
            state, metrics = step(state, batches(number))
            scores = jax.jit(objective.metrics)(metrics["sums"])
            found.append([float(scores["loss"]), float(metrics["grad_norm"]), float(scores["discriminator_auc"])])
    return found


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"mesh": {"data": 1, "fsdp": 8}}, marks=pytest.mark.slow),
        pytest.param({"accumulation": 4}, marks=pytest.mark.slow),
        pytest.param({"mesh": {"data": 8}, "accumulation": 2}, marks=pytest.mark.slow),
        pytest.param({"mesh": {"data": 4, "tensor": 2}}, marks=pytest.mark.slow),
        pytest.param({"mesh": {"data": 2, "fsdp": 2, "tensor": 2}, "remat": "full"}, marks=pytest.mark.slow),
        pytest.param({"remat": "attention", "scan_unroll": 2}, marks=pytest.mark.slow),
        pytest.param({"remat": "dots"}, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_neither_mesh_nor_accumulation_nor_memory_switches_change_the_first_step(
    records_folder: Path, fields: dict[str, Any]
) -> None:
    """Later ones may draw another token here and there, because the logits round otherwise."""
    alone = first_steps(records_folder, changed(DROPOUT, mesh=vars(Mesh(1, 1, 1))), 1)
    recipe = changed(DROPOUT, **{"mesh": vars(Mesh(1, 1, 1)), **fields})
    mesh = recipe.mesh
    split = first_steps(records_folder, recipe, mesh.data * mesh.fsdp * mesh.tensor)
    np.testing.assert_allclose(split[0], alone[0], rtol=2e-5)
    np.testing.assert_allclose(split, alone, rtol=0.05)
    assert alone[-1][0] < alone[0][0]


def test_another_mesh_is_said_to_draw_other_tokens_now_and_then() -> None:
    mesh = {"data": 8, "fsdp": 1, "tensor": 1}
    for recipe, words in (
        (RECIPE, "changes a token that the generator draws, so losses agree statistically only"),
        (TINY, "within rounding"),
    ):
        saved = {"recipe": plain_recipe(recipe), "mesh": mesh}
        assert another_topology(recipe, saved, mesh) is None
        assert (another_topology(recipe, saved, {**mesh, "data": 1}) or "").endswith(words)


def test_heads_of_the_generator_must_divide_over_the_mesh_too(new_run: Callable[..., RunFolder]) -> None:
    recipe = changed(RECIPE, mesh={"data": 2, "tensor": 4}, objective={"generator": {"hidden_share": 0.25}})
    with pytest.raises(
        InputError,
        match=r"the generator's num_attention_heads 1: cannot be divided over --training\.mesh\.tensor 4; choose one",
    ):
        train(new_run(), "electra", recipe)
