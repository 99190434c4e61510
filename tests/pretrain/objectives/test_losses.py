"""The gathered loss is the loss of the whole row at the predicted positions, in float32."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from pretrain.objectives import losses as masked_lm
from pretrain.objectives.losses import gather_positions
from pretrain.objectives.masked_lm import sentence_pairs as sentence_pair

B, L, K, H, V = 8, 16, 5, 12, 50

masked_lm_sums = jax.jit(masked_lm.masked_lm_sums)
next_sentence_sums = jax.jit(sentence_pair.next_sentence_sums)


def normal(generator: np.random.Generator, *shape: int) -> np.ndarray:
    return generator.standard_normal(shape).astype(np.float32)


def example(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """hidden [B, L, H], positions, labels and weights [B, K] with empty slots."""
    generator = np.random.default_rng(seed)
    hidden = normal(generator, B, L, H)
    positions = np.sort(np.stack([generator.permutation(L)[:K] for _ in range(B)]), axis=1)
    weights = (np.arange(K) < generator.integers(0, K + 1, B)[:, None]).astype(np.float32)
    labels = np.where(weights > 0, generator.integers(0, V, (B, K)), 0)
    return hidden, np.where(weights > 0, positions, 0), labels, weights


def test_sums_equal_optax_and_plain_numpy() -> None:
    _, _, labels, weights = example()
    logits = 5 * normal(np.random.default_rng(0), B, K, V)
    sums = masked_lm_sums(logits, labels, weights)

    losses = jax.jit(optax.softmax_cross_entropy_with_integer_labels)(logits, labels)
    np.testing.assert_allclose(sums["loss_sum"], jnp.sum(losses * weights), rtol=1e-6)
    exact = np.asarray(logits, np.float64)
    picked = np.take_along_axis(exact, np.asarray(labels)[..., None], -1)[..., 0]
    expected = ((np.log(np.exp(exact).sum(-1)) - picked) * np.asarray(weights)).sum()
    np.testing.assert_allclose(sums["loss_sum"], expected, rtol=1e-6)
    assert float(sums["weight_sum"]) == np.asarray(weights).sum()


def test_correct_counts_only_weighted_right_answers() -> None:
    logits = jnp.array([[[0.0, 2.0, 1.0], [3.0, 0.0, 0.0], [0.0, 0.0, 9.0], [1.0, 1.0, 0.0]]])
    labels = jnp.array([[1, 2, 2, 1]])
    weights = jnp.array([[1.0, 1.0, 0.0, 1.0]])
    sums = masked_lm_sums(logits, labels, weights)
    # The last label shares the largest logit: the most that can be said without an index.
    assert (float(sums["correct_sum"]), float(sums["weight_sum"])) == (2.0, 3.0)


def test_gradients_are_those_of_the_softmax_and_accuracy_has_none() -> None:
    _, _, labels, weights = example()
    logits = 5 * normal(np.random.default_rng(3), B, K, V)
    gradient = jax.grad(lambda logits: sum(masked_lm_sums(logits, labels, weights).values()))(logits)
    softmax = np.exp(logits - logits.max(-1, keepdims=True))
    softmax /= softmax.sum(-1, keepdims=True)
    np.testing.assert_allclose(gradient, weights[..., None] * (softmax - np.eye(V)[labels]), atol=1e-6)


def test_bfloat16_logits_are_reduced_in_float32() -> None:
    logits = (30 * normal(np.random.default_rng(1), B, K, V)).astype(jnp.bfloat16)
    _, _, labels, weights = example()
    sums = masked_lm_sums(logits, labels, weights)
    reference = masked_lm_sums(logits.astype(np.float32), labels, weights)
    assert {value.dtype for value in sums.values()} == {jnp.dtype("float32")}
    assert sums["loss_sum"] == reference["loss_sum"]


def test_large_logits_do_not_overflow() -> None:
    logits = jnp.array([[[1e4, 0.0], [-1e4, 0.0]]])
    sums = masked_lm_sums(logits, jnp.array([[0, 0]]), jnp.ones((1, 2)))
    np.testing.assert_allclose(sums["loss_sum"], 1e4)


def test_gathered_loss_and_gradients_equal_those_of_the_whole_row() -> None:
    hidden, positions, labels, weights = example(1)
    kernel = normal(np.random.default_rng(2), H, V)

    def gathered(hidden: jax.Array, kernel: jax.Array) -> jax.Array:
        return masked_lm_sums(gather_positions(hidden, jnp.asarray(positions)) @ kernel, labels, weights)["loss_sum"]

    filled = np.nonzero(weights)
    at = filled[0], positions[filled]
    full_labels, full_weights = np.zeros((B, L), int), np.zeros((B, L), np.float32)
    full_labels[at], full_weights[at] = labels[filled], weights[filled]

    def whole(hidden: jax.Array, kernel: jax.Array) -> jax.Array:
        losses = -jnp.take_along_axis(jax.nn.log_softmax(hidden @ kernel), full_labels[..., None], -1)[..., 0]
        return jnp.sum(losses * full_weights)

    assert float(full_weights.sum()) == float(weights.sum()) > 0
    (loss, gradients), (expected, expected_gradients) = (
        jax.jit(jax.value_and_grad(function, argnums=(0, 1)))(hidden, kernel) for function in (gathered, whole)
    )
    np.testing.assert_allclose(loss, expected, rtol=1e-6)
    for gradient, expected_gradient in zip(gradients, expected_gradients, strict=True):
        np.testing.assert_allclose(gradient, expected_gradient, rtol=1e-5, atol=1e-5)


def test_gathering_needs_no_collective_forward_or_backward() -> None:
    hidden, positions, _, _ = example()
    mesh = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,))
    rows = NamedSharding(mesh, PartitionSpec("data"))

    def forward_and_backward(
        hidden: jax.Array, positions: jax.Array, cotangent: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        gathered, pull_back = jax.vjp(lambda hidden: gather_positions(hidden, positions), hidden)
        return gathered, pull_back(cotangent)[0]

    program = jax.jit(forward_and_backward, in_shardings=(rows,) * 3, out_shardings=rows)
    compiled = str(program.lower(hidden, positions, jnp.ones((B, K, H))).compile().as_text())
    assert "num_partitions=8" in compiled
    assert not re.findall(
        "all-gather|all-reduce|reduce-scatter|collective-permute|all-to-all|collective-broadcast", compiled
    )


def test_splitting_the_batch_does_not_change_the_sums() -> None:
    _, _, labels, weights = example()
    logits = normal(np.random.default_rng(3), B, K, V)
    whole = masked_lm_sums(logits, labels, weights)
    halves = [masked_lm_sums(logits[half], labels[half], weights[half]) for half in (slice(0, 4), slice(4, 8))]
    for name, value in whole.items():
        np.testing.assert_allclose(value, halves[0][name] + halves[1][name], rtol=1e-6)


def test_next_sentence_sums_read_the_first_logit_as_b_follows_a() -> None:
    logits = np.random.default_rng(0).standard_normal((6, 2)).astype(np.float32)
    label = np.array([0, 1, 1, 0, 0, 1], np.uint8)
    sums = next_sentence_sums(logits, label)
    wrong, right = np.where(label == 0, logits.T[::-1], logits.T)
    np.testing.assert_allclose(sums["loss_sum"], np.log1p(np.exp(wrong - right)).sum(), rtol=1e-6)
    assert float(sums["correct_sum"]) == (right > wrong).sum()
    assert float(sums["weight_sum"]) == 6


def test_rows_that_only_fill_a_batch_do_not_count_as_pairs() -> None:
    logits, label = jnp.array([[2.0, 0.0], [0.0, 2.0], [5.0, 5.0]]), jnp.array([0, 1, 0], jnp.uint8)
    filled = next_sentence_sums(logits, label, jnp.array([1.0, 1.0, 0.0]))
    alone = next_sentence_sums(logits[:2], label[:2])
    for name, value in alone.items():
        np.testing.assert_allclose(filled[name], value, rtol=1e-6)
