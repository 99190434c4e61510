"""Pieces that every model family shares.

An NNX module here is the one place where parameters get their name, shape and initial value. `parameters` turns a module into a
nested dict of arrays once; everything after that is a pure function of such a dict, so that plain jax.jit, jax.lax.scan,
sharding rules and the weight map all see the same tree. Functions compute in the type they are given, LayerNorm always in float32.
"""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.sharding import PartitionSpec
from jax.typing import DTypeLike

from pretrain.models.core.remat import recomputed_elementwise

Parameters = dict[str, Any]
"""A nested dict whose leaves are arrays."""


def put(params: Parameters, path: str, value: Any) -> None:
    """Stores an array or a subtree under its path (names with slashes between), making the dicts on the way."""
    *above, last = path.split("/")
    for name in above:
        params = params.setdefault(name, {})
    params[last] = value


Draw = Callable[[jax.Array, tuple[int, ...]], jax.Array]
"""(key, shape) -> initial values, float32."""


def normal(deviation: float) -> Draw:
    """Draws from a normal distribution around 0."""
    return lambda key, shape: deviation * jax.random.normal(key, shape)


def truncated_normal(deviation: float) -> Draw:
    """Draws from a normal distribution around 0 without what is beyond two deviations (tf.truncated_normal_initializer): the
    deviation that is left is 0.88 of the one given."""
    return lambda key, shape: deviation * jax.random.truncated_normal(key, -2.0, 2.0, shape)


def uniform(bound: float) -> Draw:
    """Draws evenly between -bound and bound."""
    return lambda key, shape: jax.random.uniform(key, shape, minval=-bound, maxval=bound)


class Linear(nnx.Module):
    """Parameters of an affine map: `kernel` [*stack, inputs, outputs] as drawn, `bias` [*stack, outputs] zero.

    - `stack`: leading axes, one entry for each of several maps of the same shape: `(num_layers,)` for an encoder layer's.
    """

    def __init__(self, inputs: int, outputs: int, *, draw: Draw, rngs: nnx.Rngs, stack: tuple[int, ...] = ()) -> None:
        self.kernel = nnx.Param(draw(rngs.params(), (*stack, inputs, outputs)))
        self.bias = nnx.Param(jnp.zeros((*stack, outputs)))


class Matrix(nnx.Module):
    """Parameters of a linear map without bias: `kernel` [*stack, inputs, outputs] as drawn; `stack` as for `Linear`."""

    def __init__(self, inputs: int, outputs: int, *, draw: Draw, rngs: nnx.Rngs, stack: tuple[int, ...] = ()) -> None:
        self.kernel = nnx.Param(draw(rngs.params(), (*stack, inputs, outputs)))


class Embedding(nnx.Module):
    """Parameters of a lookup table: `embedding` [rows + padding_rows, width] as drawn, zero in the padding rows.

    The values of the real rows do not depend on `padding_rows`.
    """

    def __init__(self, rows: int, width: int, *, draw: Draw, rngs: nnx.Rngs, padding_rows: int = 0) -> None:
        table = draw(rngs.params(), (rows, width))
        self.embedding = nnx.Param(jnp.pad(table, ((0, padding_rows), (0, 0))))


class LayerNorm(nnx.Module):
    """Parameters of a layer normalisation: `scale` [*stack, width] one and, unless not `biased`, `bias` [*stack, width] zero."""

    def __init__(self, width: int, *, stack: tuple[int, ...] = (), biased: bool = True) -> None:
        self.scale = nnx.Param(jnp.ones((*stack, width)))
        if biased:
            self.bias = nnx.Param(jnp.zeros((*stack, width)))


class RMSNorm(nnx.Module):
    """Parameters of a normalisation by the root mean square: `scale` [*stack, width] one."""

    def __init__(self, width: int, *, stack: tuple[int, ...] = ()) -> None:
        self.scale = nnx.Param(jnp.ones((*stack, width)))


def parameters(module: nnx.Module) -> Parameters:
    """Returns a module's parameters as a nested dict of arrays, keyed by attribute names."""
    _, state = nnx.split(module)
    return nnx.to_pure_dict(state)


