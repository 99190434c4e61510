"""ModernBERT: published sizes, what a window costs, bases by phase, what of its files is read and refused."""

import functools
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from families import FAMILIES, SPECIAL, VOCAB, drawn
from tiny_run import TINY, changed

from configs.mini import modernbert as mini
from data_pipeline.contract.errors import InputError
from pretrain.job import make_job
from pretrain.models.config import RowShape
from pretrain.models.modernbert.config import ModernBertConfig
from pretrain.models.modernbert.family import config_from_json, config_to_json
from pretrain.models.modernbert.model import ModernBert
from pretrain.models.modernbert.tree import HEADS
from pretrain.models.protocols import Compute, Inputs
from pretrain.planning.plan import planned_header
from pretrain.recipe import Phase

FOUR_LAYERS: Any = FAMILIES["modernbert"].variants["of 4 layers"]
LARGE = ModernBertConfig(num_hidden_layers=28, hidden_size=1024, num_attention_heads=16, intermediate_size=2624)
BARE: frozenset[str] = frozenset()


@pytest.mark.parametrize(
    ("config", "published"), [(ModernBertConfig(), 149_014_272), (LARGE, 394_781_696)], ids=["base", "large"]
)
def test_the_parameters_are_the_published_ones(config: ModernBertConfig, published: int) -> None:
    shapes = jax.eval_shape(ModernBert(config, 50_304, BARE, Compute()).init, jax.random.key(0))
    assert config.parameter_count(50_368, BARE) == published
    counted = sum(leaf.size for leaf in jax.tree.leaves(shapes))
    assert counted == config.parameter_count(50_304, BARE), "a vocabulary that needs no padding"


def test_parameters_are_drawn_as_transformers_draws_them() -> None:
    config = ModernBertConfig(num_hidden_layers=8, hidden_size=64, num_attention_heads=2, intermediate_size=96)
    params = jax.jit(ModernBert(config, 500, HEADS, Compute()).init)(jax.random.key(0))
    layers, kept = params["model"]["layers"], 0.88  # of a deviation, within two
    for kernel, deviation in (
        (params["model"]["embeddings"]["tok_embeddings"]["embedding"][:500], 0.02),
        (layers["attn"]["Wqkv"]["value"]["kernel"], 0.02),
        (layers["attn"]["Wo"]["kernel"], 0.005),
        (layers["mlp"]["Wi"]["gate"]["kernel"], 0.02),
        (layers["mlp"]["Wo"]["kernel"], 0.005),
        (params["head"]["dense"]["kernel"], 0.005),
    ):
        assert float(kernel.std()) == pytest.approx(kept * deviation, rel=0.04)
        assert abs(kernel).max() <= 2 * deviation


@pytest.mark.parametrize(("length", "attended"), [(64, None), (1024, None), (1024, 1024 * 96.0)])
def test_flops_count_the_pairs_inside_the_window(length: int, attended: float | None) -> None:
    config = ModernBertConfig()
    row = RowShape(length, 0, 50_000, 10, attended)
    segment = int(row.pairs / length)
    inside = sum(abs(i - j) <= 64 for i in range(segment) for j in range(segment)) * length / segment
    maps = 22 * (4 * 768**2 + 3 * 768 * 1152) * length
    head = (768**2 + 768 * 50_000) * 10
    assert config.flops_per_row(row, HEADS) == pytest.approx(
        6 * (maps + 2 * 768 * (8 * row.pairs + 14 * inside) + head)
    )


@functools.cache
def value_and_gradients(**choices: Any) -> tuple[jax.Array, Any]:
    """A weighted sum of logits and its gradients: of a layer, a period of two, and one that is left."""
    model = ModernBert(FOUR_LAYERS, VOCAB, HEADS, Compute(**choices))
    tokens = jnp.asarray(np.random.default_rng(0).integers(5, VOCAB, (2, 20)))
    inputs = Inputs(tokens, jnp.ones_like(tokens), jnp.broadcast_to(jnp.arange(20), (2, 20)), jnp.zeros_like(tokens))
    weights = jax.random.normal(jax.random.key(8), (2, 20, VOCAB))

    def total(params: Any) -> jax.Array:
        return (weights * model.vocabulary_logits(params, model.encode(params, inputs))[..., :VOCAB]).sum()

    return jax.jit(jax.value_and_grad(total))(drawn(FOUR_LAYERS, HEADS)[1])


