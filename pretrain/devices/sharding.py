"""Where arrays live: the device mesh, parameters by their family's table, and the optimizer's state as its parameters."""

import functools
import math
from collections.abc import Sequence
from typing import Any

import jax
import optax
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.recipe_fields import flag
from pretrain.devices.available import available_devices
from pretrain.models.flags import flags_of
from pretrain.models.parameter_rules import Rules, checked_rule
from pretrain.recipe import Mesh

AXES = ("data", "fsdp", "tensor")
ROWS = ("data", "fsdp")
"""The axes that split the rows of a batch."""


def make_mesh(sizes: Mesh, devices: Sequence[jax.Device] | None = None, of: str = "training") -> jax.sharding.Mesh:
    """Arranges devices along the axes data, fsdp and tensor.

    - `sizes`: devices along each axis; one may be -1 and takes what is left.
    - `devices`: None means all devices of all processes.
    - `of`: what the flags of the sizes begin with: training, or hardware where a trained model is run.

    Raises InputError where the sizes do not make up the number of devices, and what `available_devices` raises.
    """
    devices = available_devices() if devices is None else devices
    shape = tuple(mesh_shape(sizes, len(devices), of).values())
    return jax.make_mesh(shape, AXES, axis_types=(AxisType.Auto,) * len(AXES), devices=devices)


def mesh_shape(sizes: Mesh, devices: int, of: str = "training") -> dict[str, int]:
    """Axis -> devices along it; arguments and errors as of `make_mesh`, of so many devices."""
    wanted = {axis: getattr(sizes, axis) for axis in AXES}
    flags = {axis: flag(of, f"mesh.{axis}") for axis in AXES}
    wrong = [axis for axis, size in wanted.items() if size < 1 and size != -1]
    if wrong:
        raise InputError(f"{flags[wrong[0]]} {wanted[wrong[0]]}: must be 1 or more, or -1 for what is left")
    open_axes = [axis for axis, size in wanted.items() if size == -1]
    if len(open_axes) > 1:
        raise InputError(f"{flags[open_axes[0]]} and {flags[open_axes[1]]} are both -1; only one can take what is left")
    fixed = [axis for axis in AXES if axis not in open_axes]
    product = math.prod(wanted[axis] for axis in fixed)
    named = " x ".join(f"{flags[axis]} {wanted[axis]}" for axis in fixed)
    if open_axes and devices % product:
        raise InputError(f"{named}: {devices} devices cannot be divided by {product}; change one of them")
    if not open_axes and devices != product:
        there = "there is 1 device" if devices == 1 else f"there are {devices} devices"
        raise InputError(f"{named} is {product}, but {there}; set one of them to -1")
    return {axis: devices // product if axis in open_axes else wanted[axis] for axis in AXES}


def batch_sharding(mesh: jax.sharding.Mesh) -> NamedSharding:
    """The sharding of a batch [accumulation, microbatch, ...]: rows of each microbatch over data and fsdp."""
    return NamedSharding(mesh, PartitionSpec(None, ROWS))


def replicated(mesh: jax.sharding.Mesh) -> NamedSharding:
    """A full copy on every device."""
    return NamedSharding(mesh, PartitionSpec())


def parameter_shardings(params: Any, rules: Rules, mesh: jax.sharding.Mesh) -> Any:
    """The sharding of every parameter of a tree, by the rule that describes it.

    - `params`: arrays or `jax.ShapeDtypeStruct`s.

    Raises InputError for a parameter that no rule or two rules match, and for a dimension that its axes do not divide.
    """
    return jax.tree.map_with_path(lambda path, leaf: _sharding(path_name(path), leaf.shape, rules, mesh), params)


def state_shardings(state: Any, optimizer: optax.GradientTransformation, rules: Rules, mesh: jax.sharding.Mesh) -> Any:
    """The sharding of a train state: what has the shape of a parameter in the optimizer's state lies as it does.

    All else (counters, Adafactor's means of rows and columns, Muon's coefficients) is replicated.
    """
    params, everywhere = parameter_shardings(state["params"], rules, mesh), replicated(mesh)

    def as_parameter(leaf: Any, sharding: NamedSharding, param: Any) -> Any:
        if isinstance(leaf, optax.MaskedNode):  # a parameter that another optimizer updates
            return leaf
        return sharding if leaf.shape == param.shape else everywhere

    # Only the shapes of the optimizer's state: the mesh may be of devices that are not there.
    of_optimizer = optax.tree_utils.tree_map_params(
        functools.partial(jax.eval_shape, optimizer.init),
        as_parameter,
        state["optimizer"],
        params,
        state["params"],
        transform_non_params=lambda _: everywhere,
        is_leaf=lambda node: isinstance(node, optax.MaskedNode),
    )
    scalars = {name: tree for name, tree in state.items() if name not in ("params", "optimizer")}
    return {"params": params, "optimizer": of_optimizer, **jax.tree.map(lambda _: everywhere, scalars)}


def path_name(path: Sequence[Any]) -> str:
    """A JAX key path as `bert/embeddings/...`."""
    return jax.tree_util.keystr(tuple(path), simple=True, separator="/")


def _sharding(name: str, shape: tuple[int, ...], rules: Rules, mesh: jax.sharding.Mesh) -> NamedSharding:
    rule = checked_rule(name, shape, rules)
    axes = (None,) * rule.stacked * bool(rule.axes) + rule.axes
    for dimension, along in enumerate(axes):
        split = (along,) if isinstance(along, str) else along or ()
        devices = math.prod(mesh.shape[axis] for axis in split)
        if shape[dimension] % devices:
            named = " x ".join(flags_of(f"mesh.{axis}") for axis in split)
            raise InputError(
                f"{name}: dimension {dimension} of {shape[dimension]} cannot be divided over {devices} devices; choose another {named}"
            )
    return NamedSharding(mesh, PartitionSpec(*axes))