def linear(params: Parameters, inputs: jax.Array, dtype: DTypeLike) -> jax.Array:
    """Applies an affine map to [..., inputs] in `dtype` and returns [..., outputs] in `dtype`.

    The bias is added in float32, so that its gradient, a sum over all rows, is float32 too: in bfloat16 such a sum over 16,384
    rows is off by 0.5 %.
    """
    product = inputs.astype(dtype) @ params["kernel"].astype(dtype)
    return (product.astype(jnp.float32) + params["bias"].astype(jnp.float32)).astype(dtype)


def mapped(params: Parameters, inputs: jax.Array, dtype: DTypeLike) -> jax.Array:
    """Applies a linear map without bias to [..., inputs] in `dtype`."""
    return inputs.astype(dtype) @ params["kernel"].astype(dtype)


def embed(params: Parameters, ids: jax.Array, *, without_gradient: int | None = None) -> jax.Array:
    """Looks up `ids` [...] (any integer type) and returns float32 [..., width].

    - `without_gradient`: a row whose lookups send it no gradient (padding_idx of torch.nn.Embedding); None means none.

    An id beyond the table gives NaN, which stops a run; clamping it would train on in silence.
    """
    table = params["embedding"]
    if without_gradient is None:
        return _lookup(table, ids).astype(jnp.float32)
    return _lookup_without(table, ids, without_gradient).astype(jnp.float32)


def _lookup(table: jax.Array, ids: jax.Array) -> jax.Array:
    return jnp.take(table, ids, axis=0, mode="fill")


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _lookup_without(table: jax.Array, ids: jax.Array, without_gradient: int) -> jax.Array:
    return _lookup(table, ids)


