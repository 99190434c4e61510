import re
from functools import cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_run import LENGTH, TINY, VOCABULARY, changed

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.records import Records
from pretrain.devices.sharding import batch_sharding, make_mesh
from pretrain.input.batches import EvaluationBatches, TrainingBatches
from pretrain.job import objective_of
from pretrain.models.core.dropout import dropout
from pretrain.optimization.optimizer import make_optimizer
from pretrain.optimization.step import CompiledSteps, compile_train_step, initial_state, make_steps
from pretrain.recipe import Mesh, TrainingRecipe

pytestmark = pytest.mark.usefixtures("shared_programs")
PADDED_VOCABULARY = 256
DROPOUT = changed(TINY, model={"hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1})


@cache
def first_state(folder: Path, recipe: TrainingRecipe) -> Any:
    objective = objective_of(recipe, Records(folder, "train").header)
    return jax.device_get(jax.jit(lambda: initial_state(objective, make_optimizer(recipe, objective.rules())))())


def steps_on(folder: Path, recipe: TrainingRecipe, devices: int) -> tuple[CompiledSteps, Any, TrainingBatches]:
    """The steps on so many devices, the state at step 0, and the batches."""
    records = Records(folder, "train")
    mesh = make_mesh(recipe.mesh, jax.devices()[:devices])
    steps = make_steps(objective_of(recipe, records.header), recipe, mesh)
    shardings = jax.tree.map(lambda leaf: leaf.sharding, steps.abstract_state)
    kept = {"optimizer": vars(recipe.optimizer), "parameter_dtype": recipe.parameter_dtype}
    start = first_state(folder, changed(TINY, **kept))
    batches = TrainingBatches(
        records,
        seed=0,
        global_batch_size=16,
        accumulation=recipe.accumulation,
        sharding=batch_sharding(mesh),
    )
    return steps, jax.device_put(start, shardings), batches


def compiled(steps: CompiledSteps, batches: TrainingBatches) -> jax.stages.Compiled:
    return compile_train_step(steps, batches(0))


@cache
def losses(folder: Path, recipe: TrainingRecipe, devices: int) -> np.ndarray:
    """Losses and gradient norms of the first four steps."""
    steps, state, batches = steps_on(folder, recipe, devices)
    train = compiled(steps, batches)
    found = []
    for step in range(4):
        state, metrics = train(state, batches(step))
        found.append([float(metrics["loss"]), float(metrics["grad_norm"])])
    return np.array(found)


@pytest.mark.parametrize(
    ("mesh", "accumulation"),
    [
        pytest.param(Mesh(1, 1, 1), 4, id="4 microbatches"),
        pytest.param(Mesh(8, 1, 1), 1, id="data 8"),
        pytest.param(Mesh(8, 1, 1), 2, id="data 8, 2 microbatches"),
        pytest.param(Mesh(4, 1, 2), 1, id="data 4 x tensor 2"),
        pytest.param(Mesh(4, 1, 2), 2, id="data 4 x tensor 2, 2 microbatches", marks=pytest.mark.slow),
        pytest.param(Mesh(2, 2, 2), 1, id="data 2 x fsdp 2 x tensor 2", marks=pytest.mark.slow),
        pytest.param(Mesh(2, 4, 1), 2, id="data 2 x fsdp 4, 2 microbatches", marks=pytest.mark.slow),
    ],
)
def test_neither_mesh_nor_accumulation_changes_losses_or_threefry_dropout(
    pairs_folder: Path, mesh: Mesh, accumulation: int
) -> None:
    """On sentence pairs, so that the next-sentence loss is held to the same."""
    at_once = losses(pairs_folder, DROPOUT, 1)
    shared_out = changed(DROPOUT, mesh=vars(mesh), accumulation=accumulation)
    devices = mesh.data * mesh.fsdp * mesh.tensor
    np.testing.assert_allclose(losses(pairs_folder, shared_out, devices), at_once, rtol=1e-5)
    assert at_once[0, 0] == pytest.approx(np.log(VOCABULARY) + np.log(2), abs=0.15)
    assert at_once[3, 0] < at_once[0, 0] - 0.05


def test_every_row_drops_its_own(pairs_folder: Path) -> None:
    """The same row on every device and in every microbatch: what differs can only be dropout."""
    header = Records(pairs_folder, "train").header
    objective = objective_of(DROPOUT, header)
    keys = objective.keys.dropout(jnp.int32(3), jnp.arange(16, dtype=jnp.int32))
    drawn = np.asarray(dropout(jnp.ones((16 * LENGTH, 32)), 0.5, keys)).reshape(16, -1)
    assert len({row.tobytes() for row in drawn}) == 16
    later = objective.keys.dropout(jnp.int32(3), jnp.arange(8, 16, dtype=jnp.int32))
    np.testing.assert_array_equal(dropout(jnp.ones((8 * LENGTH, 32)), 0.5, later).reshape(8, -1), drawn[8:])
    other_step = objective.keys.dropout(jnp.int32(4), jnp.arange(16, dtype=jnp.int32))
    assert (np.asarray(dropout(jnp.ones((16 * LENGTH, 32)), 0.5, other_step)).reshape(16, -1) != drawn).any(1).all()


def test_gradients_sent_in_bfloat16_are_those_of_float32_to_its_precision(records_folder: Path) -> None:
    in_float32 = losses(records_folder, changed(TINY, mesh={"data": 8}), 8)
    in_bfloat16 = losses(records_folder, changed(TINY, mesh={"data": 8}, gradient_dtype="bfloat16"), 8)
    assert in_bfloat16[0, 0] == in_float32[0, 0]
    np.testing.assert_allclose(in_bfloat16, in_float32, rtol=2**-7)
    assert (in_bfloat16[:, 1] != in_float32[:, 1]).all()


def test_parameters_kept_in_bfloat16_train(records_folder: Path) -> None:
    recipe = changed(TINY, parameter_dtype="bfloat16", optimizer={"moment_dtype": "bfloat16"})
    params = steps_on(records_folder, recipe, 1)[0].abstract_state["params"]
    assert {leaf.dtype.name for leaf in jax.tree.leaves(params)} == {"bfloat16"}
    found = losses(records_folder, recipe, 1)
    np.testing.assert_allclose(found, losses(records_folder, TINY, 1), rtol=0.02)
    assert found[3, 0] < found[0, 0] - 0.05


def test_an_option_that_xla_does_not_know_is_named(records_folder: Path) -> None:
    steps, _, batches = steps_on(records_folder, changed(TINY, xla_options=("xla_no_such=true",)), 1)
    with pytest.raises(InputError, match=r"--training.xla-options: No such compile option: 'xla_no_such'"):
        compiled(steps, batches)


def test_the_compiled_step_donates_its_state_and_never_makes_logits_of_a_whole_row(records_folder: Path) -> None:
    steps, state, batches = steps_on(records_folder, TINY, 1)
    train = compiled(steps, batches)
    parameter_bytes = sum(leaf.nbytes for leaf in jax.tree.leaves(state))
    memory = train.memory_analysis()
    assert memory is not None
    assert memory.alias_size_in_bytes >= parameter_bytes
    program = train.as_text() or ""
    shapes = {tuple(map(int, found.split(","))) for found in re.findall(r"f32\[([\d,]+)\]", program)}
    predictions = 5
    assert any({16 * predictions, PADDED_VOCABULARY} <= {np.prod(shape[:-1]), shape[-1]} for shape in shapes)
    assert (
        max(np.prod(shape) for shape in shapes if shape[-1] in (VOCABULARY, PADDED_VOCABULARY))
        < 16 * LENGTH * VOCABULARY
    )
    train(state, batches(0))
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(state["params"]))


def test_an_update_that_is_not_finite_leaves_the_state_as_it_was_and_the_step_counts_on(records_folder: Path) -> None:
    steps, state, batches = steps_on(records_folder, TINY, 1)
    train = compiled(steps, batches)
    state, metrics = train(state, batches(0))
    assert float(metrics["rejected"]) == 0
    bias = state["params"]["cls"]["predictions"]["bias"]
    state["params"]["cls"]["predictions"]["bias"] = bias.at[7].set(jnp.inf)
    before = jax.device_get(state)
    state, metrics = train(state, batches(1))
    assert float(metrics["rejected"]) == 1
    assert not np.isfinite(float(metrics["loss"]))
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(state), {**before, "step": before["step"] + 1})


