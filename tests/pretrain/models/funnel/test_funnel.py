"""What is Funnel's own: pooled lengths, distances, the row of [PAD], published sizes and config.json, what it refuses."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from families import FAMILIES, SPECIAL, VOCAB, drawn, stored, tensors_of
from matrix_products import multiply_adds
from read_exports import loaded
from safetensors.numpy import load_file, save_file
from tiny_run import write_records

from configs import funnel_kor_base
from data_pipeline.contract.errors import InputError
from data_pipeline.contract.records import RecordsHeader
from pretrain.hugging_face.weights import token_types_used, with_unused_token_types
from pretrain.job import objective_of
from pretrain.models.config import RowShape
from pretrain.models.funnel.config import FunnelConfig, pooled_lengths
from pretrain.models.funnel.family import FAMILY
from pretrain.models.funnel.model import Funnel
from pretrain.models.funnel.pooling import mean_of_neighbours, neighbours, upsampled
from pretrain.models.funnel.relative_positions import Distances
from pretrain.models.protocols import Compute, Inputs
from pretrain.objectives.replaced_token.recipe import Generator, ReplacedToken
from pretrain.subject import load_subject

TINY = FAMILIES["funnel"]
DISCRIMINATOR, GENERATOR = frozenset({"replaced"}), frozenset({"vocabulary"})
THREE = replace(TINY.config, block_sizes=(2, 2, 1), num_decoder_layers=2)
assert isinstance(THREE, FunnelConfig)
PUBLISHED = {
    "activation_dropout": 0.0, "architectures": ["FunnelForPreTraining"], "attention_dropout": 0.1, "attention_type": "relative_shift",
    "block_repeats": [1, 1, 1], "block_sizes": [6, 6, 6], "d_head": 64, "d_inner": 3072, "d_model": 768, "hidden_act": "gelu_new",
    "hidden_dropout": 0.1, "initializer_range": 0.1, "initializer_std": 0.02, "layer_norm_eps": 1e-09, "model_type": "funnel",
    "n_head": 12, "num_decoder_layers": 2, "pad_token_id": 0, "pool_q_only": True, "pooling_type": "mean", "separate_cls": True,
    "truncate_seq": True, "type_vocab_size": 3, "vocab_size": 42000,
}  # fmt: skip
"""The sizes of kykim/funnel-kor-base, as a copy of its config.json states them."""


def test_three_blocks_of_odd_lengths_are_those_of_transformers(tmp_path: Path) -> None:
    """Logits and gradients, with attention computed again in the backward pass; the last real token of a row is pooled with padding."""
    length = 21
    torch = pytest.importorskip("torch")
    pytest.importorskip("transformers")
    assert pooled_lengths(length, 3) == [21, 11, 6]
    model, params = drawn(THREE, DISCRIMINATOR)
    model = replace(model, compute=Compute(remat="attention"))
    their_model, keys = loaded(stored(tmp_path, model, params))
    assert not any(keys.values())
    random = np.random.default_rng(2)
    real = np.arange(length) < np.array([[length], [14], [8]])
    tokens = np.where(real, random.integers(5, VOCAB, real.shape), SPECIAL.pad)
    types, factors = (real & (np.arange(length) >= 5)).astype(int), real * random.normal(0, 1, real.shape)

    def loss(params: Any) -> tuple[jax.Array, jax.Array]:
        inputs = Inputs(*map(jnp.asarray, (tokens, real.astype(int), tokens, types)))
        scores: jax.Array = FAMILY.logits(model, params, inputs)
        return (scores * factors).sum(), scores

    with jax.default_matmul_precision("highest"):
        gradients, scores = jax.jit(jax.grad(loss, has_aux=True))(params)
    theirs = their_model.eval()(
        torch.tensor(tokens), attention_mask=torch.tensor(real.astype(int)), token_type_ids=torch.tensor(types)
    ).logits
    np.testing.assert_allclose(scores[real], theirs.detach().numpy()[real], atol=1e-4 * float(theirs.detach().std()))
    (theirs * torch.tensor(factors)).sum().backward()
    expected = {name: parameter.grad.numpy() for name, parameter in their_model.named_parameters()}
    largest = max(np.linalg.norm(array) for array in expected.values())
    found = tensors_of(model, gradients)
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        difference = np.linalg.norm(found[name] - array)
        assert difference < 1e-4 * max(np.linalg.norm(array), 1e-2 * largest), name


@pytest.mark.parametrize(
    ("length", "pairs"),
    [
        (2, [(0, 0)]),
        (6, [(0, 0), (1, 2), (3, 4)]),
        (7, [(0, 0), (1, 2), (3, 4), (5, 5)]),
    ],
)
def test_neighbours_are_pooled_beside_the_first(length: int, pairs: list[tuple[int, int]]) -> None:
    row = jnp.arange(length)[None]
    assert neighbours(row)[0].tolist() == [list(pair) for pair in pairs]
    hidden = jnp.asarray(np.random.default_rng(0).normal(size=(1, length, 3)), jnp.bfloat16)
    pooled = mean_of_neighbours(hidden)
    assert pooled.dtype == hidden.dtype
    wide = np.asarray(hidden[0], np.float32)
    expected = [(wide[one] + wide[other]) / 2 for one, other in pairs]
    np.testing.assert_allclose(np.asarray(pooled[0], np.float32), expected, rtol=2**-8)


def test_pooled_states_go_back_to_the_tokens_they_came_from() -> None:
    pooled = jnp.arange(1.0, 4)[None, :, None]
    assert upsampled(pooled, 4, 12)[0, :, 0].tolist() == [1, *[2] * 4, *[3] * 4, 0, 0, 0]
    assert upsampled(pooled, 4, 8)[0, :, 0].tolist() == [1, *[2] * 4, *[3] * 3]
    assert upsampled(pooled, 1, 3) is pooled
    for length in range(1, 40):
        row = jax.ShapeDtypeStruct((1, length, 1), jnp.float32)
        for expected in pooled_lengths(length, 3)[1:]:
            row = jax.eval_shape(mean_of_neighbours, row) if row.shape[1] > 2 else row
            assert row.shape[1] == expected
        assert jax.eval_shape(lambda row, length=length: upsampled(row, 4, length), row).shape[1] == length


@pytest.mark.parametrize("distances", [Distances(5, 5, stride=2), Distances(4, 7, stride=2, step=2, offset=-2)])
def test_each_query_has_the_scores_of_its_own_distances(distances: Distances) -> None:
    """Beside transformers' parity: of the values themselves, so that no two distances can be taken for one another."""
    width = 8
    sinusoids = np.asarray(distances.sinusoids(width))
    q = np.random.default_rng(0).normal(size=(1, distances.queries, 1, width)).astype(np.float32)
    bias = np.full((1, width), 0.5, np.float32)
    scores = distances.scores(jnp.asarray(q), jnp.asarray(sinusoids)[:, None], jnp.asarray(bias))[0, 0]
    for query, key in np.ndindex(distances.queries, distances.keys):
        apart = distances.offset + distances.stride * (distances.step * query - key)
        angles = apart / 10_000 ** (np.arange(width // 2) / (width // 2))
        expected = (q[0, query, 0] + 0.5) @ np.concatenate([np.sin(angles), np.cos(angles)])
        assert scores[query, key] == pytest.approx(expected, abs=1e-4)


def test_the_row_of_padding_is_zero_and_stays_so(tmp_path: Path) -> None:
    """transformers 5 reads it as zero, whatever the file says: so do we; and neither lookup nor head move it."""
    config: Any = replace(TINY.config, pad_token_id=SPECIAL.pad)
    model = Funnel(config, VOCAB, GENERATOR, Compute())
    params = jax.jit(model.init)(jax.random.key(0))
    assert not model.word_table(params)[SPECIAL.pad].any()
    row = jnp.full((1, 8), SPECIAL.pad).at[:, :5].set(7)

    def loss(params: Any) -> jax.Array:
        hidden = model.encode(params, Inputs(row, (row == 7).astype(jnp.int32), row, jnp.zeros_like(row)))
        return jax.nn.logsumexp(model.vocabulary_logits(params, hidden), axis=-1).sum()

    gradient = model.word_table(jax.jit(jax.grad(loss))(params))
    assert not gradient[SPECIAL.pad].any()
    assert gradient[7].any()
    assert gradient[8].any()

    folder = stored(tmp_path / "model", *drawn(TINY.config, GENERATOR))
    tensors = load_file(folder / "model.safetensors")
    name = "funnel.embeddings.word_embeddings.weight"
    tensors[name][SPECIAL.pad] = 1.0
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    read = load_subject(folder).tensors[name]
    assert not read[SPECIAL.pad].any()
    np.testing.assert_array_equal(np.delete(read, SPECIAL.pad, 0), np.delete(tensors[name], SPECIAL.pad, 0))


@pytest.mark.parametrize(
    ("heads", "their_class", "published"),
    [(DISCRIMINATOR, "FunnelModel", 185_872_896), (frozenset({"classifier"}), "FunnelBaseModel", 170_511_360)],
)
def test_the_parameters_are_as_many_as_transformers_has(
    heads: frozenset[str], their_class: str, published: int
) -> None:
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    with torch.device("meta"):
        theirs = getattr(transformers, their_class)(transformers.FunnelConfig(**PUBLISHED))
    assert sum(parameter.numel() for parameter in theirs.parameters()) == published
    assert FunnelConfig().parameter_count(42_000, heads) == published
    body = jax.eval_shape(Funnel(FunnelConfig(), 42_000, heads, Compute()).init, jax.random.key(0))["funnel"]
    assert sum(leaf.size for leaf in jax.tree.leaves(body)) - (-42_000 % 128) * 768 == published


@pytest.mark.parametrize(("length", "heads"), [(16, DISCRIMINATOR), (21, GENERATOR), (16, frozenset({"classifier"}))])
def test_the_flops_of_a_row_are_its_products_counted_one_by_one(length: int, heads: frozenset[str]) -> None:
    """Of the forward pass in its jaxpr, times three, but for what is made of distances alone and of those that no query has."""
    config, tokens = THREE, jax.ShapeDtypeStruct((1, length), jnp.int32)
    row = RowShape(length=length, target_length=0, vocabulary_size=128, predictions=3)
    model = Funnel(config, 128, heads, Compute())

    def forward(params: Any, tokens: jax.Array) -> Any:
        hidden = model.encode(params, Inputs(tokens, tokens, tokens, tokens))
        if heads == DISCRIMINATOR:
            return model.replaced_logits(params, hidden)
        return model.vocabulary_logits(params, hidden[:, : row.predictions]) if heads == GENERATOR else hidden

    params = jax.eval_shape(model.init, jax.random.key(0))
    if "classifier" in heads:
        params = {"funnel": params["funnel"]}
    counted = multiply_adds(jax.make_jaxpr(forward)(params, tokens).jaxpr)
    first, second, third = pooled_lengths(length, 3)
    layers = [(first, first, 1)] * (2 + 2 * ("classifier" not in heads))
    layers += [(second, first, 2), (second, second, 1), (third, second, 2)]
    across = config.attention_width
    for queries, keys, step in layers:
        distances = keys + step * queries
        counted -= distances * (config.d_model * across + across) + 2 * across
        counted -= across * queries * (distances - keys)
    assert config.flops_per_row(row, heads) == 6 * counted


def test_flops_count_the_pairs_that_are_attended() -> None:
    row = RowShape(512, 0, 42_000, 77)
    whole, half = (
        FunnelConfig().flops_per_row(each, DISCRIMINATOR) for each in (row, row._replace(attended=512**2 / 2))
    )
    pairs = 8 * 512**2 + 512 * 256 + 5 * 256**2 + 256 * 128 + 5 * 128**2
    assert whole - half == pytest.approx(6 * 3 * 768 * pairs / 2)


def test_a_published_config_json_is_read_as_it_is_written() -> None:
    config = FAMILY.config_from_json(PUBLISHED)
    assert config == FunnelConfig(vocab_size=42_000, pad_token_id=0)
    assert FAMILY.config_from_json({**PUBLISHED, "attention_type": "factorized"}) == config
    written = FAMILY.config_to_json(config, 42_000, replace(SPECIAL, pad=0), DISCRIMINATOR)
    assert written.items() >= PUBLISHED.items()


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("pooling_type", "max", "config.json says pooling_type max; a Funnel is computed here with mean only"),
        ("separate_cls", False, "config.json says separate_cls False; a Funnel is computed here with True only"),
        ("truncate_seq", False, "config.json says truncate_seq False; "),
        ("block_repeats", [1, 2, 1], "config.json says block_repeats [1, 2, 1]; a Funnel is computed here with 1 only"),
    ],
)
def test_what_is_not_computed_here_is_refused(field: str, value: Any, words: str) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(words)}"):
        FAMILY.config_from_json({**PUBLISHED, field: value})


