"""Attention kernels that never write the scores to memory: cuDNN's for NVIDIA GPUs, splash attention for TPUs from v4 on."""

import math
from collections.abc import Callable, Sequence
from typing import Literal

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec

from data_pipeline.contract.errors import InputError
from pretrain.models.flags import flags_of

XLA_INSTEAD = f"give {flags_of('attention', 'xla')}"
"""What to do where a fused kernel does not take a call."""
SPLASH_MULTIPLE = 128
"""Splash attention takes lengths that are multiples of a TPU's lanes."""
SPLASH_BLOCK = 512
"""Most queries, or keys, that it works on at once."""


def cudnn_attention(
    q: jax.Array,
    k: jax.Array,
    v: jax.Array,
    visible: jax.Array,
    *,
    implementation: Literal["cudnn", "xla"] = "cudnn",
) -> jax.Array:
    """cuDNN's fused attention, through `jax.nn.dot_product_attention`.

    - `q`: bfloat16 [B, L, N, D]; `k`, `v`: [B, K, N, D]; L and K even.
    - `visible`: booleans [B, 1, L, K], queries before keys.
    - `implementation`: xla computes the same call on any device.

    Returns bfloat16 [B, L, N, D]. Raises InputError for another type.
    """
    if q.dtype != jnp.bfloat16:
        raise InputError(
            f"attention kernel cudnn: computes in bfloat16 alone; give {flags_of('compute_dtype', 'bfloat16')}, or {XLA_INSTEAD}"
        )

    def kernel(q: jax.Array, k: jax.Array, v: jax.Array, visible: jax.Array) -> jax.Array:
        return jax.nn.dot_product_attention(q, k, v, mask=visible, implementation=implementation)

    return on_own_rows(kernel, (q, k, v, visible), (2, 2, 2, None))


def splash_attention(
    q: jax.Array,
    k: jax.Array,
    v: jax.Array,
    segments: jax.Array,
    key_segments: jax.Array | None = None,
    *,
    window: int | None = None,
    interpret: bool = False,
) -> jax.Array:
    """Splash attention of JAX's Pallas kernels: every query sees all keys of its segment, or those in a window around it.

    - `q`: [B, L, N, D]; `k`, `v`: [B, K, N, D].
    - `segments`: integers [B, L]; `key_segments`: integers [B, K], None where they are the same.
    - `window`: positions that a query sees to each side; None: all. Needs K = L.
    - `interpret`: run the kernel step by step, on any device.

    Returns [B, L, N, D] in v's type. Raises InputError unless L and K are multiples of SPLASH_MULTIPLE, and of SPLASH_BLOCK
    above SPLASH_BLOCK.
    """
    from jax.experimental.pallas.ops.tpu import splash_attention as splash  # here, because it is slow to import

    lengths = q.shape[1], k.shape[1]
    for length in lengths:
        if length % SPLASH_MULTIPLE or length % min(length, SPLASH_BLOCK):
            raise InputError(
                f"attention kernel splash: rows have {length} tokens, which must be a multiple of {SPLASH_MULTIPLE}, above "
                f"{SPLASH_BLOCK} of {SPLASH_BLOCK}; {XLA_INSTEAD}"
            )
    block_q, block_kv = (min(length, SPLASH_BLOCK) for length in lengths)
    blocks = splash.BlockSizes(
        block_q=block_q,
        block_kv=block_kv,
        block_q_dkv=block_q,
        block_kv_dkv=block_kv,
        block_kv_dkv_compute=block_kv,
        block_q_dq=block_q,
        block_kv_dq=block_kv,
    )

    def kernel(q: jax.Array, k: jax.Array, v: jax.Array, *segments: jax.Array) -> jax.Array:
        of_head = splash.FullMask(lengths) if window is None else splash.LocalMask(lengths, (window, window), 0)
        seen = splash.MultiHeadMask([of_head] * q.shape[2])
        attend = splash.make_splash_mha_single_device(seen, block_sizes=blocks, interpret=interpret)
        heads_first = (array.swapaxes(1, 2) for array in (q * q.shape[-1] ** -0.5, k, v))
        return jax.vmap(attend)(*heads_first, splash.SegmentIds(q=segments[0], kv=segments[-1])).swapaxes(1, 2)

    arrays = (q, k, v, segments, *([] if key_segments is None else [key_segments]))
    return on_own_rows(kernel, arrays, (2, 2, 2, *(None,) * (len(arrays) - 3)))


def on_own_rows(
    kernel: Callable[..., jax.Array], arrays: Sequence[jax.Array], heads: Sequence[int | None]
) -> jax.Array:
    """Runs a kernel, which XLA cannot split, on the rows and heads of each device; it returns an array like the first.

    - `arrays`: [B, ...].
    - `heads`: of each array the axis that counts heads; None where all heads share it.
    """
    mesh = jax.sharding.get_abstract_mesh()
    axes = [axis for axis in mesh.axis_names if axis not in mesh.manual_axes]
    if not axes:
        return kernel(*arrays)
    rows: tuple[str, ...] | None = tuple(axis for axis in axes if axis != "tensor")
    if arrays[0].shape[0] % math.prod(mesh.shape[axis] for axis in rows or ()):
        rows = None  # a few rows, to be looked at: every device computes them all
    tensor = "tensor" if "tensor" in axes else None
    specs = tuple(
        PartitionSpec(rows) if axis is None else PartitionSpec(rows, *(None,) * (axis - 1), tensor) for axis in heads
    )
    return jax.shard_map(kernel, in_specs=specs, out_specs=specs[0], check_vma=False)(*arrays)


def tensor_devices() -> int:
    """Devices over which the heads of the mesh that is set (`jax.set_mesh`) are split; 1 inside `jax.shard_map`, where they are this
    device's."""
    mesh = jax.sharding.get_abstract_mesh()
    return mesh.shape["tensor"] if "tensor" in mesh.axis_names and "tensor" not in mesh.manual_axes else 1