def _lookup_without_forward(
    table: jax.Array, ids: jax.Array, without_gradient: int
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return _lookup(table, ids), (table, ids)


def _lookup_without_backward(
    without_gradient: int, saved: tuple[jax.Array, jax.Array], gradient: jax.Array
) -> tuple[jax.Array, None]:
    table, ids = saved
    # A row beyond the table takes nothing: no select over the activations.
    kept = jnp.where(ids == without_gradient, table.shape[0], ids)
    _, pull_back = jax.vjp(lambda table: _lookup(table, kept), table)
    return pull_back(gradient)[0], None


_lookup_without.defvjp(_lookup_without_forward, _lookup_without_backward)


def embed_few(params: Parameters, ids: jax.Array) -> jax.Array:
    """`embed` for a table of a few rows, each chosen in turn: its gradient is a sum for each row and not a contended scatter."""
    table = params["embedding"].astype(jnp.float32)
    chosen = [jnp.where((ids == row)[..., None], table[row], 0.0) for row in range(table.shape[0])]
    return functools.reduce(jnp.add, chosen)


def wide_einsum(equation: str, a: jax.Array, b: jax.Array) -> jax.Array:
    """The einsum of two arrays of one type, in float32, whose gradients are products in that type again.

    Without a rule of its own the gradient of a float32 result is float32, and so would be both matrix products of the backward pass.
    """

    @jax.custom_vjp
    def product(a: jax.Array, b: jax.Array) -> jax.Array:
        return jnp.einsum(equation, a, b, preferred_element_type=jnp.float32)

    def forward(a: jax.Array, b: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        return product(a, b), (a, b)

    def backward(operands: tuple[jax.Array, jax.Array], gradient: jax.Array) -> tuple[jax.Array, jax.Array]:
        narrow, pull_back = jax.vjp(lambda a, b: jnp.einsum(equation, a, b), *operands)
        gradients: tuple[jax.Array, jax.Array] = pull_back(gradient.astype(narrow.dtype))
        return gradients

    product.defvjp(forward, backward)
    return product(a, b)


def layer_norm(params: Parameters, *inputs: jax.Array, epsilon: float, dtype: DTypeLike) -> jax.Array:
    """Normalises the last axis of the inputs' sum in float32 and returns the result in `dtype` (Ba et al. 2016, arXiv 1607.06450).

    - `params`: `scale` [W] and, where the normalisation has one, `bias` [W].
    - `inputs`: arrays of the same shape; they are added in float32.
    """

    def normalise(scale: jax.Array, bias: jax.Array | None, *inputs: jax.Array) -> jax.Array:
        wide = functools.reduce(jnp.add, (array.astype(jnp.float32) for array in inputs))
        centred = wide - wide.mean(axis=-1, keepdims=True)
        variance = jnp.square(centred).mean(axis=-1, keepdims=True)
        scaled = centred * jax.lax.rsqrt(variance + epsilon) * scale
        return (scaled if bias is None else scaled + bias).astype(dtype)

    return recomputed_elementwise(normalise)(params["scale"], params.get("bias"), *inputs)


def rms_norm(params: Parameters, inputs: jax.Array, *, epsilon: float, dtype: DTypeLike) -> jax.Array:
    """Divides the last axis by its root mean square in float32 and returns the scaled result in `dtype` (Zhang and Sennrich 2019,
    arXiv 1910.07467)."""

    def normalise(scale: jax.Array, inputs: jax.Array) -> jax.Array:
        wide = inputs.astype(jnp.float32)
        mean_square = jnp.square(wide).mean(axis=-1, keepdims=True)
        return (wide * jax.lax.rsqrt(mean_square + epsilon) * scale).astype(dtype)

    return recomputed_elementwise(normalise)(params["scale"], inputs)


_erf: ContextVar[Callable[[jax.Array], jax.Array]] = ContextVar("erf", default=jax.lax.erf)


@contextmanager
def erf_in_elementary_operations() -> Iterator[None]:
    """What is traced inside the block has no erf of XLA's, which TensorFlow cannot compile for lengths that are not known yet.

    Its place is taken by formula 7.1.26 of Abramowitz and Stegun (Handbook of Mathematical Functions, 1964), which is within 6e-7
    in float32. What JAX has traced before, of the same function and the same shapes, it remembers as it was.
    """

    def erf(x: jax.Array) -> jax.Array:
        t = 1 / (1 + 0.3275911 * jnp.abs(x))
        tail = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
        return jnp.sign(x) * (1 - tail * jnp.exp(-jnp.square(x)))

    token = _erf.set(erf)
    try:
        yield
    finally:
        _erf.reset(token)


def gelu(inputs: jax.Array) -> jax.Array:
    """The exact (erf) Gaussian error linear unit, in the inputs' type (Hendrycks and Gimpel 2016, arXiv 1606.08415)."""

    def apply(inputs: jax.Array) -> jax.Array:
        # Not jax.nn.gelu, whose erfc has two branches and takes three times as long. In float32: 1 + erf cancels below zero.
        wide = inputs.astype(jnp.float32)
        return (wide * (0.5 + 0.5 * _erf.get()(wide * 0.5**0.5))).astype(inputs.dtype)

    return recomputed_elementwise(apply)(inputs)


def gelu_tanh(inputs: jax.Array) -> jax.Array:
    """The tanh approximation of `gelu`, in the inputs' type; transformers calls it gelu_new."""

    def apply(inputs: jax.Array) -> jax.Array:
        return jax.nn.gelu(inputs.astype(jnp.float32), approximate=True).astype(inputs.dtype)

    return recomputed_elementwise(apply)(inputs)


def fold_key(key: jax.Array | None, number: jax.Array | int) -> jax.Array | None:
    """`jax.random.fold_in` for one key, for each of several, and for none."""
    if key is None:
        return None
    return jax.vmap(jax.random.fold_in, (0, None))(key, number) if key.ndim else jax.random.fold_in(key, number)


def split_rows(activations: jax.Array) -> jax.Array:
    """Says that the first axis of [B, ...] lies split over the mesh axes "data" and "fsdp", and the others are whole.

    Without it XLA may take the parameters' split over into the activations and sum these over all devices, where gathering the
    parameters moves far less. Does nothing for axes that XLA does not split itself: where no mesh with these axes is set
    (`jax.set_mesh`), and inside `jax.shard_map`, where the rows are this device's.
    """
    axes = _partitioned("data", "fsdp")
    return jax.lax.with_sharding_constraint(activations, PartitionSpec(axes)) if axes else activations


def whole(array: jax.Array) -> jax.Array:
    """Says that an array lies whole on every device, so that a loop reads it without a gather in each turn; where `split_rows` does
    nothing, neither does this."""
    axes = _partitioned("data", "fsdp", "tensor")
    return jax.lax.with_sharding_constraint(array, PartitionSpec()) if axes else array


def _partitioned(*names: str) -> tuple[str, ...]:
    """Those of the mesh axes over which XLA splits arrays itself."""
    mesh = jax.sharding.get_abstract_mesh()
    return tuple(axis for axis in names if axis in mesh.axis_names and axis not in mesh.manual_axes)
