"""What LTG-BERT and GPT-BERT have for small corpora: a gate, relative positions in log buckets, an initialisation by layer."""

import re
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from families import FAMILIES, SPECIAL, VOCAB, drawn
from tiny_run import TINY as RUN
from tiny_run import changed

from configs.mini import modernbert as mini
from data_pipeline.contract.errors import InputError
from pretrain.hugging_face.weights import flatten, from_hugging_face, to_hugging_face
from pretrain.job import make_job
from pretrain.models.config import RowShape
from pretrain.models.modernbert.config import ModernBertConfig
from pretrain.models.modernbert.family import FAMILY, config_to_json, rules
from pretrain.models.modernbert.model import ModernBert
from pretrain.models.modernbert.relative_positions import distance_scores, log_buckets
from pretrain.models.modernbert.tree import HEADS
from pretrain.models.protocols import Compute, Inputs
from pretrain.planning.plan import planned_header

TINY: Any = FAMILIES["modernbert"].config
SMALL_CORPORA = replace(TINY, num_hidden_layers=3, attention_gate=True, relative_buckets=4, initializer="ltg_bert")


def test_buckets_are_single_distances_at_first_and_grow_with_the_logarithm() -> None:
    found = log_buckets(np.arange(-127, 128), 32, 128) - 31
    assert found[127 - 15 : 127 + 16].tolist() == list(range(-15, 16))
    np.testing.assert_array_equal(found, -found[::-1])
    assert (np.diff(found) >= 0).all()
    assert (found[127 + 16], found[127 + 127]) == (16, 31)
    wide = np.diff(np.flatnonzero(np.diff(found[127 + 16 :])))
    assert wide[0] <= 2 < wide[-1]


def test_a_distance_adds_the_products_with_its_buckets_query_and_key() -> None:
    random = np.random.default_rng(0)
    q, k = (random.normal(size=(2, 5, 2, 3)).astype(np.float32) for _ in range(2))
    of_q, of_k = (random.normal(size=(7, 2, 3)).astype(np.float32) for _ in range(2))
    place = np.arange(5)
    buckets = log_buckets(place[:, None] - place, 4, 8)
    with jax.default_matmul_precision("highest"):
        found = distance_scores(*map(jnp.asarray, (q, k, of_q, of_k)), buckets)
    for b, n, i, j in np.ndindex(2, 2, 5, 5):
        bucket = buckets[i, j]
        expected = q[b, i, n] @ of_k[bucket, n] + k[b, j, n] @ of_q[bucket, n]
        assert found[b, n, i, j] == pytest.approx(expected, abs=1e-5)


def test_every_parameter_has_its_rule_and_is_counted() -> None:
    params = drawn(SMALL_CORPORA, frozenset())[1]
    table = rules(SMALL_CORPORA, frozenset())
    paths = [path for path, _ in flatten(params)]
    for path in paths:
        assert sum(bool(re.fullmatch(rule.pattern, path)) for rule in table) == 1, path
    assert all(any(re.fullmatch(rule.pattern, path) for path in paths) for rule in table)
    padded = sum(leaf.size for leaf in jax.tree.leaves(params)) - (128 - VOCAB) * 16
    assert SMALL_CORPORA.parameter_count(VOCAB, frozenset()) == padded
    tensors = to_hugging_face(params, table, VOCAB)
    jax.tree.map(np.testing.assert_array_equal, from_hugging_face(tensors, params, table, VOCAB), params)


def test_flops_count_the_gate_and_the_buckets() -> None:
    row = RowShape(64, 0, VOCAB, 8)
    plain = ModernBertConfig()
    more = replace(plain, attention_gate=True, relative_buckets=32)
    gate, buckets = 768**2 * 64, 2 * 63 * 768 * (768 + 64)
    assert more.flops_per_row(row, HEADS) - plain.flops_per_row(row, HEADS) == 6 * 22 * (gate + buckets)


@pytest.mark.parametrize("field", ["attention_gate", "relative_buckets"])
def test_a_switch_changes_what_is_computed_and_is_not_exported(field: str) -> None:
    config = replace(TINY, **{field: getattr(SMALL_CORPORA, field)})
    model, params = drawn(config, HEADS)
    tokens = jnp.asarray(np.random.default_rng(0).integers(5, VOCAB, (1, 20)))
    ones, places = jnp.ones_like(tokens), jnp.arange(20)[None]

    def logits(model: Any, positions: jax.Array) -> jax.Array:
        found: jax.Array = FAMILY.logits(model, params, Inputs(tokens, ones, positions, 0 * ones))
        return found

    compute = jax.jit(logits, static_argnums=0)
    found, plain = compute(model, places), compute(ModernBert(TINY, VOCAB, HEADS, Compute()), places)
    assert abs(found - plain).max() > 0.01
    moved = compute(model, places**2)
    assert (abs(found - moved).max() > 1e-3) == (field == "attention_gate"), (
        "buckets take the place of rotary positions"
    )
    with pytest.raises(
        InputError, match=rf"--training\.model\.{field.replace('_', '-')} .* no class of transformers has it"
    ):
        config_to_json(config, VOCAB, SPECIAL, HEADS)


def test_a_run_is_warned_at_its_start_that_it_is_not_exported() -> None:
    header = planned_header(mini.data)
    (*_, warning) = make_job(changed(RUN, model=SMALL_CORPORA), [header]).warnings
    assert warning.startswith("an export of this run will be refused: --training.model.attention-gate True: no class")
    assert not any("refused" in each for each in make_job(changed(RUN, model=TINY), [header]).warnings)


def test_kernels_are_drawn_as_ltg_bert_draws_them() -> None:
    config = ModernBertConfig(
        num_hidden_layers=4, hidden_size=64, num_attention_heads=2, intermediate_size=96, initializer="ltg_bert"
    )
    params, deviation = jax.jit(ModernBert(config, 500, HEADS, Compute()).init)(jax.random.key(0)), 0.88 * 160**-0.5
    layers = params["model"]["layers"]
    assert float(layers["attn"]["Wo"]["kernel"].std()) == pytest.approx(deviation, rel=0.04)
    feed_forward = [params["model"]["first_layer"]["mlp"]["Wo"]["kernel"], *layers["mlp"]["Wo"]["kernel"]]
    for number, kernel in enumerate(feed_forward, start=1):
        assert float(kernel.std()) == pytest.approx(deviation / (2 * number) ** 0.5, rel=0.06)


def test_more_buckets_than_rows_have_distances_are_refused() -> None:
    with pytest.raises(InputError, match=r"--training\.model\.relative-buckets 32: half of them must be fewer"):
        ModernBert(replace(TINY, relative_buckets=32, max_position_embeddings=16), VOCAB, HEADS, Compute())
