"""The head of KLUE-DP: the same scores as torch's modules put together as KLUE-baseline puts them."""

import importlib.util
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pretrain.models.core.dependency_parser import DependencyParser, Eojeols, parse
from pretrain.models.core.layers import Parameters, parameters
from pretrain.models.task_heads import ParserSizes, TaskHead

WIDTH, TOKENS = 6, 12
SIZES = ParserSizes(parts_of_speech=5, part_of_speech=3, hidden=8, arcs=7, relations=4)
HEAD = TaskHead("dependencies", ("NP", "VP", "AP"), parser=SIZES)
COUNTS = (4, 1, 2)
"""Eojeols of three sentences."""
RANDOM = np.random.default_rng(0)
HIDDEN = RANDOM.normal(0, 1, (3, TOKENS, WIDTH)).astype(np.float32)
HEADS = np.array([[4, 1, 0, 2], [0, -1, -1, -1], [2, 0, -1, -1]], np.int32)


@pytest.fixture(scope="module")
def params() -> Parameters:
    """None of which is 0."""
    drawn = parameters(DependencyParser(HEAD, WIDTH, nnx.Rngs(params=jax.random.key(0))))
    random = np.random.default_rng(1)
    return jax.tree.map(lambda leaf: random.normal(0, 0.4, leaf.shape).astype(np.float32), drawn)


def eojeols(longest: int = 4) -> Eojeols:
    """Each of two tokens, the second of the third eojeol apart."""
    places = np.arange(longest)
    real = places < np.array(COUNTS)[:, None]
    fields = (1 + 2 * places, 2 + 2 * places + (places == 2), places % 5)
    return Eojeols(*(jnp.asarray(np.where(real, field, -1), jnp.int32) for field in fields))


def in_torch(params: Parameters, row: int, heads: Any) -> tuple[np.ndarray, np.ndarray]:
    """Scores of one sentence, which needs no padding."""
    import torch
    from torch.nn import functional

    def tensor(array: Any) -> Any:
        return torch.tensor(np.asarray(array))

    def dense(name: str, inputs: Any) -> Any:
        return functional.linear(inputs, tensor(params[name]["kernel"]).T, tensor(params[name]["bias"]))

    def lstm(of: Parameters, inputs: int, both: bool) -> Any:
        made = torch.nn.LSTM(inputs, SIZES.hidden, batch_first=True, bidirectional=both)
        for number, direction in enumerate(("", "_reverse")[: 1 + both]):
            one = jax.tree.map(lambda leaf, number=number: leaf[number], of) if both else of
            given = {"weight_ih": one["input"]["kernel"].T, "weight_hh": one["recurrent"].T}
            given |= {"bias_ih": one["input"]["bias"], "bias_hh": np.zeros(4 * SIZES.hidden, np.float32)}
            for name, array in given.items():
                getattr(made, f"{name}_l0{direction}").data = tensor(array)
        return made

    found, count = eojeols(), COUNTS[row]
    hidden = tensor(HIDDEN[row])
    first, last = (
        torch.cat([hidden[:1], hidden[np.array(places[row, :count])]]) for places in (found.firsts, found.lasts)
    )
    tags = tensor([SIZES.parts_of_speech, *np.asarray(found.parts_of_speech[row, :count])])
    words = torch.cat([first, last, tensor(params["part_of_speech"]["embedding"])[tags]], -1)[None]
    encoded, (_, cells) = lstm(params["encoder"], words.shape[-1], True)(words)
    cell = dense("decoder_start", cells.transpose(0, 1).reshape(1, -1))[None]
    inputs = functional.elu(dense("decoder_input", encoded[:, 1:]))
    decoded, _ = lstm(params["decoder"], SIZES.hidden, False)(inputs, (torch.tanh(cell), cell))
    encoded, decoded = encoded[0], decoded[0]
    arc_head, relation_head = (functional.elu(dense(f"{name}_head", encoded)) for name in ("arc", "relation"))
    arc_dependent, relation_dependent = (
        functional.elu(dense(f"{name}_dependent", decoded)) for name in ("arc", "relation")
    )
    arcs = arc_dependent @ tensor(params["arc"]["kernel"]) @ arc_head.T + arc_head @ tensor(params["arc"]["bias"])
    chosen = arcs.argmax(-1) if heads is None else tensor(heads[row, :count]).long()
    u = tensor(params["relation"]["kernel"]).reshape(SIZES.relations, -1, SIZES.relations)  # dependent, relation, head
    of_head = tensor(params["relation"]["bias"]).reshape(-1, SIZES.relations)
    relations = functional.bilinear(relation_dependent, relation_head[chosen], u.transpose(0, 1).contiguous())
    relations = relations + functional.linear(relation_head[chosen], of_head)
    relations = relations + dense("relation_of_dependent", relation_dependent)
    return arcs.detach().numpy(), relations.detach().numpy()


@pytest.mark.skipif(not importlib.util.find_spec("torch"), reason="torch is not installed")
@pytest.mark.parametrize("heads", [pytest.param(HEADS, id="right heads"), pytest.param(None, id="predicted heads")])
def test_scores_are_those_of_torch_for_each_sentence_alone(params: Parameters, heads: Any) -> None:
    with jax.default_matmul_precision("highest"):
        arcs, relations = jax.jit(parse)(params, HIDDEN, eojeols(), heads)
    assert (arcs.shape, relations.shape) == ((3, 4, 5), (3, 4, 3))
    for row, count in enumerate(COUNTS):
        expected = in_torch(params, row, heads)
        assert min(each.std() for each in expected) > 0.02
        np.testing.assert_allclose(arcs[row, :count, : count + 1], expected[0], atol=1e-5)
        np.testing.assert_allclose(relations[row, :count], expected[1], atol=1e-5)


def test_padding_is_no_head_and_changes_no_score(params: Parameters) -> None:
    short, long = (jax.jit(parse)(params, HIDDEN, eojeols(longest), None) for longest in (4, 9))
    for row, count in enumerate(COUNTS):
        assert int(long[0][row, :count].argmax(-1).max()) <= count
        np.testing.assert_allclose(long[0][row, :count, : count + 1], short[0][row, :count, : count + 1], atol=1e-6)
        np.testing.assert_allclose(long[1][row, :count], short[1][row, :count], atol=1e-6)


def test_what_is_dropped_is_of_a_rows_own_key(params: Parameters) -> None:
    keys = jax.random.split(jax.random.key(0), 3)
    arcs, _ = jax.jit(parse)(params, HIDDEN, eojeols(), HEADS, key=keys)
    alone, _ = jax.jit(parse)(params, HIDDEN[:1], Eojeols(*(each[:1] for each in eojeols())), HEADS[:1], key=keys[:1])
    np.testing.assert_allclose(arcs[:1], alone, atol=1e-6)
    kept, _ = jax.jit(parse)(params, HIDDEN, eojeols(), HEADS)
    assert np.abs(kept - arcs)[0].max() > 1e-2
