"""The switches that make AdamW and its schedule those of google-research/bert, step by step beside its formulas in NumPy."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_run import changed

from pretrain.models.core.layers import Parameters
from pretrain.models.parameter_rules import ParameterRule
from pretrain.optimization.optimizer import make_optimizer
from pretrain.recipe import TrainingRecipe

RULES = (ParameterRule("kernel", "matrix"), ParameterRule("bias", "bias"))
STEPS, WARMUP, PEAK, DECAY = 12, 4, 0.05, 0.01
GOOGLES = {"decay_from": "start", "bias_correction": False}
Arrays = dict[str, np.ndarray]


def gradients() -> Iterator[Arrays]:
    """A different one each step, of sizes on both sides of the clipping."""
    random = np.random.default_rng(1)
    for step in range(STEPS):
        yield {"kernel": random.normal(0, 0.1 + step % 3, (3, 4)), "bias": random.normal(0, 0.1, 4)}


def first_parameters() -> Arrays:
    random = np.random.default_rng(0)
    return {"kernel": random.normal(size=(3, 4)), "bias": random.normal(size=4)}


def googles() -> Iterator[Arrays]:
    """AdamWeightDecayOptimizer.apply_gradients behind clip_by_global_norm, in float64."""
    params = first_parameters()
    first, second = ({name: np.zeros_like(value) for name, value in params.items()} for _ in range(2))
    for step, raw in enumerate(gradients()):
        norm = np.sqrt(sum((gradient**2).sum() for gradient in raw.values()))
        rate = PEAK * step / WARMUP if step < WARMUP else PEAK * (1 - step / STEPS)
        for name, param in params.items():
            gradient = raw[name] / max(1.0, norm)
            first[name] = 0.9 * first[name] + 0.1 * gradient
            second[name] = 0.999 * second[name] + 0.001 * gradient**2
            update = first[name] / (np.sqrt(second[name]) + 1e-6)
            if name != "bias":
                update = update + DECAY * param
            params[name] = param - rate * update
        yield dict(params)


def ours(tiny: TrainingRecipe, **switches: object) -> Iterator[Arrays]:
    settings = {"learning_rate": PEAK, "warmup_steps": WARMUP, "weight_decay": DECAY, "clip_norm": 1.0, **switches}
    optimizer = make_optimizer(changed(tiny, max_steps=STEPS, optimizer=settings), RULES)
    params: Parameters = jax.tree.map(jnp.float32, first_parameters())
    state = optimizer.init(params)
    for raw in gradients():
        updates, state = optimizer.update(jax.tree.map(jnp.float32, raw), state, params)
        params = jax.tree.map(jnp.add, params, updates)
        yield jax.tree.map(np.asarray, params)


def test_with_both_switches_every_step_is_googles(tiny: TrainingRecipe) -> None:
    for step, (found, expected) in enumerate(zip(ours(tiny, **GOOGLES), googles(), strict=True)):
        for name, value in expected.items():
            np.testing.assert_allclose(found[name], value, rtol=2e-5, atol=1e-6, err_msg=f"step {step}: {name}")


@pytest.mark.parametrize("switch", GOOGLES)
def test_each_switch_alone_makes_another_run(switch: str, tiny: TrainingRecipe) -> None:
    *_, found = ours(tiny, **{switch: GOOGLES[switch]})
    *_, googles_last = googles()
    *_, default = ours(tiny)
    assert np.abs(found["kernel"] - googles_last["kernel"]).max() > 1e-3
    assert np.abs(found["kernel"] - default["kernel"]).max() > 1e-3


@pytest.mark.parametrize("name", ["adamw", "lamb", "muon"])
def test_the_first_update_without_bias_correction_is_the_formula_for_every_adam(
    name: str, tiny: TrainingRecipe
) -> None:
    """(1 - beta1) g / (sqrt((1 - beta2) g^2) + epsilon), 3.16 times the corrected one; muon's Adam has the bias only."""
    params, gradient = jax.tree.map(jnp.float32, (first_parameters(), next(gradients())))
    found = {}
    for corrected in (True, False):
        settings = {
            "name": name,
            "warmup_steps": 0,
            "clip_norm": 0.0,
            "weight_decay": 0.0,
            "bias_correction": corrected,
        }
        optimizer = make_optimizer(changed(tiny, optimizer={**settings, "learning_rate": 1.0}), RULES)
        found[corrected] = optimizer.update(gradient, optimizer.init(params), params)[0]["bias"]
    np.testing.assert_allclose(found[False], -0.1 / np.sqrt(0.001) * np.sign(gradient["bias"]), rtol=1e-2)
    np.testing.assert_allclose(found[True], -np.sign(gradient["bias"]), rtol=1e-2)


def test_a_bfloat16_moment_is_rounded_when_it_is_kept_and_not_before(tiny: TrainingRecipe) -> None:
    updates = {}
    for dtype in ("float32", "bfloat16"):
        settings = {"warmup_steps": 0, "bias_correction": False, "moment_dtype": dtype}
        optimizer = make_optimizer(changed(tiny, optimizer=settings), RULES)
        params, gradient = jax.tree.map(jnp.float32, (first_parameters(), next(gradients())))
        state = optimizer.init(params)
        updates[dtype], after = optimizer.update(gradient, state, params)
        assert jax.tree.map(lambda leaf: leaf.dtype, after) == jax.tree.map(lambda leaf: leaf.dtype, state)
    np.testing.assert_array_equal(updates["bfloat16"]["kernel"], updates["float32"]["kernel"])
