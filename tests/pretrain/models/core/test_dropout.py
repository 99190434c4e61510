"""Dropout keeps the configured share, with the bits of the key's own generator."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pretrain.models.core.dropout import dropout, dropout_words

ROWS, WIDTH = 512, 257
"""An odd width: the last word of random bits serves one input only."""


@pytest.mark.parametrize("implementation", ["threefry2x32", "rbg"])
@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_dropout_zeroes_its_share_and_scales_the_rest(rate: float, implementation: str) -> None:
    inputs = jnp.full((ROWS, WIDTH), 3.0)
    outputs = np.asarray(dropout(inputs, rate, jax.random.key(0, impl=implementation)))
    assert np.unique(outputs).tolist() == pytest.approx([0, 3 / (1 - rate)], rel=2e-5)
    kept = outputs != 0
    deviation = math.sqrt(rate * (1 - rate) / kept.size)
    assert abs(kept.mean() - (1 - rate)) < 4 * deviation
    # The two halves of a word are the inputs i and i + 129: neither they nor neighbours know of each other.
    for distance in (1, (WIDTH + 1) // 2):
        together = (kept[:, distance:] & kept[:, :-distance]).mean()
        assert abs(together - (1 - rate) ** 2) < 8 * deviation


def test_dropout_needs_a_key_and_a_rate() -> None:
    inputs = jnp.ones((2, 3))
    assert dropout(inputs, 0.5, None) is inputs
    assert dropout(inputs, 0.0, jax.random.key(0)) is inputs


def test_dropped_inputs_get_no_gradient_and_the_others_the_scale() -> None:
    inputs, key = jnp.arange(1.0, 9.0).reshape(2, 4), jax.random.key(1)
    outputs, pull_back = jax.vjp(lambda inputs: dropout(inputs, 0.5, key), inputs)
    [gradient] = pull_back(jnp.ones_like(outputs))
    assert np.asarray(gradient * inputs).tolist() == np.asarray(outputs).tolist()


@pytest.mark.parametrize("implementation", ["threefry2x32", "rbg"])
@pytest.mark.parametrize("shape", [(1, 1), (6, 3, 10), (4, 2, 5, 7)], ids=str)
def test_the_words_are_those_that_jax_draws(implementation: str, shape: tuple[int, ...]) -> None:
    """Bit for bit: runs of older code drew them so."""
    key = jax.random.key(7, impl=implementation)
    drawn = (*shape[:-1], (shape[-1] + 1) // 2)
    np.testing.assert_array_equal(dropout_words(key, shape), jax.random.bits(key, drawn, jnp.uint32))
    if shape[0] > 1:
        keys = jax.random.split(key, 2)
        of_one = (drawn[0] // 2, *drawn[1:])
        expected = jax.vmap(lambda key: jax.random.bits(key, of_one, jnp.uint32))(keys).reshape(drawn)
        np.testing.assert_array_equal(dropout_words(keys, shape), expected)
