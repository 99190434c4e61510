"""What a GPT-2 sees, how it is drawn, and that neither devices nor recomputation change it."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from data_pipeline.contract.errors import InputError
from pretrain.devices.sharding import make_mesh, parameter_shardings
from pretrain.models.gpt2.config import GPT2Config
from pretrain.models.gpt2.family import rules
from pretrain.models.gpt2.model import GPT2, HEADS
from pretrain.models.parameter_rules import checked_rule
from pretrain.models.protocols import Compute, Inputs
from pretrain.recipe import Mesh

TINY = GPT2Config(n_layer=2, n_embd=16, n_head=2, n_positions=12, embd_pdrop=0.1, resid_pdrop=0.1, attn_pdrop=0.1)
VOCAB, LENGTH = 150, 12


def tiny(config: GPT2Config = TINY, **choices: Any) -> GPT2:
    return GPT2(config, VOCAB, HEADS, Compute(**choices))


@functools.cache
def drawn() -> Any:
    """Parameters, large enough for attention to look somewhere; numpy arrays, also where a trace asks first."""
    with jax.ensure_compile_time_eval():
        params = jax.device_get(tiny().init(jax.random.key(0)))
    scale = {"bias": lambda leaf: leaf + 0.1, "scale": lambda leaf: leaf}
    return jax.tree.map_with_path(lambda path, leaf: scale.get(path[-1].key, lambda leaf: 8 * leaf)(leaf), params)


def batch(rows: int = 2) -> Inputs:
    ids = jnp.asarray(np.random.default_rng(0).integers(1, VOCAB, (rows, LENGTH)), jnp.int32)
    places = jnp.broadcast_to(jnp.arange(LENGTH), ids.shape)
    return Inputs(ids, jnp.ones_like(ids), places, jnp.zeros_like(ids))


def test_a_position_sees_itself_and_what_is_before_it() -> None:
    encode = jax.jit(lambda tokens: tiny().encode(drawn(), batch()._replace(tokens=tokens)))
    tokens = batch().tokens
    changed = abs(encode(tokens) - encode(tokens.at[:, 5].set(7))).max((0, 2))
    assert (changed[:5] == 0).all()
    assert (changed[5:] > 1e-3).all()


def test_the_kernels_into_the_residual_sum_are_drawn_smaller_by_the_root_of_their_number() -> None:
    config = GPT2Config(n_layer=8, n_embd=64, n_head=2, n_positions=64)
    layers = tiny(config).init(jax.random.key(1))["transformer"]["h"]
    for block, name, deviation in (
        ("attn", "c_proj", 0.005),
        ("mlp", "c_proj", 0.005),
        ("mlp", "c_fc", 0.02),
    ):
        assert float(layers[block][name]["kernel"].std()) == pytest.approx(deviation, rel=0.03)
    assert float(layers["attn"]["c_attn"]["value"]["kernel"].std()) == pytest.approx(0.02, rel=0.03)


@functools.cache
def value_and_gradients(**choices: Any) -> tuple[jax.Array, Any]:
    """A weighted sum of logits with dropout on, and its gradients."""
    model, key = tiny(**choices), jax.random.key(7)
    weights = jax.random.normal(jax.random.key(8), (2, LENGTH, VOCAB))

    def total(params: Any) -> jax.Array:
        logits = model.next_token_logits(params, model.encode(params, batch(), dropout_key=key))
        return (weights * logits[..., :VOCAB]).sum()

    return jax.jit(jax.value_and_grad(total))(drawn())


@pytest.mark.parametrize(("remat", "scan_unroll"), [("none", 2), ("full", 2), ("dots", 1), ("attention", 1)])
def test_remat_and_unrolling_never_change_the_result(remat: str, scan_unroll: int) -> None:
    expected, expected_gradients = value_and_gradients()
    value, gradients = value_and_gradients(remat=remat, scan_unroll=scan_unroll)
    np.testing.assert_allclose(value, expected, rtol=1e-4)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3), gradients, expected_gradients)


def test_each_dropout_drops() -> None:
    off = {"embd_pdrop": 0.0, "resid_pdrop": 0.0, "attn_pdrop": 0.0}
    silent = tiny().encode(drawn(), batch())
    for field in off:
        model = tiny(GPT2Config(**(vars(TINY) | off | {field: 0.3})))
        assert model.config.has_dropout()
        assert abs(model.encode(drawn(), batch(), dropout_key=jax.random.key(1)) - silent).max() > 0.01
    model = tiny(GPT2Config(**(vars(TINY) | off)))
    np.testing.assert_array_equal(model.encode(drawn(), batch(), dropout_key=jax.random.key(1)), silent)


def test_bfloat16_stays_near_float32() -> None:
    def logits(**choices: Any) -> jax.Array:
        model = tiny(**choices)
        return model.next_token_logits(drawn(), model.encode(drawn(), batch()))[..., :VOCAB]

    narrow, wide = logits(compute_dtype="bfloat16"), logits()
    assert narrow.dtype == jnp.float32
    assert 0 < float(jnp.sqrt(jnp.square(narrow - wide).mean()) / wide.std()) < 0.03


def test_every_parameter_has_its_row_and_can_be_split_over_four_devices() -> None:
    table = rules(TINY, HEADS)
    used = set()
    shapes = jax.eval_shape(GPT2(GPT2Config(), 42_000, HEADS, Compute()).init, jax.random.key(0))
    for path, leaf in jax.tree.leaves_with_path(shapes):
        rule = checked_rule("/".join(key.key for key in path), leaf.shape, table)
        used.add(rule)
        assert rule.stacked == (path[1].key == "h")
        for size, axis in zip(leaf.shape[rule.stacked :], rule.axes, strict=False):
            assert axis is None or size % 4 == 0, path
    assert used == set(table)


def test_devices_change_nothing_and_rows_stay_split() -> None:
    model, inputs = tiny(), batch(rows=4)
    expected = jax.jit(model.encode)(drawn(), inputs)
    mesh = make_mesh(Mesh(data=2, fsdp=2, tensor=2))
    params = jax.device_put(drawn(), parameter_shardings(drawn(), rules(TINY, HEADS), mesh))
    rows = NamedSharding(mesh, PartitionSpec(("data", "fsdp")))
    with jax.set_mesh(mesh):
        hidden = jax.jit(model.encode)(params, jax.device_put(inputs, rows))
    assert hidden.sharding.is_equivalent_to(rows, hidden.ndim)
    np.testing.assert_allclose(hidden, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("config", "choices", "named"),
    [
        (
            GPT2Config(n_embd=100, n_head=12),
            {},
            "--training.model.n-embd 100: must be a multiple of --training.model.n-head 12",
        ),
        (GPT2Config(vocab_size=99), {}, "--training.model.vocab-size 99: the vocabulary has"),
        (TINY, {"remat": "some"}, "remat"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(config: GPT2Config, choices: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError, match=named):
        tiny(config, **choices)


def test_a_kernel_that_is_not_causal_is_refused() -> None:
    with pytest.raises(InputError, match="attention kernel pallas: has no causal attention"):
        tiny(attention="pallas").encode(drawn(), batch())
