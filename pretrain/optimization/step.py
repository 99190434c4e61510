"""One optimizer step and one evaluation step: pure functions of (state, batch), compiled once.

The state is {"params", "optimizer", "step"}, and with a guard against spikes `pretrain.optimization.spikes.SPIKES`. Loss and gradients
are sums over sums of the whole batch, in float32, so that accumulation, devices and hosts change neither.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.typing import DTypeLike

from data_pipeline.contract.errors import InputError
from pretrain.devices.sharding import batch_sharding, replicated, state_shardings
from pretrain.devices.xla_options import xla_options
from pretrain.models.core.layers import Parameters
from pretrain.objectives.protocols import Batch, Sums, Trainable
from pretrain.optimization.gradients import batch_gradients
from pretrain.optimization.norms import group_norms
from pretrain.optimization.optimizer import make_optimizer
from pretrain.optimization.spikes import SPIKES, first_mean, mean_after, spike_limit
from pretrain.recipe import SpikeGuard, TrainingRecipe

State = dict[str, Any]
Metrics = dict[str, Any]
"""What a step says of itself, a tree of float32 scalars; see `train_step`."""
UNGUARDED = SpikeGuard()


class CompiledSteps(NamedTuple):
    """The functions that a run calls, jitted for one mesh, and the shape and sharding of its state.

    - `init`: () -> state at step 0; `init_from`: (parameters) -> the same with these, which are donated.
    - `train`: jitted (state, batch) -> (state, metrics); the state given is donated.
    - `evaluate`: (params, batch) -> sums.
    - `abstract_state`: a tree of jax.ShapeDtypeStruct with shardings.
    """

    init: Callable[[], State]
    init_from: Callable[[Parameters], State]
    train: jax.stages.Wrapped
    evaluate: Callable[[Parameters, Batch], Sums]
    abstract_state: State


def initial_state(
    objective: Trainable,
    optimizer: optax.GradientTransformation,
    guard: SpikeGuard = UNGUARDED,
    params: Parameters | None = None,
) -> State:
    """The state at step 0, with these parameters or with drawn ones."""
    params = objective.init() if params is None else params
    state = {"params": params, "optimizer": optimizer.init(params), "step": jnp.zeros((), jnp.int32)}
    return state if guard.action == "none" else {**state, SPIKES: first_mean()}


def train_step(
    state: State,
    batch: Batch,
    *,
    objective: Trainable,
    optimizer: optax.GradientTransformation,
    mesh: jax.sharding.Mesh,
    gradient_dtype: DTypeLike,
    batch_grows: bool = False,
    guard: SpikeGuard = UNGUARDED,
    with_norms: bool = True,
) -> tuple[State, Metrics]:
    """Takes one optimizer step.

    - `state`: see above; step counts the steps done, int32 scalar.
    - `batch`: see `pretrain.input.batches`; its first axis is the accumulation.
    - `mesh`, `gradient_dtype`, `batch_grows`: see `pretrain.optimization.gradients.batch_gradients`.
    - `guard`: `TrainingRecipe.spikes`.

    Returns the new state and float32 scalars:
    - `sums`: of `objective.loss_sums` over the batch, of which the log makes means over many steps; `loss`: that of this step.
    - `grad_norm`: of the whole gradient, before clipping.
    - `real_tokens`: tokens that are not padding; `attended_pairs`: of a query and a key among them, in one segment.
    - `parameter_norm`, `update_norm`, where `with_norms`: of the parameters after the step and of what it added to them, by `group_norms`.
    - `rejected`: 1 where the update was left out (see `is_accepted`), else 0.
    - `spike_limit`, with a guard: the gradient norm above which that is a spike.
    """
    gradients, sums, real_tokens, attended_pairs = batch_gradients(
        state["params"], batch, state["step"], objective=objective, mesh=mesh, dtype=gradient_dtype, grows=batch_grows
    )
    updates, optimizer_state = optimizer.update(gradients, state["optimizer"], state["params"])
    params = optax.apply_updates(state["params"], updates)
    metrics = {
        "sums": sums,
        "loss": objective.metrics(sums)["loss"],
        "grad_norm": optax.tree.norm(gradients),
        "real_tokens": real_tokens.astype(jnp.float32),
        "attended_pairs": attended_pairs,
    }
    if guard.action != "none":
        metrics["spike_limit"] = spike_limit(state[SPIKES], guard)
    accepted = is_accepted(metrics)
    kept = new_or_old({"params": params, "optimizer": optimizer_state}, state, accepted)
    if guard.action != "none":
        kept[SPIKES] = mean_after(state[SPIKES], metrics["grad_norm"], accepted, guard)
    if with_norms:
        # Of what is written anyway: the norm of `updates` would keep them as arrays of their own.
        added = jax.tree.map(
            lambda one, other: one.astype(jnp.float32) - other.astype(jnp.float32), kept["params"], state["params"]
        )
        metrics["parameter_norm"] = group_norms(kept["params"], objective)
        metrics["update_norm"] = group_norms(added, objective)
    metrics["rejected"] = 1.0 - accepted.astype(jnp.float32)
    return {**kept, "step": state["step"] + 1}, metrics


def is_accepted(metrics: Metrics) -> jax.Array:
    """Whether the update of a step counts, a bool scalar: loss and gradient norm are finite, and the step is no spike."""
    finite = jnp.isfinite(metrics["loss"]) & jnp.isfinite(metrics["grad_norm"])
    return finite & (metrics["grad_norm"] <= metrics["spike_limit"]) if "spike_limit" in metrics else finite


def new_or_old(new: State, old: State, accepted: jax.Array) -> State:
    """`new`, or what `old` has under the same names where the update is not accepted."""
    return {
        name: jax.tree.map(lambda one, other: jnp.where(accepted, one, other), new[name], old[name]) for name in new
    }


def compile_train_step(
    steps: CompiledSteps, batch: Mapping[str, jax.Array | jax.ShapeDtypeStruct]
) -> jax.stages.Compiled:
    """Compiles `steps.train` for such batches. Raises InputError for a field of xla_options that this machine's XLA does not take."""
    lowered = steps.train.lower(steps.abstract_state, batch)
    try:
        return lowered.compile()
    except jax.errors.JaxRuntimeError as error:
        reason = str(error).partition("\n")[0]
        if "compile option" in reason or "setting option" in reason:
            raise InputError(f"--training.xla-options: {reason.removeprefix('INVALID_ARGUMENT: ')}") from None
        raise


