"""What every family promises: a step is the same on every mesh, a killed run resumes bit for bit, an export is read back."""

import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from families import EVERY_EXPORT, EVERY_FAMILY, FAMILIES, SPECIAL, VOCAB, Tiny, drawn, stored
from tiny_run import changed, untimed, write_records

from data_pipeline.contract.records import Layout, Records
from data_pipeline.contract.run_folder import RunFolder
from pretrain.checkpoints.restore import restore_params
from pretrain.checkpoints.verify import list_steps, step_folder
from pretrain.devices.sharding import batch_sharding, make_mesh
from pretrain.exporting.export import export
from pretrain.input.batches import TrainingBatches
from pretrain.job import objective_of
from pretrain.models.config import ModelConfig
from pretrain.models.protocols import Inputs
from pretrain.models.registry import config_classes, family_of
from pretrain.optimization.optimizer import make_optimizer
from pretrain.optimization.step import compile_train_step, initial_state, make_steps
from pretrain.recipe import Mesh
from pretrain.subject import load_subject
from pretrain.train import train

pytestmark = pytest.mark.usefixtures("shared_programs")


def test_every_family_of_the_project_has_its_line() -> None:
    kinds = [kind for kind in config_classes() if kind.__module__.startswith("pretrain.models.")]
    assert {kind: family_of(kind()).name for kind in kinds} == {
        type(tiny.config): name for name, tiny in FAMILIES.items()
    }


@EVERY_EXPORT
def test_an_exported_model_is_read_back_as_it_was(config: ModelConfig, heads: frozenset[str], tmp_path: Path) -> None:
    model, params = drawn(config, heads)
    folder = stored(tmp_path / "export", model, params)
    subject = load_subject(folder)
    assert subject.heads == heads
    again = stored(tmp_path / "again", subject.model, subject.params)
    for name in ("model.safetensors", "config.json"):
        assert (again / name).read_bytes() == (folder / name).read_bytes(), name
    tokens = np.random.default_rng(0).integers(5, VOCAB, (2, 16))
    real = np.arange(16) < np.array([[16], [9]])
    tokens = np.where(real, tokens, SPECIAL.pad)
    inputs = Inputs(tokens, real.astype(int), np.broadcast_to(np.arange(16), tokens.shape), np.zeros_like(tokens))
    with jax.default_matmul_precision("highest"):
        logits = jax.jit(family_of(config).logits, static_argnums=0)(model, params, inputs)
    np.testing.assert_allclose(
        subject.logits(tokens, inputs.token_types, inputs.segments)[real], logits[real], atol=1e-5
    )


@pytest.fixture(scope="session")
def records(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Layout], Path]:
    """A folder of records of a layout."""

    @cache
    def make(layout: Layout) -> Path:
        folder = tmp_path_factory.mktemp(layout) / "examples"
        write_records(folder, layout=layout)
        return folder

    return make


@cache
def first_state(folder: Path, tiny: Tiny) -> Any:
    objective = objective_of(tiny.recipe, Records(folder, "train").header)
    return jax.device_get(jax.jit(lambda: initial_state(objective, make_optimizer(tiny.recipe, objective.rules())))())


@cache
def losses(folder: Path, tiny: Tiny, mesh: Mesh, accumulation: int) -> np.ndarray:
    """Loss and gradient norm of two steps, from the same parameters on all meshes; the second sees what the first has changed."""
    records = Records(folder, "train")
    recipe = changed(tiny.recipe, mesh=vars(mesh), accumulation=accumulation)
    objective = objective_of(recipe, records.header)
    devices = make_mesh(mesh, jax.devices()[: mesh.data * mesh.fsdp * mesh.tensor])
    steps = make_steps(objective, recipe, devices)
    state = jax.device_put(first_state(folder, tiny), jax.tree.map(lambda leaf: leaf.sharding, steps.abstract_state))
    batches = TrainingBatches(
        records, seed=0, global_batch_size=16, accumulation=accumulation, sharding=batch_sharding(devices)
    )
    compiled, found = compile_train_step(steps, batches(0)), []
    for step in range(2):
        state, metrics = compiled(state, batches(step))
        found.append([float(metrics["loss"]), float(metrics["grad_norm"])])
    return np.array(found)


@EVERY_FAMILY
@pytest.mark.parametrize(
    ("mesh", "accumulation"),
    [
        pytest.param(Mesh(1, 8, 1), 1, id="fsdp 8"),
        pytest.param(Mesh(8, 1, 1), 1, id="data 8", marks=pytest.mark.slow),
        pytest.param(Mesh(4, 1, 2), 1, id="data 4 x tensor 2", marks=pytest.mark.slow),
        pytest.param(Mesh(1, 1, 1), 4, id="4 microbatches", marks=pytest.mark.slow),
    ],
)
def test_a_step_is_that_of_one_device(
    tiny: Tiny, mesh: Mesh, accumulation: int, records: Callable[[Layout], Path]
) -> None:
    folder = records(tiny.layout)
    alone = losses(folder, tiny, Mesh(1, 1, 1), 1)
    np.testing.assert_allclose(losses(folder, tiny, mesh, accumulation), alone, rtol=1e-5)
    assert (alone[0] != alone[1]).all()


KILLED = """
import os, signal, sys
import jax

jax.config.update("jax_num_cpu_devices", 8)
from families import FAMILIES
from data_pipeline.contract.run_folder import RunFolder
from pretrain.checkpoints.store import CheckpointStore
from pretrain.train import train

saves, save = [], CheckpointStore.save

def die_at_the_second(self, *arguments):
    saves.append(arguments)
    save(self, *arguments)
    if len(saves) == 2:
        os.kill(os.getpid(), signal.SIGKILL)

CheckpointStore.save = die_at_the_second
train(RunFolder(sys.argv[1]), "tiny", FAMILIES[sys.argv[2]].recipe)
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_a_killed_run_resumes_bit_for_bit_and_its_export_is_proven(
    name: str, new_run: Callable[..., RunFolder]
) -> None:
    tiny = FAMILIES[name]
    whole, killed = (new_run(run, layout=tiny.layout) for run in ("whole", "killed"))
    train(whole, "tiny", tiny.recipe)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    died = subprocess.run([sys.executable, "-c", KILLED, str(killed.path), name], env=environment, timeout=600)
    assert died.returncode == -9
    assert 6 not in list_steps(killed.checkpoints)
    train(killed, "tiny", tiny.recipe)
    assert untimed(killed) == untimed(whole)
    last = [restore_params(step_folder(run.checkpoints, 6)) for run in (killed, whole)]
    jax.tree.map(np.testing.assert_array_equal, *last)
    export(killed, None, killed.export)
    pytest.importorskip("torch")
    proof = killed.manifest()["export"]["folders"]["export"]["proof"]
    assert "tokens equal and logits within" in proof
