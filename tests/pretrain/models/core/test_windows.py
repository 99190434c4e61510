"""A window in blocks is the window as a mask over all positions, for a fraction of the scores."""

import re
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from pretrain.devices.sharding import make_mesh
from pretrain.models.core.attention import _mixed, _scores, _visible, attention
from pretrain.models.core.fused_attention import splash_attention
from pretrain.recipe import Mesh

B, N, D, WINDOW = 2, 2, 8, 4


def arrays(length: int, heads: int = N, width: int = D) -> tuple[list[jax.Array], jax.Array]:
    keys = jax.random.split(jax.random.key(0), 4)
    qkv = [jax.random.normal(key, (B, length, heads, width)) for key in keys[:3]]
    return qkv, jnp.sort(jax.random.randint(keys[3], (B, length), 0, 4), axis=1)


def as_a_mask(window: int, segments: jax.Array) -> Callable[..., jax.Array]:
    return lambda q, k, v: _mixed(_scores(q, k, None, None), _visible(segments, None, False, window), v, 0.0, None)


def values_and_gradients(attend: Callable[..., jax.Array], qkv: list[jax.Array]) -> tuple[jax.Array, ...]:
    def total(*qkv: jax.Array) -> tuple[jax.Array, jax.Array]:
        mixed = attend(*qkv)
        return jnp.sin(3 * mixed).sum(), mixed

    with jax.default_matmul_precision("highest"):
        gradients, mixed = jax.jit(jax.grad(total, argnums=(0, 1, 2), has_aux=True))(*qkv)
    return mixed, *gradients


def check(found: tuple[jax.Array, ...], expected: tuple[jax.Array, ...], atol: float = 1e-5) -> None:
    for one, other in zip(found, expected, strict=True):
        assert abs(other).max() > 0.1
        np.testing.assert_allclose(one, other, atol=atol)


@pytest.mark.parametrize("length", [24, 61])
def test_blocks_give_the_values_and_gradients_of_a_mask(length: int) -> None:
    """The last block of 61 is not full."""
    qkv, segments = arrays(length)
    found = values_and_gradients(partial(attention, segments=segments, window=WINDOW), qkv)
    check(found, values_and_gradients(as_a_mask(WINDOW, segments), qkv))


def test_splash_gives_the_values_and_gradients_of_a_mask() -> None:
    qkv, segments = arrays(256, 1, 64)
    splash = partial(splash_attention, segments=segments, window=32, interpret=True)
    check(values_and_gradients(splash, qkv), values_and_gradients(as_a_mask(32, segments), qkv), atol=1e-4)


def test_no_array_has_all_pairs_of_positions() -> None:
    qkv, segments = arrays(320)
    attend = partial(attention, segments=segments, window=WINDOW)
    program = jax.jit(jax.grad(lambda *qkv: attend(*qkv).sum(), argnums=(0, 1, 2))).lower(*qkv).as_text()
    sizes = {
        int(np.prod([int(size) for size in shape.split("x")])) for shape in re.findall(r"tensor<([\dx]+)x", program)
    }
    assert max(sizes) == B * N * 320 * 4 * WINDOW < B * N * 320 * 320


def test_a_kernel_that_has_no_window_leaves_it_to_xla() -> None:
    qkv, segments = arrays(24)
    programs = {
        name: str(jax.make_jaxpr(partial(attention, segments=segments, window=WINDOW, implementation=name))(*qkv))
        for name in ("xla", "auto", "pallas")
    }
    assert programs["pallas"] == programs["auto"] == programs["xla"]


def test_what_a_row_drops_depends_on_its_own_key() -> None:
    qkv, segments = arrays(24)
    keys = jax.random.split(jax.random.key(1), B)

    @jax.jit
    def attend(q: jax.Array, k: jax.Array, v: jax.Array, segments: jax.Array, keys: jax.Array) -> jax.Array:
        return attention(q, k, v, segments=segments, window=WINDOW, dropout_rate=0.5, dropout_key=keys)

    turned = [array[::-1] for array in (*qkv, segments, keys)]
    found = attend(*qkv, segments, keys)
    np.testing.assert_allclose(attend(*turned)[::-1], found, atol=1e-6)
    assert np.abs(attend(*qkv, segments, keys[::-1]) - found).max() > 0.1


def test_blocks_stay_on_the_device_of_their_row() -> None:
    """Laid out along the axis of rows, they are split as rows are: nothing is sent."""

    def gradients(q: jax.Array, k: jax.Array, v: jax.Array, segments: jax.Array) -> tuple[jax.Array, ...]:
        mixed, pull_back = jax.vjp(partial(attention, segments=segments, window=WINDOW), q, k, v)
        return pull_back(mixed)

    mesh = make_mesh(Mesh())
    rows = NamedSharding(mesh, PartitionSpec("data"))
    heads = jax.ShapeDtypeStruct((8, 24, N, D), jnp.float32, sharding=rows)
    segments = jax.ShapeDtypeStruct((8, 24), jnp.int32, sharding=rows)
    with jax.set_mesh(mesh):
        program = jax.jit(gradients).lower(heads, heads, heads, segments).compile().as_text()
    assert not re.findall(r"all-gather|all-to-all|all-reduce|collective-permute", program)
