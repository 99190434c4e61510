"""Fused kernels against plain attention. What needs a TPU or a GPU is interpreted, computed by XLA, or compiled and not run."""

import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax._src.cudnn import fused_attention_stablehlo
from tiny_run import TINY, changed

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.records import read_header
from pretrain.devices.sharding import make_mesh
from pretrain.models.core.attention import attention
from pretrain.models.core.fused_attention import cudnn_attention, splash_attention
from pretrain.planning.ahead_of_time import compile_step, topology_devices
from pretrain.planning.machines import machine_named
from pretrain.recipe import Mesh
from pretrain.recipe_checks import check_attention

B, L, N, D = 4, 128, 2, 64
SEGMENTS = jnp.sort(jax.random.randint(jax.random.key(0), (B, L), 0, 4), axis=1)
VISIBLE = SEGMENTS[:, None, :, None] == SEGMENTS[:, None, None, :]
K = 1024
KEY_SEGMENTS = jnp.sort(jax.random.randint(jax.random.key(2), (B, K), 0, 4), axis=1)
KEYS_VISIBLE = SEGMENTS[:, None, :, None] == KEY_SEGMENTS[:, None, None, :]
Attention = Callable[[jax.Array, jax.Array, jax.Array], jax.Array]
FUSED: dict[str, Attention] = {
    "splash": lambda q, k, v: splash_attention(q, k, v, SEGMENTS, interpret=True),
    "cudnn": lambda q, k, v: cudnn_attention(q, k, v, VISIBLE, implementation="xla"),
}
FUSED_WITH_KEYS: dict[str, Attention] = {
    "splash": lambda q, k, v: splash_attention(q, k, v, SEGMENTS, KEY_SEGMENTS, interpret=True),
    "cudnn": lambda q, k, v: cudnn_attention(q, k, v, KEYS_VISIBLE, implementation="xla"),
}


def arrays(length: int = L, keys: int | None = None) -> list[jax.Array]:
    random = jax.random.split(jax.random.key(1), 3)
    sizes = (length, keys or length, keys or length)
    return [jax.random.normal(key, (B, size, N, D), jnp.bfloat16) for key, size in zip(random, sizes, strict=True)]


ROUNDING = 2**-5
"""Relative: a few roundings of bfloat16, which jax 0.12 places elsewhere than 0.10."""


def value_and_gradients(attend: Attention, keys: int = L) -> tuple[jax.Array, tuple[jax.Array, ...]]:
    def total(q: jax.Array, k: jax.Array, v: jax.Array) -> tuple[jax.Array, jax.Array]:
        mixed = attend(q, k, v).astype(jnp.float32)
        return jnp.sin(3 * mixed).sum(), mixed

    gradients, mixed = jax.jit(jax.grad(total, argnums=(0, 1, 2), has_aux=True))(*arrays(L, keys))
    return mixed, gradients


@pytest.mark.parametrize("kernel", FUSED)
@pytest.mark.parametrize("mesh", [None, Mesh(data=2, fsdp=2, tensor=2)])
def test_values_and_gradients_are_those_of_plain_attention(kernel: str, mesh: Mesh | None) -> None:
    expected = value_and_gradients(partial(attention, segments=SEGMENTS))
    with jax.set_mesh(make_mesh(mesh or Mesh(data=1), jax.devices()[: 8 if mesh else 1])):
        found = value_and_gradients(FUSED[kernel])
    for one, other in zip(jax.tree.leaves(expected), jax.tree.leaves(found), strict=True):
        assert abs(one).max() > 0.5
        np.testing.assert_allclose(one.astype(jnp.float32), other.astype(jnp.float32), rtol=ROUNDING, atol=0.04)


@pytest.mark.parametrize("kernel", FUSED)
@pytest.mark.parametrize("mesh", [None, Mesh(data=2, fsdp=2, tensor=2)])
def test_keys_of_another_length_give_the_values_and_gradients_of_plain_attention(
    kernel: str, mesh: Mesh | None
) -> None:
    expected = value_and_gradients(partial(attention, segments=SEGMENTS, key_segments=KEY_SEGMENTS), K)
    with jax.set_mesh(make_mesh(mesh or Mesh(data=1), jax.devices()[: 8 if mesh else 1])):
        found = value_and_gradients(FUSED_WITH_KEYS[kernel], K)
    for one, other in zip(jax.tree.leaves(expected), jax.tree.leaves(found), strict=True):
        assert abs(one).max() > 0.1
        np.testing.assert_allclose(one.astype(jnp.float32), other.astype(jnp.float32), rtol=ROUNDING, atol=0.04)