def eval_step(params: Parameters, batch: Batch, *, objective: Trainable) -> Sums:
    """The sums of `objective.loss_sums` over one batch, without dropout and with masks that never change."""
    prepared = objective.prepare(batch, None)
    return objective.loss_sums(params, jax.tree.map(lambda array: array[0], prepared), None)


def make_steps(
    objective: Trainable, recipe: TrainingRecipe, mesh: jax.sharding.Mesh, *, with_norms: bool = True
) -> CompiledSteps:
    """Jits the steps for a mesh; nothing compiles before the first call.

    - `with_norms`: whether training steps say the norms of parameters and updates (`train_step`).

    Raises InputError where a parameter has no rule or cannot be divided (`pretrain.devices.sharding.parameter_shardings`).
    """

    rules = objective.rules()
    optimizer = make_optimizer(recipe, rules)
    options = xla_options(mesh.devices.flat[0].device_kind, recipe.xla_options)

    def init() -> State:
        return initial_state(objective, optimizer, recipe.spikes)

    def init_from(params: Parameters) -> State:
        return initial_state(objective, optimizer, recipe.spikes, params)

    def train(state: State, batch: Batch) -> tuple[State, Metrics]:
        return train_step(
            state,
            batch,
            objective=objective,
            optimizer=optimizer,
            mesh=mesh,
            gradient_dtype=recipe.gradient_dtype,
            batch_grows=recipe.batch_warmup.first_rows > 0,
            guard=recipe.spikes,
            with_norms=with_norms,
        )

    def evaluate(params: Parameters, batch: Batch) -> Sums:
        return eval_step(params, batch, objective=objective)

    shapes = jax.eval_shape(init)
    placed = state_shardings(shapes, optimizer, rules, mesh)
    abstract = jax.tree.map(
        lambda shape, sharding: jax.ShapeDtypeStruct(shape.shape, shape.dtype, sharding=sharding), shapes, placed
    )
    rows, everywhere = batch_sharding(mesh), replicated(mesh)
    return CompiledSteps(
        init=jax.jit(init, out_shardings=placed),
        init_from=jax.jit(init_from, out_shardings=placed, donate_argnums=0),
        train=jax.jit(
            train,
            in_shardings=(placed, rows),
            out_shardings=(placed, everywhere),
            donate_argnums=0,
            compiler_options=options,
        ),
        evaluate=jax.jit(evaluate, in_shardings=(placed["params"], rows), out_shardings=everywhere),
        abstract_state=abstract,
    )
