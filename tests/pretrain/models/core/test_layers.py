"""gelu is the exact one in every type, sums are float32."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pretrain.models.core.layers import embed, erf_in_elementary_operations, gelu, layer_norm, linear
from pretrain.models.core.vocabulary import table_logits


@pytest.mark.parametrize(("dtype", "precision"), [(jnp.float32, 1e-6), (jnp.bfloat16, 2**-8)])
def test_gelu_is_x_times_the_normal_distribution(dtype: jnp.dtype, precision: float) -> None:
    inputs = jnp.linspace(-4, 4, 201).astype(dtype)
    exact = [x * 0.5 * math.erfc(-x / math.sqrt(2)) for x in np.asarray(inputs, np.float64)]
    outputs = gelu(inputs)
    assert outputs.dtype == dtype
    np.testing.assert_allclose(np.asarray(outputs, np.float64), exact, rtol=precision, atol=1e-6)


def test_gelu_without_an_erf_of_xlas_is_the_same_gelu() -> None:
    inputs = jnp.linspace(-8, 8, 2001)
    with erf_in_elementary_operations():
        assert "erf" not in str(jax.make_jaxpr(lambda x: gelu(x))(inputs))
        np.testing.assert_allclose(gelu(inputs), jax.nn.gelu(inputs, approximate=False), atol=4e-6)
    assert "erf" in str(jax.make_jaxpr(lambda x: gelu(x))(inputs))


def test_the_gradient_of_a_bias_is_a_float32_sum_over_all_rows() -> None:
    rows = 2**14
    random = np.random.default_rng(0)
    inputs, gradient = (jnp.asarray(random.standard_normal((rows, 8)), jnp.bfloat16) for _ in range(2))
    params = {"kernel": jnp.asarray(random.standard_normal((8, 8)), jnp.float32), "bias": jnp.zeros(8)}
    _, pull_back = jax.vjp(lambda params: linear(params, inputs, jnp.bfloat16), params)
    [gradients] = pull_back(gradient)
    exact = np.asarray(gradient, np.float64).sum(axis=0)
    np.testing.assert_allclose(gradients["bias"], exact, rtol=1e-5, atol=1e-3)


def test_what_is_normalised_together_is_added_in_float32() -> None:
    width = 256
    random = np.random.default_rng(1)
    one, other = (jnp.asarray(random.standard_normal((4, width)) + 100, jnp.bfloat16) for _ in range(2))
    params = {"scale": jnp.ones(width), "bias": jnp.zeros(width)}
    total = np.asarray(one, np.float64) + np.asarray(other, np.float64)
    expected = (total - total.mean(-1, keepdims=True)) / total.std(-1, keepdims=True)
    found = layer_norm(params, one, other, epsilon=1e-12, dtype=jnp.float32)
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_the_gradients_of_table_logits_are_those_of_the_product(dtype: jnp.dtype) -> None:
    random = np.random.default_rng(2)
    hidden, table = (
        jnp.asarray(random.standard_normal((3, 5, 8)), dtype),
        jnp.asarray(random.standard_normal((40, 8)), dtype),
    )
    bias, gradient = (jnp.asarray(random.standard_normal(shape), jnp.float32) for shape in ((40,), (3, 5, 40)))
    logits, pull_back = jax.vjp(table_logits, hidden, table, bias)
    wide = [np.asarray(array, np.float64) for array in (hidden, table, bias, gradient)]
    np.testing.assert_allclose(logits, wide[0] @ wide[1].T + wide[2], rtol=1e-5, atol=1e-5)
    expected = (
        np.einsum("bkv,vh->bkh", wide[3], wide[1]),
        np.einsum("bkv,bkh->vh", wide[3], wide[0]),
        wide[3].sum((0, 1)),
    )
    for one, other in zip(pull_back(gradient), expected, strict=True):
        np.testing.assert_allclose(
            one.astype(jnp.float32),
            other,
            **({"rtol": 1e-5, "atol": 1e-5} if dtype == jnp.float32 else {"rtol": 0.02, "atol": 0.05}),
        )


def test_lookups_of_a_row_without_gradient_send_it_none() -> None:
    """As padding_idx of torch.nn.Embedding: the value is looked up, and the other rows' gradients are as ever."""
    table = jax.random.normal(jax.random.key(0), (7, 3))
    ids = jnp.array([[1, 4, 1, 6], [0, 1, 4, 4]])
    weights = jax.random.normal(jax.random.key(1), (*ids.shape, 3))

    def gradient(without: int | None) -> jax.Array:
        return jax.grad(lambda table: (embed({"embedding": table}, ids, without_gradient=without) * weights).sum())(
            table
        )

    np.testing.assert_array_equal(embed({"embedding": table}, ids, without_gradient=1), table[ids])
    np.testing.assert_array_equal(gradient(1), gradient(None).at[1].set(0))
    assert gradient(None)[1].any()
