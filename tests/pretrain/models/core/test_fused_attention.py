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
from jax.sharding import NamedSharding, PartitionSpec
from tiny_run import TINY, changed

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.records import read_header
from pretrain.devices.sharding import make_mesh
from pretrain.models.core.attention import attention
from pretrain.models.core.fused_attention import cudnn_attention, splash_attention
from pretrain.models.core.pallas_attention import LENGTHS, pallas_attention, refusal
from pretrain.models.modernbert.config import ModernBertConfig
from pretrain.planning.ahead_of_time import compile_step, topology_devices
from pretrain.planning.machines import machine_named
from pretrain.recipe import Mesh, Phase
from pretrain.recipe_checks import check_attention, check_sizes

B, L, N, D = 4, 128, 4, 64
SEGMENTS = jnp.sort(jax.random.randint(jax.random.key(0), (B, L), 0, 4), axis=1)
VISIBLE = SEGMENTS[:, None, :, None] == SEGMENTS[:, None, None, :]
K = 1024
KEY_SEGMENTS = jnp.sort(jax.random.randint(jax.random.key(2), (B, K), 0, 4), axis=1)
KEYS_VISIBLE = SEGMENTS[:, None, :, None] == KEY_SEGMENTS[:, None, None, :]
Attention = Callable[[jax.Array, jax.Array, jax.Array], jax.Array]
FUSED: dict[str, Attention] = {
    "splash": lambda q, k, v: splash_attention(q, k, v, SEGMENTS, interpret=True),
    "cudnn": lambda q, k, v: cudnn_attention(q, k, v, VISIBLE, implementation="xla"),
    "pallas": lambda q, k, v: pallas_attention(q, k, v, SEGMENTS, interpret=True),
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


@pytest.mark.parametrize(
    ("length", "heads", "width"), [(128, 4, 64), (1024, 2, 64), (256, 4, 32), (128, 1, 128)], ids=str
)
@pytest.mark.parametrize("rate", [0.0, 0.1])
def test_the_kernel_for_tpus_gives_the_same_numbers_and_drops_the_same_probabilities(
    length: int, heads: int, width: int, rate: float
) -> None:
    random = jax.random.split(jax.random.key(3), 4)
    q, k, v, gradient = (jax.random.normal(key, (2, length, heads, width)) for key in random)
    segments = jnp.sort(jax.random.randint(jax.random.key(4), (2, length), 0, 4), axis=1)
    dropout = {"dropout_rate": rate, "dropout_key": jax.random.split(jax.random.key(5), 2)}

    def value_and_gradients(attend: Callable[..., jax.Array]) -> tuple[jax.Array, ...]:
        mixed, pull_back = jax.vjp(attend, q, k, v)
        return mixed, *pull_back(gradient)

    expected = value_and_gradients(partial(attention, segments=segments, implementation="xla", **dropout))
    found = value_and_gradients(partial(pallas_attention, segments=segments, interpret=True, **dropout))
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=2e-6)


def test_the_kernel_for_tpus_writes_no_scores_and_a_bit_for_each_that_may_be_dropped() -> None:
    """Lowered for a TPU, forward and backward."""
    key = jax.random.split(jax.random.key(5), B)

    def total(q: jax.Array, k: jax.Array, v: jax.Array) -> jax.Array:
        return (
            attention(q, k, v, segments=SEGMENTS, implementation="pallas", dropout_rate=0.1, dropout_key=key)
            .astype(jnp.float32)
            .sum()
        )

    traced = jax.jit(jax.value_and_grad(total, argnums=(0, 1, 2))).trace(*arrays())
    saved = jax.eval_shape(lambda *qkv: jax.vjp(total, *qkv)[1], *arrays())
    assert traced.lower(lowering_platforms=("tpu",)).as_text().count("@tpu_custom_call(") == 2
    assert max(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(saved)) <= 2 * B * L * N * D
    [bits] = [leaf for leaf in jax.tree.leaves(saved) if leaf.dtype == jnp.uint32]
    assert bits.size == B * N * L * L // 16  # of 32 bits a word, rows of 128 use 16


@pytest.mark.parametrize(
    ("machine", "mesh", "shape", "fused"),
    [
        ("v3-8", Mesh(), (8, L, N, D), True),
        ("v3-8", Mesh(), (3, L, N, D), True),
        ("v3-8", Mesh(data=2, tensor=4), (8, L, N, D), False),  # a head of 64 a device
        ("v3-8", Mesh(), (8, 96, N, D), False),
        ("v5e-8", Mesh(), (8, L, N, 128), True),
        (None, Mesh(), (B, L, N, D), False),
    ],
)
def test_auto_is_the_kernel_for_tpus_where_that_takes_the_call(
    machine: str | None, mesh: Mesh, shape: tuple[int, ...], fused: bool
) -> None:
    devices = None
    if machine:
        pytest.importorskip("libtpu", reason="libtpu is not installed (extra [plan])")
        devices = topology_devices(machine_named(machine))
    array, segments = jax.ShapeDtypeStruct(shape, jnp.bfloat16), jax.ShapeDtypeStruct(shape[:2], jnp.int32)
    with jax.set_mesh(make_mesh(mesh, devices)):
        traced = jax.jit(lambda q, segments: attention(q, q, q, segments=segments)).trace(array, segments)
    assert ("pallas_call" in str(traced.jaxpr)) == fused