def test_a_packed_layout_is_refused_with_the_reason(tmp_path: Path) -> None:
    header = write_records(tmp_path / "examples", layout="packed")
    words = "layout packed, which replaced-token of this model does not take: it pools neighbouring tokens, also those of two texts"
    with pytest.raises(InputError, match=f"{words}; prepare others: full_sentences, sentence"):
        objective_of(TINY.recipe, header)


def test_the_generator_keeps_the_width_of_shared_tables() -> None:
    config = FunnelConfig()
    shared = config.generator(0.25, 0.5)
    assert shared == replace(config, block_sizes=(3, 3, 3), num_decoder_layers=1, n_head=3, d_inner=768)
    assert config.generator(0.25, 0.5, shares_tables=False) == replace(shared, d_model=192)
    assert config.generator(0.01, 0.01).n_head == 1
    with pytest.raises(
        InputError, match=r"--training\.objective\.generator\.hidden-share 0\.251: .* 193 wide; .* an even width"
    ):
        config.generator(0.251, 1.0, shares_tables=False)


def test_a_generator_with_tables_of_its_own_is_narrower(tmp_path: Path) -> None:
    header = write_records(tmp_path / "examples", layout="full_sentences")
    recipe: Any = replace(TINY.recipe, objective=ReplacedToken(generator=Generator(0.5, 1.0)))
    alone = replace(recipe, objective=replace(recipe.objective, shared_embeddings=False))
    for each, width in ((recipe, 16), (alone, 8)):
        params = jax.eval_shape(objective_of(each, header).init)
        own = params["generator"]["funnel"].get("embeddings")
        assert (own is None) == (each is recipe)
        decoder = params["generator"]["funnel"]["decoder"]["layers"]
        assert decoder["attention"]["q_head"]["kernel"].shape == (1, width, 8)


