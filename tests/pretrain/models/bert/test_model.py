"""What the BERT model promises without torch: sizes, packing, memory switches, dropout, padding of the vocabulary, sharding rules."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.sharding import NamedSharding, PartitionSpec
from matrix_products import multiply_adds

from data_pipeline.contract.errors import InputError
from pretrain.devices.sharding import make_mesh, parameter_shardings
from pretrain.models.bert.config import BertConfig
from pretrain.models.bert.family import rules
from pretrain.models.bert.model import HEADS, Bert
from pretrain.models.config import RowShape
from pretrain.models.core.layers import Embedding, normal, parameters
from pretrain.models.core.vocabulary import PADDED_LOGIT, ROW_MULTIPLE
from pretrain.models.parameter_rules import rule_of
from pretrain.models.protocols import Compute, Inputs
from pretrain.recipe import Mesh

TINY = BertConfig(
    num_hidden_layers=2,
    hidden_size=16,
    num_attention_heads=2,
    intermediate_size=32,
    max_position_embeddings=24,
    initializer_range=0.2,
)
VOCAB = 150
MASKED_LM = frozenset({"vocabulary"})


@pytest.fixture(autouse=True)
def _exact_products() -> Any:
    with jax.default_matmul_precision("highest"):
        yield


def tiny(config: BertConfig = TINY, heads: frozenset[str] = HEADS, **choices: Any) -> Bert:
    return Bert(config, VOCAB, heads, Compute(**choices))


@functools.cache
def drawn() -> Any:
    """Parameters of the tiny model; compiled as a whole, since one operation at a time takes seconds."""
    return jax.jit(tiny().init)(jax.random.key(0))


def batch(rows: int = 2, length: int = 12) -> Inputs:
    random = np.random.default_rng(0)
    segments = np.ones((rows, length), np.int32)
    segments[1:, length - 4 :] = 0
    return Inputs(
        tokens=jnp.asarray(random.integers(0, VOCAB, (rows, length)), jnp.uint16),
        segments=jnp.asarray(segments),
        positions=jnp.broadcast_to(jnp.arange(length), (rows, length)),
        token_types=jnp.asarray(random.integers(0, 2, (rows, length))),
    )


def loss(model: Bert, params: Any, key: jax.Array | None = None) -> jax.Array:
    hidden = model.encode(params, batch(), dropout_key=key)
    words = jax.nn.log_softmax(model.vocabulary_logits(params, hidden[:, 1:4]))[..., 5]
    return -words.mean() - jax.nn.log_softmax(model.pair_logits(params, hidden))[:, 1].mean()


def leaves(tree: Any) -> dict[str, Any]:
    flat, _ = jax.tree.flatten_with_path(tree)
    return {"/".join(key.key for key in path): leaf for path, leaf in flat}


def shapes(model: Bert) -> dict[str, jax.ShapeDtypeStruct]:
    return leaves(jax.eval_shape(model.init, jax.random.key(0)))


@pytest.mark.parametrize(("config", "vocab_size"), [(BertConfig(), 32000), (TINY, 256)])
def test_init_has_as_many_parameters_as_the_config_says(config: BertConfig, vocab_size: int) -> None:
    for heads in (HEADS, MASKED_LM):
        model = Bert(config, vocab_size, heads, Compute(compute_dtype="bfloat16"))
        body = sum(leaf.size for path, leaf in shapes(model).items() if path.startswith("bert/"))
        assert body == config.parameter_count(vocab_size, heads)


def test_klue_bert_base_has_its_published_size() -> None:
    model = Bert(BertConfig(), 32000, HEADS, Compute(compute_dtype="bfloat16"))
    assert sum(leaf.size for path, leaf in shapes(model).items() if path.startswith("bert/")) == 110_617_344


def test_the_flops_of_a_row_are_its_products_counted_one_by_one() -> None:
    """Of the forward pass in its jaxpr, times three."""
    row = RowShape(length=12, target_length=0, vocabulary_size=256, predictions=3)
    model, inputs = Bert(TINY, 256, MASKED_LM, Compute()), batch(rows=1)

    def forward(params: Any) -> jax.Array:
        hidden = model.encode(params, inputs)
        return model.vocabulary_logits(params, hidden[:, : row.predictions])

    params = jax.eval_shape(model.init, jax.random.key(0))
    assert TINY.flops_per_row(row, MASKED_LM) == 3 * 2 * multiply_adds(jax.make_jaxpr(forward)(params).jaxpr)


def test_attention_counts_the_pairs_that_attend_and_no_others() -> None:
    row = RowShape(length=12, target_length=0, vocabulary_size=256, predictions=3)
    whole = TINY.flops_per_row(row, MASKED_LM)
    assert TINY.flops_per_row(row._replace(attended=12.0 * 12), MASKED_LM) == whole
    thirds = TINY.flops_per_row(row._replace(attended=3 * 4.0 * 4), MASKED_LM)
    scores_and_values = 2 * TINY.hidden_size * TINY.num_hidden_layers
    assert whole - thirds == 3 * 2 * scores_and_values * (12 * 12 - 3 * 4 * 4)


def test_parameters_start_as_in_hugging_face() -> None:
    params = leaves(drawn())
    for path, leaf in params.items():
        assert leaf.dtype == jnp.float32
        if path.endswith("/bias"):
            assert not leaf.any(), path
        elif path.endswith("/scale"):
            assert (leaf == 1).all(), path
        else:
            real = leaf[:VOCAB] if "word" in path else leaf
            assert abs(float(real.std()) / TINY.initializer_range - 1) < 6 / real.size**0.5, path
            assert abs(float(real.mean())) < 5 * TINY.initializer_range / real.size**0.5, path


def test_a_truncated_start_draws_nothing_beyond_two_deviations() -> None:
    """As tf.truncated_normal_initializer, whose values keep 0.8796 of the deviation; the default draws 4.6 % beyond."""
    params = jax.jit(tiny(BertConfig(**(vars(TINY) | {"initializer": "truncated_normal"}))).init)(jax.random.key(0))
    for path, leaf in leaves(params).items():
        if path.endswith(("kernel", "embedding")):
            real = np.asarray(leaf[:VOCAB] if "word" in path else leaf)
            assert np.abs(real).max() <= 2 * TINY.initializer_range, path
            assert abs(real.std() / (0.8796 * TINY.initializer_range) - 1) < 6 / real.size**0.5, path
    kernels = [np.asarray(leaf) for path, leaf in leaves(drawn()).items() if path.endswith("kernel")]
    assert max(np.abs(kernel).max() for kernel in kernels) > 3 * TINY.initializer_range


def test_the_pair_head_switches_its_parameters_only() -> None:
    extra = shapes(tiny()).keys() - shapes(tiny(heads=MASKED_LM)).keys()
    assert {path.rsplit("/", 1)[0] for path in extra} == {"bert/pooler/dense", "cls/seq_relationship"}


def test_real_rows_of_the_word_table_do_not_depend_on_its_padding() -> None:
    plain, padded = (
        parameters(Embedding(VOCAB, 16, draw=normal(0.2), rngs=nnx.Rngs(3), padding_rows=rows))["embedding"]
        for rows in (0, 106)
    )
    np.testing.assert_array_equal(padded[:VOCAB], plain)
    assert not padded[VOCAB:].any()
    table = drawn()["bert"]["embeddings"]["word_embeddings"]["embedding"]
    assert table.shape[0] == 256
    assert table.shape[0] % ROW_MULTIPLE == 0
    assert table[:VOCAB].any(axis=1).all()
    assert not table[VOCAB:].any()


def test_padding_rows_never_win_and_never_learn() -> None:
    model, params = tiny(), drawn()
    # Every real logit is far below zero: a padding row left alone would win with its 0.
    low = jax.tree.map(lambda leaf: leaf, params)
    low["cls"]["predictions"]["bias"] = params["cls"]["predictions"]["bias"] - 1e4
    hidden = jax.random.normal(jax.random.key(1), (2, 12, 16))
    logits = jax.jit(model.vocabulary_logits)(low, hidden)
    assert logits.dtype == jnp.float32
    assert logits.shape == (2, 12, 256)
    assert (logits[..., VOCAB:] == PADDED_LOGIT).all()
    assert logits.argmax(-1).max() < VOCAB
    assert (jax.nn.softmax(logits)[..., VOCAB:] == 0).all()
    gradients = jax.jit(jax.grad(lambda params: loss(model, params)))(params)
    assert not gradients["bert"]["embeddings"]["word_embeddings"]["embedding"][VOCAB:].any()
    assert not gradients["cls"]["predictions"]["bias"][VOCAB:].any()
    assert gradients["cls"]["predictions"]["bias"][:VOCAB].any()


def test_packed_rows_equal_rows_alone() -> None:
    model, params = tiny(), drawn()
    score = jax.jit(lambda batch: model.vocabulary_logits(params, model.encode(params, batch))[..., :VOCAB])
    whole = batch(rows=1, length=12)
    cut, length = 6, 12
    packed = whole._replace(
        positions=jnp.concatenate([jnp.arange(cut), jnp.arange(length - cut)])[None],
        segments=jnp.repeat(jnp.asarray([1, 2]), jnp.asarray([cut, length - cut]))[None],
    )
    together = score(packed)
    for part in (slice(0, cut), slice(cut, length)):
        alone = Inputs(*(array[:, part] for array in packed))
        np.testing.assert_allclose(together[:, part], score(alone), atol=2e-5)
    assert abs(score(packed._replace(segments=whole.segments)) - together).max() > 0.05


@functools.cache
def value_and_gradients(**choices: Any) -> tuple[jax.Array, Any]:
    """A weighted sum of the last hidden states with dropout on, and its gradients."""
    model, key = tiny(**choices), jax.random.key(7)
    weights = jax.random.normal(jax.random.key(8), (2, 12, TINY.hidden_size))

    def total(params: Any) -> jax.Array:
        return (weights * model.encode(params, batch(), dropout_key=key)).sum()

    return jax.jit(jax.value_and_grad(total))(drawn())


@pytest.mark.parametrize(("remat", "scan_unroll"), [("none", 2), ("full", 2), ("dots", 1), ("attention", 1)])
def test_remat_and_unrolling_never_change_the_result(remat: str, scan_unroll: int) -> None:
    expected, expected_gradients = value_and_gradients()
    value, gradients = value_and_gradients(remat=remat, scan_unroll=scan_unroll)
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4), gradients, expected_gradients)


def test_remat_full_keeps_less_memory() -> None:
    config = BertConfig(num_hidden_layers=6, hidden_size=64, num_attention_heads=2, intermediate_size=256)
    ids = jnp.zeros((4, 128), jnp.int32)

    def temporary_bytes(remat: str) -> int:
        model = tiny(config, remat=remat)

        def total(params: Any) -> jax.Array:
            return model.encode(params, Inputs(ids, ids, ids, ids)).sum()

        params = jax.eval_shape(model.init, jax.random.key(0))
        memory = jax.jit(jax.grad(total)).lower(params).compile().memory_analysis()
        assert memory is not None
        return int(memory.temp_size_in_bytes)

    assert temporary_bytes("full") < 0.7 * temporary_bytes("none")


@pytest.mark.parametrize(
    ("field", "implementation"), [("hidden_dropout_prob", "rbg"), ("attention_probs_dropout_prob", "threefry2x32")]
)
def test_dropout_changes_with_the_key_and_is_off_without(field: str, implementation: str) -> None:
    off = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    model = tiny(BertConfig(**(vars(TINY) | off | {field: 0.2})))
    encode = jax.jit(lambda model, key: model.encode(drawn(), batch(), dropout_key=key), static_argnums=0)
    first, again, second = (encode(model, jax.random.key(seed, impl=implementation)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert abs(first - second).max() > 0.01
    silent, unable = (encode(chosen, None) for chosen in (model, tiny(BertConfig(**(vars(TINY) | off)))))
    np.testing.assert_array_equal(silent, unable)
    assert abs(first - silent).max() > 0.01


def test_layers_draw_different_dropout() -> None:
    model = tiny(BertConfig(**(vars(TINY) | {"num_hidden_layers": 2, "hidden_dropout_prob": 0.5})))
    silent = jax.tree.map(jnp.zeros_like, drawn()["bert"]["encoder"]["layer"])
    encode = jax.jit(lambda params: model.encode(params, batch(), dropout_key=jax.random.key(0)))

    def dropped_by(layer: int) -> np.ndarray:
        """Which elements a layer dropped: it adds dropout(1000) and normalises, the other layer normalises only."""
        layers = jax.tree.map(lambda leaf: leaf[:2], silent)
        layers["output"]["dense"]["bias"] = jnp.zeros((2, 16)).at[layer].set(1e3)
        for output in (layers["output"], layers["attention"]["output"]):
            output["LayerNorm"]["scale"] = jnp.ones((2, 16))
        params = drawn() | {"bert": drawn()["bert"] | {"encoder": {"layer": layers}}}
        return np.asarray(encode(params) < 0)

    first, second = dropped_by(0), dropped_by(1)
    assert 0.4 < first.mean() < 0.6
    assert 0.4 < (first == second).mean() < 0.6


def test_bfloat16_stays_near_float32() -> None:
    params = drawn()

    def run(model: Bert) -> tuple[jax.Array, jax.Array, jax.Array]:
        hidden = model.encode(params, batch())
        return hidden, model.vocabulary_logits(params, hidden)[..., :VOCAB], model.pair_logits(params, hidden)

    hidden, words, pair = jax.jit(run, static_argnums=0)(tiny(compute_dtype="bfloat16"))
    _, expected, _ = jax.jit(run, static_argnums=0)(tiny())
    assert hidden.dtype == jnp.bfloat16
    assert words.dtype == pair.dtype == jnp.float32
    assert 0 < float(jnp.sqrt(jnp.square(words - expected).mean()) / expected.std()) < 0.03
    _, gradients = value_and_gradients(compute_dtype="bfloat16")
    gradients, expected = leaves(gradients), leaves(value_and_gradients()[1])
    for path, gradient in gradients.items():
        assert gradient.dtype == jnp.float32
        difference, size = float(jnp.linalg.norm(gradient - expected[path])), float(jnp.linalg.norm(expected[path]))
        # The key bias has no gradient in theory, so that only rounding is left of it.
        assert difference <= 0.05 * size or path.endswith("self/key/bias"), path


def test_an_id_beyond_a_table_is_not_clamped() -> None:
    wrong = batch()._replace(positions=jnp.full((2, 12), TINY.max_position_embeddings))
    assert jnp.isnan(jax.jit(lambda: tiny().encode(drawn(), wrong))()).all()


@pytest.mark.parametrize("heads", [HEADS, MASKED_LM])
def test_every_parameter_can_be_split_over_four_devices_along_each_axis(heads: frozenset[str]) -> None:
    model = Bert(BertConfig(), 32001, heads, Compute(compute_dtype="bfloat16"))
    for path, leaf in shapes(model).items():
        rule = rule_of(path, rules(model.config, heads))
        named = [name for axis in rule.axes if axis for name in ([axis] if isinstance(axis, str) else axis)]
        assert len(named) == len(set(named))
        assert set(named) <= {"fsdp", "tensor"}
        assert rule.stacked == ("encoder/layer/" in path), path
        assert not rule.stacked or leaf.shape[0] == 12
        for size, axis in zip(leaf.shape[rule.stacked :], rule.axes, strict=False):
            assert axis is None or size % 4 == 0, path


def test_devices_change_nothing_and_rows_stay_split() -> None:
    model = tiny()
    inputs = jax.tree.map(lambda array: jnp.tile(array, (2, 1)), batch())
    expected = jax.jit(model.encode)(drawn(), inputs)
    mesh = make_mesh(Mesh(data=2, fsdp=2, tensor=2))
    params = jax.device_put(drawn(), parameter_shardings(drawn(), rules(TINY, HEADS), mesh))
    rows = NamedSharding(mesh, PartitionSpec(("data", "fsdp")))
    with jax.set_mesh(mesh):
        hidden = jax.jit(model.encode)(params, jax.device_put(inputs, rows))
    assert hidden.sharding.is_equivalent_to(rows, hidden.ndim)
    np.testing.assert_allclose(hidden, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("config", "choices", "named"),
    [
        (BertConfig(hidden_size=100, num_attention_heads=12), {}, "num-attention-heads"),
        (BertConfig(vocab_size=99), {}, "vocab-size"),
        (TINY, {"remat": "some"}, "remat"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(config: BertConfig, choices: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError, match=named):
        tiny(config, **choices)
