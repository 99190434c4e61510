"""Attention kernels that never write the scores to memory: cuDNN's for NVIDIA GPUs, splash attention for TPUs from v4 on."""

from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec

from data_pipeline.contract.errors import InputError

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

    - `q`, `k`, `v`: bfloat16 [B, L, N, D], L even.
    - `visible`: booleans [B, 1, L, L], queries before keys.
    - `implementation`: xla computes the same call on any device.

    Returns bfloat16 [B, L, N, D]. Raises InputError for another type.
    """
    if q.dtype != jnp.bfloat16:
        raise InputError(
            "attention cudnn: computes in bfloat16 alone; set compute_dtype to bfloat16, or attention to xla"
        )

    def kernel(q: jax.Array, k: jax.Array, v: jax.Array, visible: jax.Array) -> jax.Array:
        return jax.nn.dot_product_attention(q, k, v, mask=visible, implementation=implementation)

    return _on_own_rows(kernel, q, k, v, visible)


def splash_attention(
    q: jax.Array, k: jax.Array, v: jax.Array, segments: jax.Array, *, interpret: bool = False
) -> jax.Array:
    """Splash attention of JAX's Pallas kernels: every position sees the whole of its segment.

    - `q`, `k`, `v`: [B, L, N, D].
    - `segments`: integers [B, L].
    - `interpret`: run the kernel step by step, on any device.

    Returns [B, L, N, D] in v's type. Raises InputError where L is no multiple of SPLASH_MULTIPLE, or above SPLASH_BLOCK none of that.
    """
    from jax.experimental.pallas.ops.tpu import splash_attention as splash  # here, because it is slow to import

    length, block = q.shape[1], min(q.shape[1], SPLASH_BLOCK)
    if length % SPLASH_MULTIPLE or length % block:
        raise InputError(
            f"attention splash: rows have {length} tokens, which must be a multiple of {SPLASH_MULTIPLE}, above "
            f"{SPLASH_BLOCK} of {SPLASH_BLOCK}; set attention to xla"
        )
    blocks = splash.BlockSizes(
        block_q=block,
        block_kv=block,
        block_q_dkv=block,
        block_kv_dkv=block,
        block_kv_dkv_compute=block,
        block_q_dq=block,
        block_kv_dq=block,
    )

    def kernel(q: jax.Array, k: jax.Array, v: jax.Array, segments: jax.Array) -> jax.Array:
        everything = splash.MultiHeadMask([splash.FullMask((length, length))] * q.shape[2])
        attend = splash.make_splash_mha_single_device(everything, block_sizes=blocks, interpret=interpret)
        heads_first = (array.swapaxes(1, 2) for array in (q * q.shape[-1] ** -0.5, k, v))
        return jax.vmap(attend)(*heads_first, splash.SegmentIds(q=segments, kv=segments)).swapaxes(1, 2)

    return _on_own_rows(kernel, q, k, v, segments)


def _on_own_rows(kernel: Callable[..., jax.Array], *arrays: jax.Array) -> jax.Array:
    """Runs a kernel, which XLA cannot split, on the rows and heads of each device.

    - `arrays`: q, k and v [B, L, N, D], and one [B, ...] that all heads share.
    """
    mesh = jax.sharding.get_abstract_mesh()
    axes = [axis for axis in mesh.axis_names if axis not in mesh.manual_axes]
    if not axes:
        return kernel(*arrays)
    rows = tuple(axis for axis in axes if axis != "tensor")
    split = PartitionSpec(rows, None, "tensor" if "tensor" in axes else None)
    specs = (split, split, split, PartitionSpec(rows))
    return jax.shard_map(kernel, in_specs=specs, out_specs=split, check_vma=False)(*arrays)
