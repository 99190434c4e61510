"""The loss a chunk at a time is the loss, and no more than a chunk's scores ever exist."""

import math
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pretrain.objectives.chunked_loss import next_token_sums

ROWS, LENGTH, WIDTH, VOCAB, PADDED = 4, 22, 16, 200, 256
RANDOM = np.random.default_rng(0)
HIDDEN = jnp.asarray(RANDOM.normal(0, 1, (ROWS, LENGTH, WIDTH)), jnp.float32)
TABLE = jnp.asarray(RANDOM.normal(0, 0.5, (PADDED, WIDTH)), jnp.float32)
LABELS = jnp.asarray(RANDOM.integers(0, VOCAB, (ROWS, LENGTH)), jnp.int32)
WEIGHTS = jnp.asarray(RANDOM.random((ROWS, LENGTH)) < 0.8, jnp.float32)
FACTOR = 0.37


def chunked(hidden: jax.Array, table: jax.Array, chunk: int) -> tuple[jax.Array, dict[str, jax.Array]]:
    sums = next_token_sums(hidden, table, LABELS, WEIGHTS, vocab_size=VOCAB, chunk=chunk)
    return FACTOR * sums["loss_sum"], sums


def plain(hidden: jax.Array, table: jax.Array) -> tuple[jax.Array, dict[str, Any]]:
    """By the definition, all scores at once."""
    scores = jnp.einsum("blh,vh->blv", hidden, table[:VOCAB])
    losses = -jnp.take_along_axis(jax.nn.log_softmax(scores), LABELS[..., None], -1)[..., 0]
    right = scores.argmax(-1) == LABELS
    sums = {
        "loss_sum": (losses * WEIGHTS).sum(),
        "correct_sum": (right * WEIGHTS).sum(),
        "weight_sum": WEIGHTS.sum(),
    }
    return FACTOR * sums["loss_sum"], sums


@pytest.mark.parametrize("chunk", [1, 5, 11, 16, 22, 512])
def test_chunks_change_neither_sums_nor_gradients(chunk: int) -> None:
    with jax.default_matmul_precision("highest"):
        (_, ours), gradients = jax.value_and_grad(chunked, (0, 1), has_aux=True)(HIDDEN, TABLE, chunk)
        (_, theirs), expected = jax.value_and_grad(plain, (0, 1), has_aux=True)(HIDDEN, TABLE)
        alone = chunked(HIDDEN, TABLE, chunk)[1]
    for name, value in theirs.items():
        np.testing.assert_allclose(ours[name], value, rtol=1e-5, err_msg=name)
        np.testing.assert_allclose(alone[name], value, rtol=1e-5, err_msg=name)
    for gradient, want in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(gradient, want, atol=1e-5)
    assert not gradients[1][VOCAB:].any()


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_bias_and_smoothed_labels_are_those_of_the_definition(smoothing: float) -> None:
    bias = jnp.asarray(RANDOM.normal(0, 1, PADDED), jnp.float32)

    def ours(hidden: jax.Array, table: jax.Array, bias: jax.Array) -> jax.Array:
        options: dict[str, Any] = {"vocab_size": VOCAB, "chunk": 5, "bias": bias, "label_smoothing": smoothing}
        return next_token_sums(hidden, table, LABELS, WEIGHTS, **options)["loss_sum"]

    def plain(hidden: jax.Array, table: jax.Array, bias: jax.Array) -> jax.Array:
        scores = jax.nn.log_softmax(jnp.einsum("blh,vh->blv", hidden, table[:VOCAB]) + bias[:VOCAB])
        of_label = jnp.take_along_axis(scores, LABELS[..., None], -1)[..., 0]
        return -(((1 - smoothing) * of_label + smoothing * scores.mean(-1)) * WEIGHTS).sum()

    with jax.default_matmul_precision("highest"):
        found = jax.value_and_grad(ours, (0, 1, 2))(HIDDEN, TABLE, bias)
        expected = jax.value_and_grad(plain, (0, 1, 2))(HIDDEN, TABLE, bias)
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-5)
    for gradient, want in zip(found[1], expected[1], strict=True):
        np.testing.assert_allclose(gradient, want, atol=1e-4)


def lowered(chunk: int, dtype: str = "float32") -> Any:
    def loss(hidden: jax.Array, table: jax.Array) -> jax.Array:
        return chunked(hidden.astype(dtype), table, chunk)[0]

    return jax.jit(jax.grad(loss, (0, 1))).lower(HIDDEN, TABLE)


def test_no_more_scores_exist_than_those_of_a_chunk() -> None:
    program = lowered(chunk=4).compile().as_text()
    sizes = [
        math.prod(map(int, shape.split(",")))
        for shape in re.findall(r"\[([\d,]+)\]", program)
        if PADDED in map(int, shape.split(","))
    ]
    assert max(sizes) == max(ROWS * 4 * PADDED, PADDED * WIDTH)
    assert max(sizes) < ROWS * LENGTH * VOCAB


def test_the_tables_gradient_adds_up_in_float32_and_products_are_narrow() -> None:
    program = lowered(chunk=4, dtype="bfloat16").as_text()
    additions = [
        line for line in program.splitlines() if "stablehlo.add" in line and f"tensor<{WIDTH}x{PADDED}x" in line
    ]
    assert additions
    assert all("xf32>" in line and "xbf16>" not in line for line in additions)
    products = [line for line in program.splitlines() if "stablehlo.dot_general" in line]
    assert len(products) == 3, "scores are computed once, and no product of them is made again for the gradients"
    assert all(line.count("xbf16>") >= 2 for line in products)


def test_bfloat16_gradients_stay_near_those_of_float32() -> None:
    def gradients(dtype: str) -> Any:
        return jax.grad(lambda h, t: chunked(h.astype(dtype), t, 4)[0], (0, 1))(HIDDEN, TABLE)

    for narrow, wide in zip(gradients("bfloat16"), gradients("float32"), strict=True):
        assert narrow.dtype == jnp.float32
        assert jnp.linalg.norm(narrow - wide) < 0.02 * jnp.linalg.norm(wide)
