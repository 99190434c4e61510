"""What the step's program shows: no product in float32 but by choice, no logits of whole rows, nothing copied, nothing sent twice.

Types are read from StableHLO, which every backend compiles; what devices send from the modules compiled for a TPU v3-8 and
a v5e-8, because XLA's CPU compiler sums gradients elsewhere.
"""

import math
import re
from functools import cache
from pathlib import Path
from typing import Any

import jax
import pytest
from tiny_run import LENGTH, TINY, changed

from data_pipeline.contract.records import RecordsHeader, read_header, row_fields
from pretrain.devices.sharding import batch_sharding, make_mesh
from pretrain.input.batches import abstract_batch
from pretrain.job import objective_of
from pretrain.optimization.optimizer import make_optimizer
from pretrain.optimization.step import State, initial_state, make_steps
from pretrain.planning.ahead_of_time import Footprint, compile_step, topology_devices
from pretrain.planning.collectives import traffic
from pretrain.planning.machines import machine_named
from pretrain.recipe import TrainingRecipe

RECIPE = changed(
    TINY,
    compute_dtype="bfloat16",
    accumulation=2,
    model={"hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1},
)
PRODUCT = re.compile(r"stablehlo\.dot_general.*: \((tensor<\S+>), (tensor<\S+>)\) -> (tensor<\S+>)")
TENSOR = re.compile(r"tensor<((?:\d+x)+)\w+>")
HOST = re.compile(r"infeed|outfeed|\bsend\b|\brecv\b|callback|MoveToHost|S\(5\)")
"""How a program reaches for the host: JAX's callbacks, XLA's transfers, and arrays in its memory (space 5)."""
PADDED_VOCABULARY, PREDICTIONS = 256, 5


def lowered(header: RecordsHeader, recipe: TrainingRecipe, devices: int) -> str:
    """The train step as StableHLO."""
    mesh = make_mesh(recipe.mesh, jax.devices()[:devices])
    with jax.set_mesh(mesh):
        steps = make_steps(objective_of(recipe, header), recipe, mesh)
        sharding = batch_sharding(mesh)
        batch = abstract_batch(row_fields(header), recipe.global_batch_size, recipe.accumulation, sharding)
        return steps.train.lower(steps.abstract_state, batch).as_text()


@pytest.mark.parametrize("fields", [{}, {"remat": "full"}, {"mesh": {"data": 2, "fsdp": 2, "tensor": 2}}])
def test_no_product_has_float32_operands(pairs_folder: Path, fields: dict[str, Any]) -> None:
    program = lowered(read_header(pairs_folder), changed(RECIPE, **fields), 8)
    products = PRODUCT.findall(program)
    assert len(products) > 30
    assert not [product for product in products if "f32" in product[0] + product[1]]


def test_sums_are_float32_whatever_the_compute_type(pairs_folder: Path) -> None:
    """The gradient of a bias is a sum over all rows."""
    header = read_header(pairs_folder)
    program = lowered(header, RECIPE, 1)
    sums = [line for line in program.splitlines() if "stablehlo.reduce(" in line and "applies stablehlo.add" in line]
    assert len(sums) > 20
    assert not [line for line in sums if "xbf16>" in line]


def test_accuracy_reduces_no_indices(pairs_folder: Path) -> None:
    """Over a split vocabulary an argmax sends an int32 array of the logits' size."""
    program = lowered(read_header(pairs_folder), RECIPE, 1)
    sums = [line for line in program.splitlines() if "stablehlo.reduce(" in line and f"x{PADDED_VOCABULARY}x" in line]
    assert len(sums) > 1
    assert not [line for line in sums if "xi32>" in line]


@pytest.mark.parametrize("accumulation", [1, 2])
def test_no_logits_of_whole_rows_and_no_way_to_the_host(pairs_folder: Path, accumulation: int) -> None:
    program = lowered(read_header(pairs_folder), changed(RECIPE, accumulation=accumulation), 1)
    shapes = {tuple(map(int, found[:-1].split("x"))) for found in TENSOR.findall(program)}
    rows = RECIPE.global_batch_size // accumulation
    logits = [math.prod(shape[:-1]) for shape in shapes if shape[-1] == PADDED_VOCABULARY and len(shape) > 1]
    assert rows * PREDICTIONS in logits
    assert max(logits) < rows * LENGTH
    assert not HOST.search(program)


@cache
def compiled(folder: Path, recipe: TrainingRecipe, machine: str) -> Footprint:
    pytest.importorskip("libtpu", reason="libtpu is not installed (extra [plan])")
    return compile_step(recipe, read_header(folder), topology_devices(machine_named(machine)))


def state_shapes(header: RecordsHeader, recipe: TrainingRecipe) -> State:
    objective = objective_of(recipe, header)
    optimizer = make_optimizer(recipe, objective.rules())
    return jax.eval_shape(lambda: initial_state(objective, optimizer))


def parameter_bytes(header: RecordsHeader, recipe: TrainingRecipe, width: int) -> int:
    return width * sum(leaf.size for leaf in jax.tree.leaves(state_shapes(header, recipe)["params"]))


@pytest.mark.parametrize(
    ("machine", "fields", "element", "width"),
    [
        ("v3-8", {"accumulation": 2}, "f32", 4),
        pytest.param("v5e-8", {"accumulation": 2}, "f32", 4, marks=pytest.mark.slow),
        ("v3-8", {"accumulation": 2, "gradient_dtype": "bfloat16"}, "bf16", 2),
        pytest.param("v3-8", {"accumulation": 1}, "f32", 4, marks=pytest.mark.slow),
        pytest.param("v5e-8", {"accumulation": 1}, "f32", 4, marks=pytest.mark.slow),
    ],
)
def test_gradients_are_summed_over_the_devices_once_a_step(
    pairs_folder: Path, machine: str, fields: dict[str, Any], element: str, width: int
) -> None:
    header, recipe = read_header(pairs_folder), changed(RECIPE, **fields)
    sent = traffic(compiled(pairs_folder, recipe, machine).module)
    assert {each.kind for each in sent} == {"all-reduce"}
    gradients = parameter_bytes(header, recipe, width)
    assert gradients <= sum(each.bytes for each in sent if each.dtype == element) < gradients + 64
    # Beside the gradients: losses, weights and counts.
    assert sum(each.bytes for each in sent) < gradients + 64


@pytest.mark.parametrize("machine", ["v3-8", pytest.param("v5e-8", marks=pytest.mark.slow)])
def test_the_module_for_a_tpu_updates_its_state_in_place_and_leaves_the_host_alone(
    pairs_folder: Path, machine: str
) -> None:
    header = read_header(pairs_folder)
    footprint = compiled(pairs_folder, RECIPE, machine)
    assert not HOST.search(footprint.program)
    aliased = footprint.program.partition("input_output_alias={")[2].partition("entry_computation_layout")[0]
    state = state_shapes(header, RECIPE)
    assert aliased.count("may-alias") + aliased.count("must-alias") == len(jax.tree.leaves(state))
