"""A model's outputs for any number of rows: batches of like lengths over all devices, one program for each length."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from data_pipeline.contract.errors import WorkError
from pretrain.devices.broadcast import placed
from pretrain.devices.sharding import ROWS, batch_sharding, make_mesh, parameter_shardings, replicated
from pretrain.evaluate.buckets import BUCKETS, PlannedBatch, prediction_plan
from pretrain.evaluate.encoding import TokenRows, longest_row, padded
from pretrain.hugging_face.weights import from_hugging_face
from pretrain.inference.running import Running
from pretrain.input.batches import Prefetched, local_rows, place_rows
from pretrain.models.core.layers import Parameters
from pretrain.models.protocols import Compute, Inputs, Model
from pretrain.monitoring.progress import StepBar
from pretrain.objectives.protocols import Batch
from pretrain.subject import Subject

UNLIMITED = 2**20
"""Tokens of a row where neither the model nor anybody sets a limit."""

Outputs = Callable[[TokenRows], list[np.ndarray]]
"""Rows -> what a model says of each, in their order: float32 [...], or [n, ...] of its n tokens."""
Forward = Callable[[Model, Parameters, Inputs], jax.Array]
"""(model, parameters, inputs [B, L]) -> what it says of each row, float [B, ...]."""


def outputs_of(
    subject: Subject,
    make: Callable[[Compute], Model],
    forward: Forward,
    running: Running,
    *,
    of_tokens: bool = False,
) -> Outputs:
    """What gives a model's outputs for rows; it compiles once for each length of BUCKETS, however often it is called.

    - `make`: the model, whose parameters the subject's tensors are.
    - `of_tokens`: whether the outputs are those of tokens.

    Raises InputError where settings and model do not go together; the function WorkError where an output is not finite.
    """
    mesh = make_mesh(running.hardware.mesh, of="hardware")
    hardware, dtype = running.hardware, running.hardware.dtype_on(mesh.devices.flat[0].platform)
    model = make(Compute(dtype, "float32", "none", hardware.scan_unroll, hardware.attention))
    params = _parameters(subject, model, mesh)
    most = longest_row(subject, running.max_length or UNLIMITED)
    sharding, ways = batch_sharding(mesh), math.prod(mesh.shape[axis] for axis in ROWS)
    shape = (1, ways * math.ceil(running.batch_size / ways))

    def batch(rows: TokenRows, planned: PlannedBatch) -> Batch:
        own = local_rows(shape, sharding)
        numbers = [planned.rows[place] if place < len(planned.rows) else None for place in own]
        fields = padded(rows, numbers, planned.length, subject.tokenizer.special.pad)
        return place_rows(fields, own, shape, sharding)

    @jax.jit
    def run(params: Parameters, batch: Batch) -> jax.Array:
        tokens, types, counts = (batch[name][0] for name in ("tokens", "token_types", "lengths"))
        places = jnp.broadcast_to(jnp.arange(tokens.shape[1], dtype=jnp.int32), tokens.shape)
        segments = (places < counts[:, None]).astype(jnp.int32)
        said = forward(model, params, Inputs(tokens, segments, places, types)).astype(jnp.float32)
        return jax.lax.with_sharding_constraint(said, replicated(mesh))

    def outputs(rows: TokenRows) -> list[np.ndarray]:
        lengths = np.array([len(row) for row in rows.tokens])
        plan = prediction_plan(lengths, running.batch_size, min(most, max(int(lengths.max()), BUCKETS[-1] + 1)))
        found: list[np.ndarray] = [np.empty(0)] * len(lengths)
        with (
            jax.set_mesh(mesh),
            Prefetched(lambda step: batch(rows, plan[step]), 0, len(plan)) as batches,
            StepBar(0, len(plan)) as bar,
        ):
            for step, ready in batches:
                for row, said in zip(plan[step].rows, np.asarray(run(params, ready)), strict=False):
                    found[row] = said[: lengths[row]] if of_tokens else said
                bar.done(step + 1)
        if not all(np.isfinite(each).all() for each in found):
            raise WorkError(
                f"{subject.origin}: gives numbers that are not finite; try --hardware.compute-dtype float32"
            )
        return found

    return outputs


def _parameters(subject: Subject, model: Model, mesh: jax.sharding.Mesh) -> Parameters:
    """The subject's tensors as the parameters of a model, on the devices."""
    rules = subject.family.rules(model.config, model.heads)
    shapes = jax.eval_shape(model.init, jax.eval_shape(lambda: jax.random.key(0)))
    where = parameter_shardings(shapes, rules, mesh)
    abstract = jax.tree.map(
        lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), shapes, where
    )
    params: Parameters = placed(from_hugging_face(subject.tensors, shapes, rules, subject.vocab_size), abstract)
    return params
