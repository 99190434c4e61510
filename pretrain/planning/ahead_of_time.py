"""The train step compiled for a machine that is not there: libtpu holds the compiler of every TPU, and needs no TPU to run."""

import dataclasses
import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental import topologies

from data_pipeline.contract.errors import InputError, WorkError
from data_pipeline.contract.packages import needed
from data_pipeline.contract.records import RecordsHeader, row_fields
from pretrain.devices.sharding import batch_sharding, make_mesh
from pretrain.input.batches import abstract_batch
from pretrain.job import objective_of
from pretrain.models.core.layers import Parameters
from pretrain.objectives.losses import sum_of_losses
from pretrain.objectives.protocols import Batch
from pretrain.optimization.optimizer import make_optimizer
from pretrain.optimization.step import compile_train_step, initial_state, make_steps
from pretrain.planning.hlo import Module, read_module
from pretrain.planning.machines import Machine
from pretrain.recipe import TrainingRecipe
from pretrain.recipe_checks import check_sizes

GIB = 2**30
UNITS = {"B": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
OUT_OF_MEMORY = re.compile(r"Used ([\d.]+)([BKMGT]) of ([\d.]+)([BKMGT]) hbm")


@dataclass(frozen=True)
class Footprint:
    """What a step needs of one device, in bytes.

    - `state`: parameters, optimizer state and batch; `peak`: with all that the step makes.
    - `gradients`: in float32; 0 where the step was compiled.
    - `limit`: what a program may use, where the compiler told it (it does where that does not suffice).
    - `program`: the optimised HLO; empty where it does not fit, or was not compiled.
    - `xla_flops`, `xla_seconds`: XLA's own count and its `optimal_seconds`, in which the body of a loop counts once.
    """

    state: int
    peak: int
    gradients: int = 0
    limit: int | None = None
    program: str = ""
    xla_flops: float = 0.0
    xla_seconds: float = 0.0

    @cached_property
    def module(self) -> Module:
        """The program, taken apart."""
        return read_module(self.program)


def topology_devices(machine: Machine) -> Sequence[jax.Device]:
    """The devices of a TPU slice, as far as a compiler needs them.

    Raises InputError without libtpu, WorkError where it does not know the slice.
    """
    needed("libtpu", "planning for a TPU", extra="plan")
    # Read when the library is loaded: without them it asks Google's metadata server for a TPU, and locks out other processes.
    os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")
    os.environ.setdefault("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")
    os.environ.setdefault("TPU_ACCELERATOR_TYPE", "v4-8")
    os.environ.setdefault("TPU_WORKER_HOSTNAMES", "localhost")
    try:
        description = topologies.get_topology_desc(machine.topology, "tpu", **machine.options)
    except Exception as error:  # jaxlib raises its own class, and others for other slices
        reason = str(error).partition("\n")[0]
        raise WorkError(f"libtpu cannot describe {machine.topology} ({reason}); try another libtpu") from None
    return description.devices


def compile_step(recipe: TrainingRecipe, header: RecordsHeader, devices: Sequence[jax.Device]) -> Footprint:
    """Compiles the train step of a recipe as `pretrain.train` does.

    - `devices`: of `topology_devices`, or real ones.

    Raises InputError where recipe, records and devices do not fit each other.
    """
    mesh = make_mesh(recipe.mesh, devices)
    check_sizes(recipe, mesh)
    rows = batch_sharding(mesh)
    with jax.set_mesh(mesh):
        steps = make_steps(objective_of(recipe, header), recipe, mesh)
        batch = abstract_batch(row_fields(header), recipe.global_batch_size, recipe.accumulation, rows)
        state = sum(
            leaf.dtype.itemsize * math.prod(leaf.sharding.shard_shape(leaf.shape))
            for leaf in jax.tree.leaves((steps.abstract_state, batch))
        )
        try:
            compiled = compile_train_step(steps, batch)
        except jax.errors.JaxRuntimeError as error:
            used = OUT_OF_MEMORY.search(str(error))
            if used is None:
                raise
            return Footprint(state, _bytes(used[1], used[2]), limit=_bytes(used[3], used[4]))
    memory = compiled.memory_analysis()
    program = compiled.as_text()
    if memory is None or program is None:
        raise WorkError("this compiler tells neither memory nor program; use the versions of constraints.txt")
    peak = memory.argument_size_in_bytes + memory.output_size_in_bytes + memory.temp_size_in_bytes
    counted = compiled.cost_analysis() or {}
    return Footprint(
        state,
        peak - memory.alias_size_in_bytes,
        program=program,
        xla_flops=counted.get("flops", 0.0),
        xla_seconds=counted.get("optimal_seconds", 0.0),
    )


def estimate_step(recipe: TrainingRecipe, header: RecordsHeader, devices: int) -> Footprint:
    """The same by arithmetic: state, float32 gradients, and what the forward pass of a microbatch keeps for the backward pass.

    - `devices`: each holds all parameters and its share of the rows.

    XLA frees and computes again as it sees fit, so that the truth lies below. Raises InputError for parameters that a mesh splits, and
    for a batch that the devices cannot share.
    """
    split = [
        f"--training.mesh.{axis} {size}"
        for axis in ("fsdp", "tensor")
        if (size := getattr(recipe.mesh, axis)) not in (1, -1)
    ]
    if split:
        raise InputError(f"{split[0]}: only machines with TPUs are planned with split parameters; leave it at 1 here")
    if recipe.global_batch_size % (recipe.accumulation * devices):
        raise InputError(
            f"--training.global-batch-size {recipe.global_batch_size}: must be a multiple of --training.accumulation "
            f"{recipe.accumulation} x {devices} devices"
        )
    if recipe.attention not in ("auto", "xla"):
        # Fused kernels keep what remains without scores, and cannot be traced where their device is not.
        remat = recipe.remat if recipe.remat != "none" else "attention"
        recipe = dataclasses.replace(recipe, attention="xla", remat=remat)
    objective = objective_of(recipe, header)
    optimizer = make_optimizer(recipe, objective.rules())
    state = jax.eval_shape(lambda: initial_state(objective, optimizer))
    rows = recipe.global_batch_size // recipe.accumulation // devices
    batch = abstract_batch(row_fields(header), rows, 1, None)

    def kept(params: Parameters, batch: Batch) -> Any:
        step = jnp.zeros((), jnp.int32)
        prepared = objective.prepare(batch, step)
        microbatch = jax.tree.map(lambda array: array[0], prepared)

        def loss(params: Parameters) -> jax.Array:
            dropout_key = objective.keys.dropout(step, jnp.arange(rows, dtype=jnp.int32))
            sums = objective.loss_sums(params, microbatch, dropout_key)
            return sum_of_losses(sums, objective.totals(prepared), objective.weights)

        return jax.vjp(loss, params)[1]

    # The parameters are kept, too.
    activations = _bytes_of(jax.eval_shape(kept, state["params"], batch)) - _bytes_of(state["params"])
    gradients = sum(4 * leaf.size for leaf in jax.tree.leaves(state["params"]))
    state_bytes = _bytes_of(state)
    return Footprint(state_bytes, state_bytes + gradients + max(0, activations), gradients)


def _bytes_of(tree: Any) -> int:
    leaves = [leaf for leaf in jax.tree.leaves(tree) if not jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)]
    return sum(leaf.size * leaf.dtype.itemsize for leaf in leaves)


def _bytes(number: str, unit: str) -> int:
    return round(float(number) * UNITS[unit])