def test_types_of_texts_are_told_apart_and_cls_is_of_both() -> None:
    model, params = drawn(THREE, DISCRIMINATOR)
    row = jnp.asarray(np.random.default_rng(0).integers(5, VOCAB, (1, 16)))
    encode = jax.jit(lambda types: model.encode(params, Inputs(row, jnp.ones_like(row), row, types)))
    two = (jnp.arange(16)[None] >= 7).astype(jnp.int32)
    np.testing.assert_array_equal(encode(two), encode(two.at[0, 0].set(2)))
    assert jnp.abs(encode(two) - encode(jnp.zeros_like(row))).max() > 1e-3


def test_types_that_no_training_has_used_are_exported_as_one() -> None:
    """With one text a row, the vector of the other type is as it was drawn."""
    tensors = tensors_of(*drawn(THREE, DISCRIMINATOR))
    rules = FAMILY.rules(THREE, DISCRIMINATOR)
    assert token_types_used(tensors, rules) == 2
    assert with_unused_token_types(tensors, rules, 2).keys() == tensors.keys()
    filled = with_unused_token_types(tensors, rules, 1)
    assert token_types_used(filled, rules) == 1
    changed = {name for name, tensor in tensors.items() if (filled[name] != tensor).any()}
    assert len(changed) == sum(THREE.block_sizes) + THREE.num_decoder_layers
    for name in changed:
        assert name.endswith(".attention.seg_embed")
        np.testing.assert_array_equal(filled[name], tensors[name][[1, 1]])


def test_the_recipe_says_what_it_amounts_to() -> None:
    recipe, words = funnel_kor_base.training, funnel_kor_base.__doc__ or ""
    header = RecordsHeader(
        layout="full_sentences", length=512, vocabulary_size=42_000, token_dtype="uint16", pad_id=0, unk_id=1, cls_id=2, sep_id=3,
        mask_id=4, reserved_ids=tuple(range(5)), word_unit="token", tokenizer_sha256="", rows={}, tokens={}, fingerprint="",
    )  # fmt: skip
    objective = objective_of(recipe, header)
    flops = recipe.global_batch_size * objective.flops_per_row()
    days = flops * recipe.max_steps / (8 * 61.5e12 * 0.45) / 86_400
    for figure in (
        f"{objective.parts.parameter_count():,} with the generator",
        f"{flops:.1e} FLOPs a step".replace("e+", "e"),
        f"{days:.1f} days on a v3-8",
    ):
        assert figure in words
