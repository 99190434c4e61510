"""The gradient of the loss over a whole batch: sums over sums, in float32, and summed over the devices once a step.

Where only rows are split (mesh.data), each device takes the gradient of its own rows over all microbatches, and one sum over the
devices follows. XLA's partitioner would sum wherever a gradient is made: in each turn of the loop over microbatches and, for
the word table, once for the embedding and once for the head. Where parameters are split too (mesh.fsdp, mesh.tensor), it is left
to the partitioner.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec
from jax.typing import DTypeLike

from pretrain.models.core.layers import Parameters
from pretrain.objectives.losses import sum_of_losses
from pretrain.objectives.protocols import Batch, Prepared, Sums, Trainable


class Gradients(NamedTuple):
    """What a batch says.

    - `of_loss`: the gradient of the loss, a tree like the parameters, float32.
    - `sums`: of `objective.loss_sums`, over all rows.
    - `real_tokens`: int32 scalar, tokens that are not padding.
    - `attended_pairs`: float32 scalar, see `RowShape.attended`; a batch may have more than int32 holds.
    """

    of_loss: Parameters
    sums: Sums
    real_tokens: jax.Array
    attended_pairs: jax.Array


def batch_gradients(
    params: Parameters,
    batch: Batch,
    step: jax.Array,
    *,
    objective: Trainable,
    dtype: DTypeLike,
    mesh: jax.sharding.Mesh,
    grows: bool = False,
) -> Gradients:
    """The gradients of a batch [accumulation, microbatch, ...], the same on every device.

    - `step`: steps done, int32 scalar; with a row's number in the batch it decides what dropout drops.
    - `dtype`: the type in which devices send each other gradients.
    - `mesh`: of the batch and the parameters.
    - `grows`: whether the last microbatches may be padding (`BatchWarmup`).
    """
    accumulation, microbatch = batch["tokens"].shape[:2]
    rows = jnp.arange(accumulation * microbatch, dtype=jnp.int32).reshape(accumulation, microbatch)
    if mesh.shape["data"] == 1 or mesh.shape["data"] != mesh.size:
        return _gradients(params, batch, rows, step, objective, grows)

    def of_own_rows(params: Parameters, batch: Batch, rows: jax.Array, step: jax.Array) -> Gradients:
        own = _gradients(params, batch, rows, step, objective, grows, over="data")
        sent = own._replace(of_loss=_as(dtype, own.of_loss))
        summed: Gradients = jax.lax.psum(sent, "data")
        return summed._replace(of_loss=_as(jnp.float32, summed.of_loss))

    split, whole = PartitionSpec(None, "data"), PartitionSpec()
    # Unchecked: checked, jax.grad would sum each use of a parameter over the devices at once, and no Pallas kernel could run here.
    by_device = jax.shard_map(
        of_own_rows, mesh=mesh, in_specs=(whole, split, split, whole), out_specs=whole, check_vma=False
    )
    gradients: Gradients = by_device(params, batch, rows, step)
    return gradients


def _gradients(
    params: Parameters,
    batch: Batch,
    rows: jax.Array,
    step: jax.Array,
    objective: Trainable,
    grows: bool,
    over: str | tuple[()] = (),
) -> Gradients:
    """Of the rows that are here, divided by the weights of the whole batch.

    - `rows`: int32 [accumulation, microbatch], the rows' numbers in the whole batch.
    - `over`: the mesh axis over which the rows of the whole batch lie, where this is one device's share.
    """
    prepared = objective.prepare(batch, step)
    totals = jax.lax.psum(objective.totals(prepared), over)

    def loss_of(params: Parameters, microbatch: Prepared, rows: jax.Array) -> tuple[jax.Array, Sums]:
        sums = objective.loss_sums(params, microbatch, objective.keys.dropout(step, rows))
        return sum_of_losses(sums, totals, objective.weights), sums

    def of_microbatch(turn: tuple[Prepared, jax.Array]) -> tuple[Parameters, Sums]:
        gradients, sums = jax.grad(loss_of, has_aux=True)(params, *turn)
        return _as(jnp.float32, gradients), sums

    def add_microbatch(so_far: Any, turn: tuple[Prepared, jax.Array]) -> tuple[Any, None]:
        def added() -> Any:
            return jax.tree.map(jnp.add, so_far, of_microbatch(turn))

        if not grows:
            return added(), None
        # Microbatches that a growing batch does not fill yet cost nothing.
        return jax.lax.cond(turn[0]["row_weights"].any(), added, lambda: so_far), None

    turns = (prepared, rows)
    first = jax.tree.map(lambda array: array[0], turns)
    if rows.shape[0] == 1:
        gradients, sums = of_microbatch(first)
    else:
        shapes = jax.eval_shape(of_microbatch, first)
        zeros = jax.tree.map(lambda shape: jnp.zeros(shape.shape, shape.dtype), shapes)
        (gradients, sums), _ = jax.lax.scan(add_microbatch, zeros, turns)
    pairs = prepared["attended_pairs"].astype(jnp.float32).sum()
    return Gradients(gradients, sums, prepared["real_tokens"].sum(), pairs)


def _as(dtype: DTypeLike, tree: Any) -> Any:
    return jax.tree.map(lambda array: array.astype(dtype), tree)
