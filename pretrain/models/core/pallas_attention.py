"""Attention as a Pallas kernel for TPUs: scores and probabilities stay on the chip, forward and backward, dropout included.

The projections [B, L, N x D] are read as they are, LANES columns at a time: one head of 128, two of 64. Of two heads in a block the
other's columns are zero in one operand of each product, which is as wide for the matrix unit as a head of 64 alone. No operand is
transposed or padded, and of each layer only q, k and v (and a bit for each probability that may be dropped) are kept for the backward
pass, which computes scores again.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from pretrain.models.core.dropout import LEVELS, dropout_words, kept_levels
from pretrain.models.core.fused_attention import on_own_rows, tensor_devices

LANES = 128
"""Columns of a block; the width of a TPU's registers."""
SUBLANES = 8
"""Rows of a TPU's registers."""
SCORES = 512 * 512
"""Scores that are worked on at once, 1 MiB of float32: about eight such arrays are alive in the backward pass, in 16 MiB (v3)."""
LENGTHS = (128, 256, 512, 1024, 2048)
"""Tokens of the rows that it takes; beyond them a row's keys and the bits of dropout fill the chip's memory."""
LONGEST_ON_16_MIB = 1024
"""Tokens of the longest rows on v2 and v3, whose cores have 16 MiB of vector memory: the gradient of rows of 2,048 needs 18."""
MASKED = -1e30
"""Score of a key that a query does not see; finite, so that a query without keys gives no NaN."""


def pallas_attention(
    q: jax.Array,
    k: jax.Array,
    v: jax.Array,
    segments: jax.Array,
    *,
    dropout_rate: float = 0.0,
    dropout_key: jax.Array | None = None,
    interpret: bool = False,
) -> jax.Array:
    """Every query sees all keys of its segment.

    - `q`, `k`, `v`: [B, L, N, D].
    - `segments`: integers [B, L].
    - `dropout_rate`, `dropout_key`: as in `pretrain.models.core.dropout.dropout`, which drops the same probabilities.
    - `interpret`: run the kernel step by step, on any device.

    Returns [B, L, N, D] in q's type. Sizes that `refusal` objects to give nonsense.
    """
    length, heads, width = q.shape[1:]
    kept = kept_levels(dropout_rate) if dropout_key is not None else LEVELS
    bits = None
    if dropout_key is not None and kept < LEVELS:
        bits = _kept_bits(dropout_key, (q.shape[0], heads, length, length), kept)

    def kernel(q: jax.Array, k: jax.Array, v: jax.Array, segments: jax.Array, *bits: jax.Array) -> jax.Array:
        flat = (array.reshape(*array.shape[:2], -1) for array in (q, k, v))
        return _attend(*flat, segments, bits[0] if bits else None, width, kept, interpret).reshape(q.shape)

    arrays = (q, k, v, segments.astype(jnp.int32), *([] if bits is None else [bits]))
    return on_own_rows(kernel, arrays, (2, 2, 2, None, 1)[: len(arrays)])


