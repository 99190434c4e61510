"""The attention seam against a plain loop over positions."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from data_pipeline.contract.errors import InputError
from pretrain.models.core import attention as module

attention = jax.jit(module.attention, static_argnames=("causal", "window", "implementation", "dropout_rate"))
B, L, N, D = 2, 7, 2, 4
SEGMENTS = jnp.asarray([[1, 1, 1, 2, 2, 2, 0], [1, 1, 1, 1, 1, 0, 0]])
KEY_SEGMENTS = jnp.asarray([[1, 2, 2, 0], [0, 1, 1, 1]])
K = KEY_SEGMENTS.shape[1]


def arrays() -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    keys = jax.random.split(jax.random.key(0), 4)
    q, k, v = (jax.random.normal(key, (B, L, N, D)) for key in keys[:3])
    return q, k, v, jax.random.normal(keys[3], (N, L, L))


def by_hand(causal: bool, window: int | None, bias: np.ndarray | None) -> np.ndarray:
    q, k, v, _ = (np.asarray(array, np.float64) for array in arrays())
    out = np.zeros((B, L, N, D))
    for b, i, n in np.ndindex(B, L, N):
        seen = [
            j
            for j in range(L)
            if SEGMENTS[b, i] == SEGMENTS[b, j] and (not causal or j <= i) and (window is None or abs(i - j) <= window)
        ]
        scores = np.array([q[b, i, n] @ k[b, j, n] / 2 + (0 if bias is None else bias[n, i, j]) for j in seen])
        weights = np.exp(scores) / np.exp(scores).sum()
        out[b, i, n] = sum(weight * v[b, j, n] for weight, j in zip(weights, seen, strict=True))
    return out


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("window", [None, 1])
@pytest.mark.parametrize("biased", [False, True])
def test_attention_equals_a_loop_over_what_each_position_sees(causal: bool, window: int | None, biased: bool) -> None:
    q, k, v, bias = arrays()
    with jax.default_matmul_precision("highest"):
        out = attention(q, k, v, segments=SEGMENTS, causal=causal, window=window, bias=bias if biased else None)
    np.testing.assert_allclose(out, by_hand(causal, window, np.asarray(bias) if biased else None), atol=1e-5)


@pytest.mark.parametrize("key_segments", [None, KEY_SEGMENTS])
def test_values_and_gradients_equal_those_of_plain_softmax(key_segments: jax.Array | None) -> None:
    q, k, v, bias = arrays()
    if key_segments is not None:
        k, v, bias = k[:, :K], v[:, :K], bias[..., :K]

    def plain(q: jax.Array, k: jax.Array, v: jax.Array, bias: jax.Array) -> jax.Array:
        scores = jnp.einsum("bqnd,bknd->bnqk", q, k) / 2 + bias
        of_keys = SEGMENTS if key_segments is None else key_segments
        seen = SEGMENTS[:, None, :, None] == of_keys[:, None, None, :]
        return jnp.einsum("bnqk,bknd->bqnd", jax.nn.softmax(jnp.where(seen, scores, -jnp.inf)), v)

    def ours(q: jax.Array, k: jax.Array, v: jax.Array, bias: jax.Array) -> jax.Array:
        return attention(q, k, v, segments=SEGMENTS, key_segments=key_segments, bias=bias)

    def value_and_gradients(attend: Callable[..., jax.Array]) -> tuple[jax.Array, tuple[jax.Array, ...]]:
        def total(*inputs: jax.Array) -> tuple[jax.Array, jax.Array]:
            mixed = attend(*inputs)
            return jnp.sin(3 * mixed).sum(), mixed

        gradients, mixed = jax.jit(jax.grad(total, argnums=(0, 1, 2, 3), has_aux=True))(q, k, v, bias)
        return mixed, gradients

    with jax.default_matmul_precision("highest"):
        expected, found = value_and_gradients(plain), value_and_gradients(ours)
    for one, other in zip(jax.tree.leaves(expected), jax.tree.leaves(found), strict=True):
        assert abs(one).max() > 0.01
        np.testing.assert_allclose(one, other, atol=2e-5)


def test_key_segments_equal_to_the_segments_change_nothing() -> None:
    q, k, v, bias = arrays()
    for options in ({}, {"causal": True, "window": 1, "bias": bias}):
        given = attention(q, k, v, segments=SEGMENTS, key_segments=SEGMENTS, **options)
        np.testing.assert_array_equal(given, attention(q, k, v, segments=SEGMENTS, **options))


def test_a_query_that_sees_no_key_disturbs_no_other() -> None:
    """As padding of a target does where its source has none."""
    q, k, v, _ = arrays()
    segments = jnp.where(jnp.arange(L) < 4, 1, 0)[None].repeat(B, axis=0)

    def total(k: jax.Array, v: jax.Array, queries: int) -> jax.Array:
        keys = jnp.ones((B, K), int)
        mixed = attention(q[:, :queries], k, v, segments=segments[:, :queries], key_segments=keys)
        return jnp.where(segments[:, :queries, None, None] == 1, mixed, 0).sum()

    with_padding, without = (
        jax.value_and_grad(total, argnums=(0, 1))(k[:, :K], v[:, :K], queries) for queries in (L, 4)
    )
    for one, other in zip(jax.tree.leaves(with_padding), jax.tree.leaves(without), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("option", [{"causal": True}, {"window": 1}])
def test_positions_of_other_keys_are_not_compared(option: dict) -> None:
    q, k, v, _ = arrays()
    with pytest.raises(
        InputError, match="causal and window compare positions, which 7 queries and 4 keys do not share"
    ):
        attention(q, k[:, :K], v[:, :K], segments=SEGMENTS, key_segments=KEY_SEGMENTS, **option)


def test_a_masked_key_has_no_influence_at_all() -> None:
    q, k, v, _ = arrays()
    changed = attention(q, k.at[:, 6].set(1e4), v.at[:, 6].set(1e4), segments=SEGMENTS)
    np.testing.assert_array_equal(changed[:, :5], attention(q, k, v, segments=SEGMENTS)[:, :5])


def test_dropout_keeps_the_expected_output_and_needs_a_key() -> None:
    q, k, v, _ = arrays()
    still = attention(q, k, v, segments=SEGMENTS, dropout_rate=0.5)
    np.testing.assert_array_equal(still, attention(q, k, v, segments=SEGMENTS))

    copies = 1000
    rows = [jnp.tile(array, (copies, 1, 1, 1)) for array in (q, k, v)]
    segments = jnp.tile(SEGMENTS, (copies, 1))
    drawn = attention(*rows, segments=segments, dropout_rate=0.5, dropout_key=jax.random.key(0))
    drawn = drawn.reshape(copies, B, L, N, D)
    assert drawn.std(axis=0).min() > 0.01
    np.testing.assert_allclose(drawn.mean(axis=0), still, atol=0.2)


def test_bfloat16_inputs_give_bfloat16_outputs_near_float32() -> None:
    q, k, v, _ = arrays()
    out = attention(*(array.astype(jnp.bfloat16) for array in (q, k, v)), segments=SEGMENTS)
    assert out.dtype == jnp.bfloat16
    np.testing.assert_allclose(out.astype(jnp.float32), attention(q, k, v, segments=SEGMENTS), atol=0.05)


def test_an_unknown_implementation_is_named() -> None:
    q, k, v, _ = arrays()
    with pytest.raises(InputError, match="attention kernel flash: must be one of auto, xla"):
        attention(q, k, v, segments=SEGMENTS, implementation="flash")