def test_evaluation_does_not_depend_on_the_batch_it_is_done_in(pairs_folder: Path) -> None:
    held_out = Records(pairs_folder, "evaluation")
    found = []
    for devices, microbatch in ((1, 11), (8, 8)):
        steps, state, _ = steps_on(pairs_folder, TINY, devices)
        sharding = batch_sharding(make_mesh(Mesh(), jax.devices()[:devices]))
        batches = EvaluationBatches(held_out, rows=100, microbatch=microbatch, sharding=sharding)
        evaluate = steps.evaluate.lower(steps.abstract_state["params"], batches(0)).compile()  # type: ignore[attr-defined]
        sums = [evaluate(state["params"], batches(index)) for index in range(len(batches))]
        found.append(jax.tree.map(lambda *parts: float(sum(parts)), *sums))
    jax.tree.map(lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-5), *found)
    assert found[0]["next_sentence"]["weight_sum"] == 11


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"model": {"vocab_size": 300}}, "--training.model.vocab-size 300: the records have 200"),
        ({"model": {"max_position_embeddings": 16}}, "max-position-embeddings 16: the records' rows have 32"),
    ],
)
def test_a_recipe_that_contradicts_the_records_is_refused(
    records_folder: Path, fields: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        objective_of(changed(TINY, **fields), Records(records_folder, "train").header)
