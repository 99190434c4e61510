"""Where arrays live: the device mesh, and one table of path patterns -> mesh axes for parameters and optimizer state alike."""

import math
import re
from collections.abc import Sequence
from typing import Any

import jax
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from data_pipeline.contract.errors import InputError
from pretrain.devices.available import available_devices
from pretrain.recipe import Mesh

AXES = ("data", "fsdp", "tensor")
ROWS = ("data", "fsdp")
"""The axes that split the rows of a batch."""
Rules = Sequence[tuple[str, tuple[str | tuple[str, ...] | None, ...]]]
"""Regular expression on a path -> mesh axis (or axes) of each dimension; dimensions beyond the tuple are not split."""
SMALL = r"(^|/)(v_(row|col)/|ns_coeffs$)"
"""Parts of an optimizer's state that are not shaped like a parameter: Adafactor's means of rows and columns, Muon's coefficients."""


def make_mesh(sizes: Mesh, devices: Sequence[jax.Device] | None = None) -> jax.sharding.Mesh:
    """Arranges devices along the axes data, fsdp and tensor.

    - `sizes`: devices along each axis; one may be -1 and takes what is left.
    - `devices`: None means all devices of all processes.

    Raises InputError where the sizes do not make up the number of devices, and what `available_devices` raises.
    """
    devices = available_devices() if devices is None else devices
    wanted = {axis: getattr(sizes, axis) for axis in AXES}
    wrong = [axis for axis, size in wanted.items() if size < 1 and size != -1]
    if wrong:
        raise InputError(f"mesh.{wrong[0]} {wanted[wrong[0]]}: must be 1 or more, or -1 for what is left")
    open_axes = [axis for axis, size in wanted.items() if size == -1]
    if len(open_axes) > 1:
        raise InputError(f"mesh.{open_axes[0]} and mesh.{open_axes[1]} are both -1; only one can take what is left")
    fixed = [axis for axis in AXES if axis not in open_axes]
    product = math.prod(wanted[axis] for axis in fixed)
    named = " x ".join(f"mesh.{axis} {wanted[axis]}" for axis in fixed)
    if open_axes and len(devices) % product:
        raise InputError(f"{named}: {len(devices)} devices cannot be divided by {product}; change one of them")
    if not open_axes and len(devices) != product:
        raise InputError(f"{named} is {product}, but there are {len(devices)} devices; set one of them to -1")
    shape = tuple(len(devices) // product if axis in open_axes else wanted[axis] for axis in AXES)
    return jax.make_mesh(shape, AXES, axis_types=(AxisType.Auto,) * len(AXES), devices=devices)


def batch_sharding(mesh: jax.sharding.Mesh) -> NamedSharding:
    """The sharding of a batch [accumulation, microbatch, ...]: rows of each microbatch over data and fsdp."""
    return NamedSharding(mesh, PartitionSpec(None, ROWS))


def replicated(mesh: jax.sharding.Mesh) -> NamedSharding:
    """A full copy on every device."""
    return NamedSharding(mesh, PartitionSpec())


def shardings(tree: Any, rules: Rules, mesh: jax.sharding.Mesh) -> Any:
    """The sharding of every array of a tree, by the first rule whose pattern `re.search` finds in the array's path.

    - `tree`: arrays or `jax.ShapeDtypeStruct`s. Paths look like `bert/encoder/layer/attention/self/query/kernel`; an
      optimizer state's end with the parameter's, so that its arrays lie where the parameter lies.
    - `rules`: see `Rules`.

    Single numbers and what is SMALL are replicated. Raises InputError for an array that no rule matches, and for a dimension that its axes do not divide.
    """
    return jax.tree.map_with_path(lambda path, leaf: _sharding(path_name(path), leaf.shape, rules, mesh), tree)


def path_name(path: Sequence[Any]) -> str:
    """A JAX key path as `optimizer/1/mu/bert/embeddings/...`."""
    return jax.tree_util.keystr(tuple(path), simple=True, separator="/")


def _sharding(name: str, shape: tuple[int, ...], rules: Rules, mesh: jax.sharding.Mesh) -> NamedSharding:
    if math.prod(shape) == 1 or re.search(SMALL, name):
        return replicated(mesh)
    axes = next((axes for pattern, axes in rules if re.search(pattern, name)), None)
    if axes is None:
        raise InputError(
            f"{name} {list(shape)}: no sharding rule matches this parameter; add one to the family's SHARDING_RULES"
        )
    if len(axes) > len(shape):
        raise InputError(f"{name} {list(shape)}: its sharding rule {axes} has more dimensions than the parameter")
    for dimension, along in enumerate(axes):
        split = (along,) if isinstance(along, str) else along or ()
        devices = math.prod(mesh.shape[axis] for axis in split)
        if shape[dimension] % devices:
            fields = " x ".join(f"mesh.{axis}" for axis in split)
            raise InputError(
                f"{name}: dimension {dimension} of {shape[dimension]} cannot be divided over {fields} = {devices}; "
                f"choose a mesh that divides it"
            )
    return NamedSharding(mesh, PartitionSpec(*axes))