@pytest.mark.parametrize(
    ("machine", "mesh", "said"),
    [
        ("v3-8", Mesh(), "rows of 8,192 tokens have 3.2 GB of scores each .* a TPU v3 takes 2.1 GB"),
        ("v3-8", Mesh(data=4, tensor=2), ""),
        ("v5e-8", Mesh(), ""),
    ],
)
def test_long_rows_are_for_a_kernel_or_refused(machine: str, mesh: Mesh, said: str) -> None:
    pytest.importorskip("libtpu", reason="libtpu is not installed (extra [plan])")
    array, segments = jax.ShapeDtypeStruct((8, 8192, 12, D), jnp.bfloat16), jax.ShapeDtypeStruct((8, 8192), jnp.int32)
    recipe = changed(TINY, mesh=mesh, model=ModernBertConfig(), phases=(Phase(128, 0.5), Phase(8192, 0.5)))
    devices = make_mesh(mesh, topology_devices(machine_named(machine)))
    with jax.set_mesh(devices):
        attend = jax.jit(lambda q, segments: attention(q, q, q, segments=segments))
        if said:
            with pytest.raises(InputError, match=said):
                attend.trace(array, segments)
            with pytest.raises(InputError, match=said):
                check_sizes(recipe, devices)
            return
        assert ("pallas_call" in str(attend.trace(array, segments).jaxpr)) == (machine != "v3-8")
        check_sizes(recipe, devices)


@pytest.mark.parametrize("kernel", FUSED)
def test_rows_that_the_devices_do_not_divide_are_computed_on_each(kernel: str) -> None:
    with jax.set_mesh(make_mesh(Mesh())):  # 8 devices for 4 rows
        found = FUSED[kernel](*arrays())
    expected = attention(*arrays(), segments=SEGMENTS)
    np.testing.assert_allclose(found.astype(jnp.float32), expected.astype(jnp.float32), rtol=ROUNDING, atol=0.04)


@pytest.mark.parametrize("kernel", ["splash", "cudnn"])
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
        ({"implementation": "pallas", "causal": True}, "no causal attention"),
        ({"implementation": "pallas", "key_segments": SEGMENTS}, "no keys but the queries' own"),
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
    with pytest.raises(InputError, match="takes rows of 128, 256, 512, 1024, 2048 tokens, not of 96"):
        attention(*arrays(96), segments=SEGMENTS[:, :96], implementation="pallas")
    with pytest.raises(InputError, match="not 3 of 64 over 1"):
        attention(*(array[:, :, :3] for array in arrays()), segments=SEGMENTS, implementation="pallas")
    with pytest.raises(InputError, match=r"--training.compute-dtype bfloat16"):
        cudnn_attention(*(array.astype(jnp.float32) for array in arrays()), VISIBLE)


@pytest.mark.parametrize(
    ("kernel", "device", "said"),
    [
        ("cudnn", "cpu", "NVIDIA GPUs, and this is cpu"),
        ("splash", "TPU v3", "TPUs from v4 on, and this is TPU v3"),
        ("splash", "TPU v5 lite", None),
        ("pallas", "NVIDIA H200", "TPUs, and this is NVIDIA H200"),
        ("pallas", "TPU v3", None),
        ("cudnn", "NVIDIA H200", None),
        ("flash", "cpu", "must be auto, xla, cudnn, pallas, splash"),
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
@pytest.mark.parametrize("machine", ["v3-8", "v5e-8"])
def test_the_longest_rows_that_a_kernel_takes_compile(machine: str) -> None:
    pytest.importorskip("libtpu", reason="libtpu is not installed (extra [plan])")
    mesh = make_mesh(Mesh(), topology_devices(machine_named(machine)))
    rows = NamedSharding(mesh, PartitionSpec("data"))
    with jax.set_mesh(mesh):
        longest = max(length for length in LENGTHS if not refusal(length, 12, 64))
        assert longest == (1024 if machine == "v3-8" else 2048)
        heads = jax.ShapeDtypeStruct((mesh.size, longest, 12, 64), jnp.bfloat16, sharding=rows)
        segments = jax.ShapeDtypeStruct((mesh.size, longest), jnp.int32, sharding=rows)

        def total(q: jax.Array, k: jax.Array, v: jax.Array, segments: jax.Array) -> jax.Array:
            mixed = attention(
                q, k, v, segments=segments, implementation="pallas", dropout_rate=0.1, dropout_key=jax.random.key(0)
            )
            return mixed.astype(jnp.float32).sum()

        assert jax.jit(jax.grad(total, (0, 1, 2))).lower(heads, heads, heads, segments).compile()


@pytest.mark.slow
@pytest.mark.parametrize("mesh", [{}, {"mesh": {"data": 2, "fsdp": 2, "tensor": 2}}])
@pytest.mark.parametrize(("kernel", "machine"), [("splash", "v5e-8"), ("pallas", "v3-8"), ("pallas", "v6e-8")])
def test_kernels_compile_for_tpus(pairs_folder: Path, kernel: str, machine: str, mesh: dict) -> None:
    pytest.importorskip("libtpu", reason="libtpu is not installed (extra [plan])")
    header = dataclasses.replace(read_header(pairs_folder), length=512)
    model = {"max_position_embeddings": 512, "hidden_size": 256, "num_attention_heads": 4}
    recipe = changed(TINY, compute_dtype="bfloat16", attention=kernel, model=model, **mesh)
    assert "tpu_custom_call" in compile_step(recipe, header, topology_devices(machine_named(machine))).program
