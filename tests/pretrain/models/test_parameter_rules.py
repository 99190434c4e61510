"""The table of each family: every parameter has its one row, every row its parameter, and the names are Hugging Face's."""

import itertools
import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest
from families import EVERY_EXPORT, FAMILIES, SPECIAL, VOCAB, drawn, tensors_of

from data_pipeline.contract.errors import InputError
from pretrain.hugging_face.weights import flatten
from pretrain.models.config import ModelConfig
from pretrain.models.parameter_rules import Kind, ParameterRule, checked_rule, rule_of, with_prefix
from pretrain.models.protocols import Compute, Family
from pretrain.models.registry import family_of

KEYS = Path(__file__).resolve().parents[3] / "../shared/facts/keys_5.23.0.json"
CASES = [
    pytest.param(tiny.config, frozenset(heads), id=f"{name} {' '.join(heads) or 'bare'}")
    for name, tiny in FAMILIES.items()
    for count in range(len(family_of(tiny.config).heads) + 1)
    for heads in itertools.combinations(sorted(family_of(tiny.config).heads), count)
]
EVERY_MODEL = pytest.mark.parametrize(("config", "heads"), CASES)


def shapes_of(family: Family, config: ModelConfig, heads: frozenset[str]) -> dict[str, tuple[int, ...]]:
    """Path -> shape of every parameter."""
    model = family.make(config, VOCAB, heads, Compute())
    return {path: leaf.shape for path, leaf in flatten(jax.eval_shape(model.init, jax.random.key(0)))}


@EVERY_MODEL
def test_every_parameter_has_one_rule_of_its_rank_and_every_rule_a_parameter(
    config: ModelConfig, heads: frozenset[str]
) -> None:
    family = family_of(config)
    rules = family.rules(config, heads)
    used = set()
    for path, shape in shapes_of(family, config, heads).items():
        assert len([rule for rule in rules if re.fullmatch(rule.pattern, path)]) == 1, path
        used.add(checked_rule(path, shape, rules))
    assert used == set(rules)


@EVERY_MODEL
def test_every_tensor_has_a_name_of_its_own(config: ModelConfig, heads: frozenset[str]) -> None:
    family = family_of(config)
    rules = family.rules(config, heads)
    names: Counter[tuple[str, int]] = Counter()
    for path, shape in shapes_of(family, config, heads).items():
        rule = rule_of(path, rules)
        for layer, place in enumerate(np.ndindex(*shape[: rule.stacked])):
            for template in filter(None, (rule.hugging_face, *rule.copies)):
                names[rule.name_of(template, path, layer, place), rule.fused[0]] += 1
    assert names
    assert not [name for name, count in names.items() if count > 1]


@pytest.mark.skipif(not KEYS.is_file(), reason="transformers' names (../shared/facts) are not on this machine")
@EVERY_EXPORT
def test_names_and_shapes_are_those_of_transformers(config: ModelConfig, heads: frozenset[str]) -> None:
    family = family_of(config)
    tensors = tensors_of(*drawn(config, heads))
    [their_class] = family.config_to_json(config, VOCAB, SPECIAL, heads)["architectures"]
    found = json.loads(KEYS.read_text())
    theirs = found.get(their_class) or found.get(f"{their_class}_tie")
    if theirs is None or config not in [tiny.config for tiny in FAMILIES.values()]:
        pytest.skip(
            f"{KEYS.name} has no {their_class} of these sizes; test_transformers_parity.py compares with the one that is installed"
        )
    tied = {copy for _, copy in theirs["tied"]}
    assert {name: list(tensor.shape) for name, tensor in tensors.items()} == {
        name: shape for name, shape in theirs["keys"].items() if name not in tied
    }
    # What transformers ties is not read from a file that has it all the same.
    assert all(name.startswith(family.not_parameters) for name in tied)


LAYERS = ParameterRule("layers/(query|key)/kernel", "matrix", ("fsdp", "tensor"), 1, hugging_face=r"layer.{layer}.\1")
RULES = (
    ParameterRule("table", "table"),
    LAYERS,
    ParameterRule("layers/.*/bias", "bias", stacked=1),
    ParameterRule("layers/value/.*", "vector", stacked=1),
)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (
            "layers/other/kernel",
            "layers/other/kernel: no ParameterRule matches this parameter; add one to the family's",
        ),
        ("my_table", "my_table: no ParameterRule matches"),
        ("table/more", "table/more: no ParameterRule matches"),
        (
            "layers/value/bias",
            r"layers/value/bias: 2 ParameterRules match this parameter \(layers/\.\*/bias and layers/value/\.\*\)",
        ),
    ],
)
def test_a_parameter_with_no_rule_or_two_is_named(path: str, message: str) -> None:
    with pytest.raises(InputError, match=f"^{message}"):
        rule_of(path, RULES)


@pytest.mark.parametrize(
    ("path", "shape", "message"),
    [
        ("table", (4,), r"table \[4\]: its ParameterRule says table with axes \(\), which does not suit 1 dimensions"),
        ("table", (4, 4, 4), r"table \[4, 4, 4\]"),
        (
            "layers/query/bias",
            (4,),
            r"layers/query/bias \[4\]: .* bias .* and 1 that count layers, which does not suit 1",
        ),
        ("layers/query/kernel", (2, 4), r"layers/query/kernel \[2, 4\]: .* matrix with axes \('fsdp', 'tensor'\)"),
    ],
)
def test_a_rank_that_does_not_suit_the_rule_is_named(path: str, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(InputError, match=f"^{message}"):
        checked_rule(path, shape, RULES)


def test_a_rule_with_more_axes_than_the_parameter_has_is_named() -> None:
    rules = (replace(RULES[2], axes=("tensor", "fsdp")),)
    with pytest.raises(InputError, match=r"layers/a/bias \[2, 4\]: .* axes \('tensor', 'fsdp'\)"):
        checked_rule("layers/a/bias", (2, 4), rules)
    assert checked_rule("layers/a/bias", (2, 4, 6), rules) == rules[0]


@pytest.mark.parametrize(
    ("kind", "decayed"), [("matrix", True), ("table", True), ("bias", False), ("norm", False), ("vector", False)]
)
def test_weight_decay_is_for_matrices_and_tables(kind: Kind, decayed: bool) -> None:
    assert ParameterRule("any", kind).is_decayed == decayed


def test_the_rules_of_a_part_hold_under_its_name_only() -> None:
    either = ParameterRule("kernel|bias", "vector")
    rules = with_prefix("a.b", (LAYERS, either))
    assert [replace(rule, pattern="") for rule in rules] == [replace(rule, pattern="") for rule in (LAYERS, either)]
    assert rule_of("a.b/kernel", rules) == rule_of("a.b/bias", rules) == rules[1]
    for path in ("bias", "kernel", "axb/kernel", "other/a.b/kernel", "layers/key/kernel"):
        with pytest.raises(InputError, match="no ParameterRule"):
            rule_of(path, rules)
    # Its tensors keep their names: a part is exported as a model of its own.
    path = "a.b/layers/key/kernel"
    assert rule_of(path, rules).name_of(LAYERS.hugging_face, path, 3, (3,)) == "layer.3.key"
    twice = with_prefix("whole", rules)
    assert rule_of(f"whole/{path}", twice).name_of(LAYERS.hugging_face, f"whole/{path}", 0, (0,)) == "layer.0.key"
