"""A lone model is the whole tree; several lie under their names, and what they share is kept once."""

import json
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from data_pipeline.contract.recipe_file import from_plain
from pretrain.hugging_face.weights import flatten
from pretrain.models.bert.config import BertConfig
from pretrain.models.bert.family import FAMILY
from pretrain.models.bert.model import HEADS, Bert
from pretrain.models.parameter_rules import checked_rule
from pretrain.models.protocols import Compute
from pretrain.objectives.parts import Parts, part_of

VOCAB = 20
LARGE = BertConfig(
    num_hidden_layers=2, hidden_size=8, num_attention_heads=2, intermediate_size=16, max_position_embeddings=12
)
SMALL = BertConfig(**{**vars(LARGE), "num_hidden_layers": 1})
MASKED_LM = frozenset({"vocabulary"})
MODEL = Bert(LARGE, VOCAB, HEADS, Compute())
GENERATOR = Bert(SMALL, VOCAB, MASKED_LM, Compute())
EMBEDDINGS, WORDS = "bert/embeddings", "bert/embeddings/word_embeddings/embedding"
LONE = Parts({"model": MODEL})
TWO = Parts({"generator": GENERATOR, "model": MODEL}, {"model": {EMBEDDINGS: f"generator/{EMBEDDINGS}"}})
ONE_TABLE = Parts({"generator": GENERATOR, "model": MODEL}, {"generator": {WORDS: f"model/{WORDS}"}})
ALL = pytest.mark.parametrize("name", ["lone", "subtree", "array"])
PARTS = {"lone": LONE, "subtree": TWO, "array": ONE_TABLE}
KEY = jax.random.key(3)


@cache
def drawn(name: str) -> Any:
    """Compiled as a whole, since one operation at a time takes seconds."""
    return jax.jit(lambda: PARTS[name].init(KEY))()


@cache
def alone(model: Bert, place: int | None) -> Any:
    """A model's own parameters, with the key of its place among several."""
    return jax.jit(lambda: model.init(KEY if place is None else jax.random.fold_in(KEY, place)))()


def same(one: Any, other: Any) -> None:
    """Refuses trees of different structure."""
    jax.tree.map(np.testing.assert_array_equal, one, other)


def test_a_lone_part_keeps_its_tree_its_key_and_its_rules() -> None:
    same(drawn("lone"), alone(MODEL, None))
    same(LONE.of(drawn("lone"), "model"), drawn("lone"))
    assert LONE.rules() == FAMILY.rules(LARGE, HEADS)


def test_a_shared_subtree_is_kept_once_and_put_back() -> None:
    whole, generator, model = drawn("subtree"), alone(GENERATOR, 0), alone(MODEL, 1)
    same(whole["generator"], generator)
    assert "embeddings" not in whole["model"]["bert"]
    own = {**model, "bert": {**model["bert"], "embeddings": generator["bert"]["embeddings"]}}
    same(TWO.of(whole, "model"), own)
    same(TWO.of(whole, "generator"), generator)
    # The whole tree is as it was.
    assert "embeddings" not in whole["model"]["bert"]


def test_a_shared_array_is_kept_once_and_put_back() -> None:
    whole, generator, model = drawn("array"), alone(GENERATOR, 0), alone(MODEL, 1)
    same(whole["model"], model)
    assert f"generator/{WORDS}" not in dict(flatten(whole))
    back = ONE_TABLE.of(whole, "generator")
    assert jax.tree.structure(back) == jax.tree.structure(generator)
    for path, leaf in flatten(back):
        np.testing.assert_array_equal(leaf, dict(flatten(model if path == WORDS else generator))[path], err_msg=path)


def test_parts_do_not_begin_alike() -> None:
    one, other = (
        drawn("subtree")[part]["bert"]["encoder"]["layer"]["output"]["dense"]["kernel"] for part in TWO.models
    )
    assert (one[0] != other[0]).all()


def test_the_gradient_of_what_is_shared_is_the_sum_over_the_parts() -> None:
    whole = drawn("subtree")

    def total(whole: Any) -> jax.Array:
        tables = (dict(flatten(TWO.of(whole, part)))[WORDS] for part in TWO.models)
        return sum((weight * table.sum() for weight, table in zip((1.0, 10.0), tables, strict=True)), jnp.float32(0))

    gradients = jax.grad(total)(whole)
    assert jax.tree.structure(gradients) == jax.tree.structure(whole)
    assert (dict(flatten(gradients))[f"generator/{WORDS}"] == 11).all()


@ALL
def test_every_parameter_has_the_rule_of_its_part(name: str) -> None:
    parts = PARTS[name]
    rules = parts.rules()
    for path, leaf in flatten(drawn(name)):
        found = checked_rule(path, leaf.shape, rules)
        part, inside = ("model", path) if name == "lone" else path.split("/", 1)
        model = parts.models[part]
        own = checked_rule(inside, leaf.shape, FAMILY.rules(model.config, model.heads))
        assert (found.kind, found.axes, found.stacked, found.group) == (own.kind, own.axes, own.stacked, own.group)
        assert found.name_of(found.hugging_face, path, 0, (0,)) == own.name_of(own.hugging_face, inside, 0, (0,))


@ALL
def test_what_is_described_can_be_kept_as_json_and_finds_each_part_again(name: str) -> None:
    parts, whole = PARTS[name], drawn(name)
    described = json.loads(json.dumps(parts.describe()))
    assert described == parts.describe()
    assert described.keys() == parts.models.keys()
    for part, model in parts.models.items():
        same(part_of(whole, described[part]), parts.of(whole, part))
        kept = described[part]
        assert (kept["family"], frozenset(kept["heads"]), kept["config"]["vocab_size"]) == ("bert", model.heads, VOCAB)
        assert from_plain({**kept["config"], "vocab_size": None}, (BertConfig,)) == model.config