def refusal(length: int, heads: int, width: int) -> str:
    """Why the kernel does not take rows of such a length, or so many heads of such a width; empty where it does."""
    splits = tensor_devices()
    if LANES % width or heads % (LANES // width * splits):
        return f"takes heads that fill blocks of {LANES} columns on each device, not {heads} of {width} over {splits}"
    device = jax.sharding.get_abstract_mesh().abstract_device
    is_small = device is not None and device.device_kind.startswith(("TPU v2", "TPU v3"))
    lengths = [each for each in LENGTHS if each <= LONGEST_ON_16_MIB or not is_small]
    if length not in lengths:
        place = f" on a {device.device_kind}" if device is not None and is_small else ""
        return f"takes rows of {', '.join(map(str, lengths))} tokens{place}, not of {length}"
    return ""


def _groups(length: int) -> int:
    """Bits of a word of `_kept_bits` that are used."""
    return min(32, length // SUBLANES)


def _kept_bits(key: jax.Array, shape: tuple[int, int, int, int], kept: int) -> jax.Array:
    """uint32 [B, N, L / G, L] with G of `_groups`: bit g of word (b, n, i, k) says whether probability (b, n, g x L / G + i, k) is kept.

    XLA draws the random words inside the sum that packs them, so that they are never written to memory.
    """
    length, groups = shape[2], _groups(shape[2])
    words = dropout_words(key, shape).reshape(*shape[:2], groups, length // groups, length // 2)
    place = jnp.arange(groups, dtype=jnp.uint32)[:, None, None]
    halves = (words & (LEVELS - 1), words >> 16)
    packed = [((half < kept).astype(jnp.uint32) << place).sum(-3, dtype=jnp.uint32) for half in halves]
    return jnp.concatenate(packed, axis=-1)


@functools.partial(jax.custom_vjp, nondiff_argnums=(5, 6, 7))
def _attend(
    q: jax.Array,
    k: jax.Array,
    v: jax.Array,
    segments: jax.Array,
    bits: jax.Array | None,
    width: int,
    kept: int,
    interpret: bool,
) -> jax.Array:
    (mixed,) = _call(_forward_kernel, (q, k, v), segments, bits, width, kept, interpret)
    return mixed


def _attend_forward(
    q: jax.Array, k: jax.Array, v: jax.Array, segments: jax.Array, bits: jax.Array | None, *static: Any
) -> tuple[jax.Array, tuple[jax.Array | None, ...]]:
    return _attend(q, k, v, segments, bits, *static), (q, k, v, segments, bits)


def _attend_backward(
    width: int, kept: int, interpret: bool, saved: tuple[jax.Array, ...], gradient: jax.Array
) -> tuple[jax.Array | None, ...]:
    q, k, v, segments, bits = saved
    of_q, of_k, of_v = _call(_backward_kernel, (q, k, v, gradient), segments, bits, width, kept, interpret)
    return of_q, of_k, of_v, None, None


_attend.defvjp(_attend_forward, _attend_backward)


def _call(
    kernel: Callable[..., None],
    arrays: Sequence[jax.Array],
    segments: jax.Array,
    bits: jax.Array | None,
    width: int,
    kept: int,
    interpret: bool,
) -> Sequence[jax.Array]:
    """Runs a kernel on every row, block of columns and block of queries, the last in turn.

    - `arrays`: [B, L, N x D]: q, k and v, and backward the gradient of the result.
    """
    from jax.experimental import pallas as pl  # here, because it is slow to import
    from jax.experimental.pallas import tpu as pltpu

    rows, length, columns = arrays[0].shape
    queries = SCORES // length if length * length > SCORES else length
    of_queries = pl.BlockSpec((1, queries, LANES), lambda row, block, query: (row, query, block))
    of_keys = pl.BlockSpec((1, length, LANES), lambda row, block, query: (row, 0, block))
    backward = len(arrays) == 4
    specs = [
        *(of_queries, of_keys, of_keys, *([of_queries] if backward else [])),
        pl.BlockSpec((1, queries, 1), lambda row, block, query: (row, query, 0)),
        pl.BlockSpec((1, 1, length), lambda row, block, query: (row, 0, 0)),
    ]
    operands = [*arrays, segments[:, :, None], segments[:, None, :]]
    if bits is not None:
        heads = LANES // width
        specs.append(pl.BlockSpec((1, heads, *bits.shape[2:]), lambda row, block, query: (row, block, 0, 0)))
        operands.append(bits)
    results = [of_queries, of_keys, of_keys] if backward else [of_queries]
    products = 5 if backward else 2
    heads = columns // width
    cost = pl.CostEstimate(
        flops=2 * products * rows * length * length * columns,
        transcendentals=rows * heads * length * length,
        bytes_accessed=sum(array.size * array.dtype.itemsize for array in operands)
        + len(results) * arrays[0].size * arrays[0].dtype.itemsize,
    )
    called: Sequence[jax.Array] = pl.pallas_call(
        functools.partial(kernel, width=width, kept=kept, dropped=bits is not None),
        grid=(rows, columns // LANES, length // queries),
        in_specs=specs,
        out_specs=results,
        out_shape=[jax.ShapeDtypeStruct(arrays[0].shape, arrays[0].dtype)] * len(results),
        scratch_shapes=[pltpu.VMEM((length, LANES), jnp.float32)] * 2 if backward else [],
        compiler_params=pltpu.CompilerParams(dimension_semantics=("parallel", "parallel", "arbitrary")),
        cost_estimate=cost,
        interpret=interpret,
        name=kernel.__name__.strip("_"),
    )(*operands)
    return called


def _forward_kernel(q: Any, k: Any, v: Any, of_query: Any, of_key: Any, *rest: Any, **how: Any) -> None:
    bits, mixed = rest if how["dropped"] else (None, *rest)
    block = _Block(q, k, of_query, of_key, bits, **how)
    values = _wide(v[0])
    total = jnp.zeros(q.shape[1:], jnp.float32)
    for head in range(block.heads):
        probabilities = block.dropped(head, _rounded(block.probabilities(head), v.dtype))
        total = jnp.where(block.of_head(head), _product(_rounded(probabilities, v.dtype), values, (1, 0)), total)
    mixed[0] = total.astype(mixed.dtype)


def _backward_kernel(q: Any, k: Any, v: Any, gradient: Any, of_query: Any, of_key: Any, *rest: Any, **how: Any) -> None:
    from jax.experimental import pallas as pl

    bits, of_q, of_k, of_v, sum_of_k, sum_of_v = rest if how["dropped"] else (None, *rest)
    block = _Block(q, k, of_query, of_key, bits, **how)
    values, out, dtype = _wide(v[0]), _wide(gradient[0]), q.dtype

    @pl.when(pl.program_id(2) == 0)
    def _() -> None:
        sum_of_k[...] = jnp.zeros_like(sum_of_k)
        sum_of_v[...] = jnp.zeros_like(sum_of_v)

    total = jnp.zeros(q.shape[1:], jnp.float32)
    for head in range(block.heads):
        mine = block.of_head(head)
        probabilities = _rounded(block.probabilities(head), dtype)
        kept = _rounded(block.dropped(head, probabilities), dtype)
        own = jnp.where(mine, out, 0.0)
        sum_of_v[...] += _product(kept, own, (0, 0))
        of_kept = block.dropped(head, _rounded(_product(own, values, (1, 1)), dtype))
        of_scores = probabilities * (of_kept - (probabilities * of_kept).sum(-1, keepdims=True))
        of_scores = _rounded(of_scores * block.scale, dtype)
        total = jnp.where(mine, _product(of_scores, block.keys, (1, 0)), total)
        sum_of_k[...] += _product(of_scores, jnp.where(mine, block.queries, 0.0), (0, 0))
    of_q[0] = total.astype(of_q.dtype)

    @pl.when(pl.program_id(2) == pl.num_programs(2) - 1)
    def _() -> None:
        of_k[0] = sum_of_k[...].astype(of_k.dtype)
        of_v[0] = sum_of_v[...].astype(of_v.dtype)


class _Block:
    """A block of queries with all keys of its row, for the heads that share LANES columns."""

    def __init__(
        self, q: Any, k: Any, of_query: Any, of_key: Any, bits: Any, *, width: int, kept: int, dropped: bool
    ) -> None:
        self.heads, self.scale = LANES // width, width**-0.5
        self.queries, self.keys = _wide(q[0]), _wide(k[0])
        self._visible = of_query[0] == of_key[0]
        self._column = jax.lax.broadcasted_iota(jnp.int32, self.queries.shape, 1)
        self._width, self._kept, self._bits = width, kept, bits

    def of_head(self, head: int) -> jax.Array:
        """bool [queries, LANES]: the columns of a head."""
        return (self._column >= head * self._width) & (self._column < (head + 1) * self._width)

    def probabilities(self, head: int) -> jax.Array:
        """float32 [queries, keys]."""
        scores = _product(jnp.where(self.of_head(head), self.queries, 0.0), self.keys, (1, 1)) * self.scale
        scores = jnp.where(self._visible, scores, MASKED)
        powers = jnp.exp(scores - scores.max(-1, keepdims=True))
        return powers / powers.sum(-1, keepdims=True)

    def dropped(self, head: int, values: jax.Array) -> jax.Array:
        """float32 [queries, keys]: zero where dropout drops, scaled elsewhere."""
        from jax.experimental import pallas as pl

        if self._bits is None:
            return values
        words = self._bits[0, head]  # [i, keys], a bit for each group of queries
        inner, keys = words.shape
        groups = values.shape[0] // inner
        place = jax.lax.broadcasted_iota(jnp.int32, (groups, inner, keys), 0) + pl.program_id(2) * groups
        bits = jnp.broadcast_to(words[None], (groups, inner, keys)) >> place.astype(jnp.uint32) & 1
        return jnp.where(bits.reshape(values.shape) == 1, values * (LEVELS / self._kept), 0.0)


def _wide(array: jax.Array) -> jax.Array:
    """As float32: Mosaic multiplies nothing else on a v3, whose matrix unit takes float32 and rounds to bfloat16 itself."""
    return array.astype(jnp.float32)


def _rounded(array: jax.Array, dtype: Any) -> jax.Array:
    """float32 values that `dtype` can hold."""
    return array.astype(dtype).astype(jnp.float32)


def _product(a: jax.Array, b: jax.Array, contracted: tuple[int, int]) -> jax.Array:
    """The float32 product of two matrices over the given axis of each."""
    axes = (((contracted[0],), (contracted[1],)), ((), ()))
    return jax.lax.dot_general(a, b, axes, preferred_element_type=jnp.float32)