@pytest.mark.parametrize(("remat", "scan_unroll"), [("full", 4), ("attention", 1)])
def test_remat_and_unrolling_never_change_the_result(remat: str, scan_unroll: int) -> None:
    expected, expected_gradients = value_and_gradients()
    value, gradients = value_and_gradients(remat=remat, scan_unroll=scan_unroll)
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    for one, other in zip(jax.tree.leaves(gradients), jax.tree.leaves(expected_gradients), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4 * float(abs(other).max()))


def test_phases_have_bases_of_their_own() -> None:
    recipe = changed(
        TINY,
        model=FOUR_LAYERS,
        phases=(Phase(64, 0.5), Phase(128, 0.5, settings=("model.global-rope-theta=160000",))),
    )
    header = planned_header(mini.data)
    phases = make_job(recipe, [replace(header, length=length) for length in (64, 128)]).phases
    assert [phase.parts.describe()["model"]["config"]["global_rope_theta"] for phase in phases] == [100.0, 160_000.0]


def told(**fields: Any) -> dict[str, Any]:
    return {**config_to_json(FOUR_LAYERS, VOCAB, SPECIAL, HEADS), **fields}


@pytest.mark.parametrize("generation", [4, 5])
def test_a_config_json_is_read_in_the_words_of_both_transformers(generation: int) -> None:
    of = {
        4: ("global_attn_every_n_layers", "global_rope_theta", "local_rope_theta"),
        5: ("layer_types", "rope_parameters"),
    }
    named = {name: value for name, value in told().items() if name not in of[9 - generation]}
    config = config_from_json(named)
    assert config == replace(FOUR_LAYERS, attention_out_dropout=0.0, vocab_size=VOCAB, pad_token_id=SPECIAL.pad)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"norm_bias": True}, "config.json says norm_bias True; a ModernBERT is computed here with False only"),
        (
            {"layer_types": ["sliding_attention"] * 4},
            "layer_types sliding_attention .* full_attention in the first layer",
        ),
        ({"rope_parameters": {"full_attention": {"rope_type": "yarn"}}}, "full_attention.rope_type yarn"),
    ],
)
def test_what_is_not_computed_is_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        config_from_json(told(**fields))


def test_transformers_one_dropout_of_attention_is_both_of_ours() -> None:
    config = config_from_json(told(attention_dropout=0.2))
    assert (config.attention_dropout, config.attention_out_dropout) == (0.2, 0.2)
    exported = config_to_json(replace(FOUR_LAYERS, exported_dropout=0.3), VOCAB, SPECIAL, HEADS)
    assert exported["attention_dropout"] == exported["mlp_dropout"] == 0.3


def test_a_classifier_reads_the_first_token_or_the_mean_of_all() -> None:
    hidden = jnp.arange(36.0).reshape(3, 3, 4)
    segments = jnp.asarray([[1, 1, 0], [1, 1, 1], [0, 0, 0]])
    model = ModernBert(FOUR_LAYERS, VOCAB, BARE, Compute())
    np.testing.assert_array_equal(model.summary(hidden, segments), hidden[:, 0])
    mean = ModernBert(replace(FOUR_LAYERS, classifier_pooling="mean"), VOCAB, BARE, Compute())
    np.testing.assert_allclose(mean.summary(hidden, segments), [hidden[0, :2].mean(0), hidden[1].mean(0), jnp.zeros(4)])


def test_heads_of_an_odd_width_are_refused() -> None:
    with pytest.raises(
        InputError,
        match=r"--training\.model\.hidden-size 18: must be a multiple of 2 x --training\.model\.num-attention-heads 2",
    ):
        ModernBert(replace(FOUR_LAYERS, hidden_size=18), VOCAB, BARE, Compute())
