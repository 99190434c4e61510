"""The head of KLUE-DST: the same as torch's modules put together as KLUE-baseline puts them, which scatters what it copies."""

import importlib.util
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pretrain.models.core.layers import Parameters, normal, parameters
from pretrain.models.core.slot_generator import STEPS, Dialogues, Generated, SlotGenerator, generate

WIDTH, VOCAB, PADDED = 6, 23, 128
NAMES = ((5, 6), (7,), (5, 8, 9))
LENGTHS = np.array([11, 4])
RANDOM = np.random.default_rng(0)
TOKENS = RANDOM.integers(5, 12, (2, 11)).astype(np.int32)
"""Of few kinds, so that what is copied is there more than once."""
REAL = np.arange(11) < LENGTHS[:, None]
HIDDEN = RANDOM.normal(0, 1, (2, 11, WIDTH)).astype(np.float32)
WANTED = np.array(
    [[[6, 22, 2], [9, 2, -1], [3, 2, -1]], [[2, -1, -1], [20, 6, 2], [12, 13, 14]]], np.int32
)  # of the dialogue, of the vocabulary alone, and behind the end
with_torch = pytest.mark.skipif(not importlib.util.find_spec("torch"), reason="torch is not installed")
WIDTHS = pytest.mark.parametrize("table_width", [WIDTH, 4])


class Arguments(NamedTuple):
    """What gradients are taken of."""

    params: Parameters
    table: Any
    hidden: Any


def arguments(table_width: int) -> Arguments:
    """None of the numbers is 0, but those of the padding of the table."""
    head = SlotGenerator(WIDTH, table_width, draw=normal(0.4), rngs=nnx.Rngs(params=jax.random.key(0)))
    random = np.random.default_rng(1)
    params = jax.tree.map(lambda leaf: random.normal(0, 0.7, leaf.shape).astype(np.float32), parameters(head))
    table = random.normal(0, 1, (PADDED, table_width)).astype(np.float32)
    table[VOCAB:] = 0
    return Arguments(params, table, HIDDEN)


def generated(given: Arguments, wanted: Any = None, **options: Any) -> Generated:
    dialogues = Dialogues(given.hidden, given.hidden[:, 0], jnp.asarray(TOKENS), jnp.asarray(REAL))
    with jax.default_matmul_precision("highest"):
        return generate(given.params, given.table, VOCAB, dialogues, NAMES, wanted, **options)


class InTorch:
    """The head as the baseline computes it, a loop over steps with distributions over the whole vocabulary."""

    def __init__(self, given: Arguments) -> None:
        import torch

        def leaf(array: Any) -> Any:
            return torch.tensor(np.asarray(array), requires_grad=True)

        self.params, self.hidden = jax.tree.map(leaf, given.params), leaf(given.hidden)
        self.table = leaf(given.table[:VOCAB])
        self.gru = torch.nn.GRU(given.table.shape[1], WIDTH, batch_first=True)
        for end, name in (("ih", "input"), ("hh", "recurrent")):
            part = given.params["gru"][name]
            getattr(self.gru, f"weight_{end}_l0").data = torch.tensor(part["kernel"].T.copy())
            getattr(self.gru, f"bias_{end}_l0").data = torch.tensor(part["bias"])

    def affine(self, name: str, inputs: Any) -> Any:
        return inputs @ self.params[name]["kernel"] + self.params[name]["bias"]

    def __call__(self, steps: int, teacher: Any = None) -> tuple[Any, Any]:
        """Scores of gates [B, J, 5] and probabilities [B, J, steps, V]."""
        import torch

        gates, found = [], []
        for row in range(len(TOKENS)):
            for slot, name in enumerate(NAMES):
                length = LENGTHS[row]
                encoded, tokens = self.hidden[row, :length], torch.tensor(TOKENS[row, :length]).long()
                state = torch.tanh(self.affine("pooler", encoded[0]))[None, None]
                read, probabilities = self.table[list(name)].sum(0), []
                for step in range(steps):
                    _, state = self.gru(read[None, None], state)
                    now = state[0, 0]
                    attended = torch.softmax(encoded @ now, 0)
                    context = attended @ encoded
                    if not step:
                        gates.append(self.affine("gate", context))
                    out = self.affine("to_table", now) if "to_table" in self.params else now
                    share = torch.sigmoid(self.affine("generates", torch.cat([read, now, context])))
                    copied = torch.zeros(VOCAB).scatter_add(0, tokens, attended)
                    mixture = share * torch.softmax(self.table @ out, 0) + (1 - share) * copied
                    probabilities.append(mixture)
                    following = int(mixture.argmax()) if teacher is None else max(int(teacher[row, slot, step]), 0)
                    read = self.table[following]
                found.append(torch.stack(probabilities))
        return torch.stack(gates).reshape(2, 3, 5), torch.stack(found).reshape(2, 3, steps, VOCAB)

    def gradients(self) -> Arguments:
        params: Any = jax.tree.map(lambda leaf: None if leaf.grad is None else leaf.grad.numpy(), self.params)
        for end, name in (("ih", "input"), ("hh", "recurrent")):
            weight, bias = getattr(self.gru, f"weight_{end}_l0"), getattr(self.gru, f"bias_{end}_l0")
            params["gru"][name] = {"kernel": weight.grad.numpy().T, "bias": bias.grad.numpy()}
        table = np.zeros((PADDED, self.table.shape[1]), np.float32)
        table[:VOCAB] = self.table.grad.numpy()
        return Arguments(params, table, self.hidden.grad.numpy())


