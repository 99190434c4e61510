"""What processes that train as one give each other: a state gathered for the one that writes it, handed out by the one that read it."""

import json
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils


def gathered(tree: Any) -> Any:
    """A tree of global arrays as numpy arrays of process 0; nothing that counts elsewhere. Every process must call it.

    Copies, so that the arrays may be donated. One array at a time is whole on a device.
    """
    return jax.tree.map(_gathered, tree)


def _gathered(array: jax.Array) -> np.ndarray | None:
    if not array.is_fully_replicated:
        return np.asarray(multihost_utils.process_allgather(array, tiled=True))
    return np.array(array.addressable_data(0)) if jax.process_index() == 0 else None


def everywhere(tree: Any) -> Any:
    """A tree of global arrays as numpy arrays of every process. Every process must call it."""
    return multihost_utils.process_allgather(tree, tiled=True)


def handed_out(tree: Any, abstract: Any) -> Any:
    """A tree of numpy arrays that process 0 has, laid out as `abstract` says, bit for bit. Every process must call it.

    - `tree`: None on the other processes.
    - `abstract`: jax.ShapeDtypeStruct with shardings, the same on all.
    """
    if jax.process_index():
        tree = jax.tree.map(lambda like: np.zeros(like.shape, like.dtype), abstract)
    # One array at a time: a broadcast makes each whole on a device.
    return jax.tree.map(lambda array, like: placed(_from_process_0(array), like), tree, abstract)


def _from_process_0(array: np.ndarray) -> np.ndarray:
    bits = array.view(f"u{array.dtype.itemsize}")  # a broadcast is a sum, and as floats -0 + 0 is 0
    return np.asarray(multihost_utils.broadcast_one_to_all(bits)).view(array.dtype)


def placed(tree: Any, abstract: Any) -> Any:
    """Puts arrays that every process has on its host where those of `abstract` (jax.ShapeDtypeStruct with shardings) lie."""
    return jax.tree.map(
        lambda array, like: jax.make_array_from_callback(
            like.shape, like.sharding, lambda index: array[index].astype(like.dtype)
        ),
        tree,
        abstract,
    )


def told(value: Any) -> Any:
    """What process 0 has, JSON-ready, on every process; each must call it."""
    said = np.frombuffer(json.dumps(value).encode(), np.uint8).astype(np.int32)
    size = int(multihost_utils.broadcast_one_to_all(np.int32(len(said))))
    said = said if jax.process_index() == 0 else np.zeros(size, np.int32)
    return json.loads(bytes(np.asarray(multihost_utils.broadcast_one_to_all(said)).astype(np.uint8)))