def test_key_segments_equal_to_the_segments_change_nothing() -> None:
    expected, found = (
        value_and_gradients(lambda q, k, v, keys=keys: splash_attention(q, k, v, SEGMENTS, keys, interpret=True))
        for keys in (None, SEGMENTS)
    )
    for one, other in zip(jax.tree.leaves(expected), jax.tree.leaves(found), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_query_that_sees_no_key_gives_finite_numbers() -> None:
    unseen = jnp.full((B, K), 9).at[:, :5].set(1)
    attend = partial(splash_attention, segments=SEGMENTS, key_segments=unseen, interpret=True)
    for array in jax.tree.leaves(value_and_gradients(attend, K)):
        assert jnp.isfinite(array).all()


@pytest.mark.parametrize("key_segments", [None, KEY_SEGMENTS])
def test_cudnn_is_what_a_gpu_would_run(key_segments: jax.Array | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lowered for CUDA: both passes are cuDNN's and nothing holds the scores of all heads."""
    monkeypatch.setattr(fused_attention_stablehlo, "check_cudnn_version", lambda: 90_000)
    monkeypatch.setattr(fused_attention_stablehlo, "check_compute_capability", lambda _: True)

    def total(q: jax.Array, k: jax.Array, v: jax.Array) -> jax.Array:
        mixed = attention(q, k, v, segments=SEGMENTS, key_segments=key_segments, implementation="cudnn")
        return mixed.astype(jnp.float32).sum()

    keys = L if key_segments is None else K
    traced = jax.jit(jax.grad(total, argnums=(0, 1, 2))).trace(*arrays(L, keys))
    program = traced.lower(lowering_platforms=("cuda",)).as_text()
    assert "@__cudnn$fmhaScaleBiasSoftmax(" in program
    assert "@__cudnn$fmhaScaleBiasSoftmaxBackward(" in program
    assert f"tensor<{B}x{N}x{L}x{keys}x" not in program


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (
            {"implementation": "cudnn", "dropout_rate": 0.1, "dropout_key": jax.random.key(0)},
            "no dropout on attention probabilities",
        ),
        ({"implementation": "splash", "bias": jnp.zeros((N, L, L))}, "no bias on the scores"),
        ({"implementation": "splash", "causal": True}, "no causal attention"),
    ],
)
def test_what_a_kernel_does_not_have_is_refused(fields: dict, said: str) -> None:
    with pytest.raises(InputError, match=said):
        attention(*arrays(), segments=SEGMENTS, **fields)


def test_lengths_and_types_that_a_kernel_does_not_take_are_refused() -> None:
    with pytest.raises(InputError, match="rows have 96 tokens"):
        splash_attention(*arrays(96), SEGMENTS[:, :96])
    with pytest.raises(InputError, match="rows have 640 tokens"):
        splash_attention(*arrays(L, 640), SEGMENTS, KEY_SEGMENTS[:, :640])
    with pytest.raises(InputError, match="compute_dtype to bfloat16"):
        cudnn_attention(*(array.astype(jnp.float32) for array in arrays()), VISIBLE)


@pytest.mark.parametrize(
    ("kernel", "device", "said"),
    [
        ("cudnn", "cpu", "NVIDIA GPUs, and this is cpu"),
        ("splash", "TPU v3", "TPUs from v4 on, and this is TPU v3"),
        ("splash", "TPU v5 lite", None),
        ("cudnn", "NVIDIA H200", None),
        ("flash", "cpu", "must be xla, cudnn, splash"),
    ],
)
def test_a_kernel_is_refused_on_a_device_that_it_is_not_made_for(kernel: str, device: str, said: str | None) -> None:
    recipe = dataclasses.replace(TINY, attention=kernel)
    if said is None:
        check_attention(recipe, device)
        return
    with pytest.raises(InputError, match=said):
        check_attention(recipe, device)


@pytest.mark.slow
@pytest.mark.parametrize("mesh", [{}, {"mesh": {"data": 2, "fsdp": 2, "tensor": 2}}])
def test_splash_compiles_for_a_v5e_8(pairs_folder: Path, mesh: dict) -> None:
    pytest.importorskip("libtpu", reason="libtpu is not installed (extra [plan])")
    header = dataclasses.replace(read_header(pairs_folder), length=512)
    recipe = changed(TINY, compute_dtype="bfloat16", attention="splash", model={"max_position_embeddings": 512}, **mesh)
    assert "tpu_custom_call" in compile_step(recipe, header, topology_devices(machine_named("v5e-8"))).program