@with_torch
@WIDTHS
@pytest.mark.parametrize("forced", [True, False])
def test_loss_and_gradients_are_torchs(table_width: int, forced: bool) -> None:
    given, gold = arguments(table_width), np.array([[2, 0, 1], [3, 4, 2]])
    theirs = InTorch(given)
    gates, probabilities = theirs(3, WANTED if forced else None)
    import torch

    wanted = torch.tensor(np.maximum(WANTED, 0)).long()
    losses = -torch.log(probabilities.gather(-1, wanted[..., None])[..., 0]) * torch.tensor(WANTED >= 0)
    of_gates = torch.nn.functional.cross_entropy(gates.reshape(-1, 5), torch.tensor(gold).reshape(-1))
    expected = losses.sum() / (WANTED >= 0).sum() + of_gates
    expected.backward()

    @jax.jit
    def loss(given: Arguments) -> jax.Array:
        found = generated(given, jnp.asarray(WANTED), teacher=jnp.full(2, forced))
        values = jnp.where(WANTED >= 0, found.losses, 0).sum() / (WANTED >= 0).sum()
        of_gates = jnp.take_along_axis(jax.nn.log_softmax(found.gates), gold[..., None], -1)
        return values - of_gates.mean()

    value, gradients = jax.value_and_grad(loss)(given)
    np.testing.assert_allclose(value, float(expected.detach()), rtol=1e-5)
    for (path, mine), (_, wanted_gradient) in zip(
        jax.tree.leaves_with_path(gradients), jax.tree.leaves_with_path(theirs.gradients()), strict=True
    ):
        assert np.abs(wanted_gradient).max() > 1e-3, path
        np.testing.assert_allclose(mine, wanted_gradient, atol=2e-5, err_msg=str(path))


@with_torch
@WIDTHS
def test_what_is_generated_is_torchs(table_width: int) -> None:
    given = arguments(table_width)
    gates, probabilities = InTorch(given)(STEPS)
    found = jax.jit(generated)(given)
    np.testing.assert_allclose(found.gates, gates.detach().numpy(), atol=1e-5)
    expected = probabilities.argmax(-1).numpy()
    np.testing.assert_array_equal(found.tokens, expected)
    copied = [set(TOKENS[row, : LENGTHS[row]]) & set(expected[row].ravel()) for row in range(2)]
    others = [set(expected[row].ravel()) - set(TOKENS[row]) for row in range(2)]
    assert any(copied), "some are of the dialogue"
    assert any(others), "and some are not"


def test_padding_changes_nothing_and_is_never_copied() -> None:
    given = arguments(WIDTH)
    found = jax.jit(generated)(given)
    hidden, tokens = (np.asarray(array[1:, : LENGTHS[1]]) for array in (HIDDEN, TOKENS))
    short = Dialogues(jnp.asarray(hidden), jnp.asarray(hidden[:, 0]), jnp.asarray(tokens), jnp.ones((1, 4), bool))
    with jax.default_matmul_precision("highest"):
        alone = generate(given.params, jnp.asarray(given.table), VOCAB, short, NAMES)
    np.testing.assert_array_equal(found.tokens[1:], alone.tokens)
    np.testing.assert_allclose(found.gates[1:], alone.gates, atol=1e-5)
    assert int(found.tokens.max()) < VOCAB


def test_a_token_without_probability_has_a_finite_loss_and_gradient() -> None:
    """A table that is sure of one token, and a dialogue that has not the wanted one."""
    given = arguments(WIDTH)
    sure = given._replace(table=1e3 * given.table)

    def loss(given: Arguments) -> jax.Array:
        return generated(given, jnp.asarray(WANTED)).losses.sum()

    value, gradients = jax.jit(jax.value_and_grad(loss))(sure)
    assert value > 1e3
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))


def test_what_is_dropped_is_of_a_rows_own_key() -> None:
    given = arguments(WIDTH)
    keys = jax.random.split(jax.random.key(0), 2)
    run = jax.jit(lambda keys: generated(given, jnp.asarray(WANTED), teacher=jnp.ones(2, bool), rate=0.5, key=keys))
    one, other = run(keys), run(jnp.stack([keys[0], jax.random.key(5)]))
    np.testing.assert_array_equal(one.losses[0], other.losses[0])
    assert np.abs(one.losses[1] - other.losses[1]).max() > 1e-2


def test_scores_of_the_vocabulary_exist_for_one_step_at_a_time() -> None:
    """More steps take less memory than one array [B, J, V] together."""
    rows, length, vocabulary = 4, 8, 50_048
    given = arguments(WIDTH)._replace(
        table=jax.ShapeDtypeStruct((vocabulary, WIDTH), jnp.float32),
        hidden=jax.ShapeDtypeStruct((rows, length, WIDTH), jnp.float32),
    )
    tokens, names = jnp.zeros((rows, length), jnp.int32), NAMES * 5

    def temporary(steps: int) -> int:
        wanted = jnp.zeros((rows, len(names), steps), jnp.int32)

        def loss(given: Arguments) -> jax.Array:
            dialogues = Dialogues(given.hidden, given.hidden[:, 0], tokens, tokens == 0)
            return generate(given.params, given.table, vocabulary, dialogues, names, wanted).losses.sum()

        memory = jax.jit(jax.grad(loss)).lower(given).compile().memory_analysis()
        assert memory
        return memory.temp_size_in_bytes

    of_vocabulary = 4 * rows * len(names) * vocabulary
    few, many = temporary(2), temporary(12)
    assert many - few < 0.1 * of_vocabulary
    assert many < 4 * of_vocabulary
