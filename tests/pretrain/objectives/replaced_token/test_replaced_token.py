"""What replaced-token detection promises: what is sampled and from what, what is learnt from it, what the two models share."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special as scipy_special
import scipy.stats as scipy_stats
from tiny_run import LENGTH, TINY, VOCABULARY, changed, write_records

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.records import Records, RecordsHeader
from data_pipeline.contract.tokenizer import Tokenizer
from pretrain.devices.sharding import batch_sharding, make_mesh
from pretrain.hugging_face.weights import flatten
from pretrain.input.batches import Batch, TrainingBatches
from pretrain.job import objective_of
from pretrain.models.electra.config import ElectraConfig
from pretrain.models.electra.model import Electra
from pretrain.objectives.corruption.recipe import Masking
from pretrain.objectives.replaced_token.objective import ReplacedTokenDetection
from pretrain.objectives.replaced_token.recipe import Generator, ReplacedToken
from pretrain.objectives.replaced_token.sampling import put_at, sample_tokens
from pretrain.optimization.step import make_steps
from pretrain.recipe import Mesh

ELECTRA = ElectraConfig(
    num_hidden_layers=2, hidden_size=32, embedding_size=24, num_attention_heads=4, intermediate_size=64,
    max_position_embeddings=LENGTH, hidden_dropout_prob=0.0,
)  # fmt: skip
RECIPE = changed(TINY, model=ELECTRA, objective=ReplacedToken(generator=Generator(hidden_share=0.5, layers_share=0.5)))
ROWS, PREDICTIONS, PADDED = 8, 5, 256


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("records") / "examples"
    write_records(folder)
    return folder


@cache
def header_of(folder: Path) -> RecordsHeader:
    return Records(folder, "train").header


def made(folder: Path, **fields: Any) -> ReplacedTokenDetection:
    objective = objective_of(changed(RECIPE, **fields), header_of(folder))
    assert isinstance(objective, ReplacedTokenDetection)
    return objective


@cache
def batch_of(folder: Path, step: int = 0, rows: int = ROWS) -> Batch:
    sharding = batch_sharding(make_mesh(Mesh(1, 1, 1), jax.devices()[:1]))
    records = Records(folder, "train")
    return TrainingBatches(records, seed=0, global_batch_size=rows, accumulation=1, sharding=sharding)(step)


@cache
def first(folder: Path) -> tuple[Any, Any]:
    """Parameters whose generator often says the commonest tokens, and the first microbatch."""
    objective = made(folder)
    prepared = jax.jit(objective.prepare)(batch_of(folder), 0)
    params = jax.jit(objective.init)()
    bias = params["generator"]["generator_lm_head"]["bias"]
    params["generator"]["generator_lm_head"]["bias"] = bias.at[5:9].set(4.0)
    return params, jax.tree.map(lambda array: array[0], prepared)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_tokens_are_drawn_from_the_softmax(temperature: float) -> None:
    draws, logits = 40_000, 2 * np.random.default_rng(0).standard_normal((2, 20)).astype(np.float32)
    keys = jax.vmap(lambda number: jax.random.key_data(jax.random.fold_in(jax.random.key(7), number)))(
        jnp.arange(draws)
    )
    drawn = np.asarray(jax.jit(lambda: sample_tokens(jnp.broadcast_to(logits, (draws, 2, 20)), keys, temperature))())
    for slot in range(2):
        expected = draws * scipy_special.softmax(logits[slot].astype(np.float64) / temperature)
        observed = np.bincount(drawn[:, slot], minlength=20)
        assert scipy_stats.chisquare(observed, expected).pvalue > 0.001
    together = np.histogram2d(drawn[:, 0], drawn[:, 1], bins=20, range=[[0, 20]] * 2)[0]
    kept = together[together.sum(1) > 400][:, together.sum(0) > 400]
    assert scipy_stats.chi2_contingency(kept).pvalue > 0.001, "the draws of two positions are independent"


def test_tokens_are_put_where_something_was_hidden_and_nowhere_else() -> None:
    tokens = jnp.arange(10, 18).reshape(1, 8)
    positions, chosen = jnp.array([[2, 5, 0]]), jnp.array([[99, 15, 77]])
    filled = put_at(tokens, positions, chosen, jnp.array([[1.0, 1.0, 0.0]]))
    assert filled.tolist() == [[10, 11, 99, 13, 14, 15, 16, 17]]


def test_what_is_drawn_depends_on_record_and_epoch_and_not_on_the_place_in_the_batch(folder: Path) -> None:
    objective, params = made(folder), first(folder)[0]

    @jax.jit
    def filled(batch: Batch, step: Any) -> Any:
        microbatch = jax.tree.map(lambda array: array[0], objective.prepare(batch, step))
        return objective.show(params, microbatch)["filled"]

    batch = batch_of(folder)
    order = np.random.default_rng(0).permutation(ROWS)
    shuffled = jax.tree.map(lambda array: array[:, order], batch)
    np.testing.assert_array_equal(filled(shuffled, 3), filled(batch, 0)[order])
    halves = [
        filled({name: values[:, half] for name, values in batch.items()}, 0) for half in (slice(0, 4), slice(4, 8))
    ]
    np.testing.assert_array_equal(np.concatenate(halves), filled(batch, 0))
    other_epoch = filled({**batch, "epochs": batch["epochs"] + 1}, 0)
    assert (other_epoch != filled(batch, 0)).any(axis=1).all()
    keys = {step: jax.jit(objective.prepare)(batch, step)["sample_keys"].tobytes() for step in (0, None)}
    assert keys[0] != keys[None], "held-out rows have samples of their own"


def test_static_masks_come_back_and_are_filled_anew(folder: Path) -> None:
    objective = made(folder, objective={"masking": {"static_masks": 1}})
    batch = batch_of(folder)
    one, other = (jax.jit(objective.prepare)({**batch, "epochs": batch["epochs"] + epoch}, 0) for epoch in range(2))
    np.testing.assert_array_equal(one["inputs"], other["inputs"])
    assert (one["sample_keys"] != other["sample_keys"]).any(-1).all()


def test_losses_are_googles(folder: Path) -> None:
    """The generator's over hidden tokens, those that stayed too; the discriminator's over all real tokens, where a token counts as
    replaced that is not the original, whoever put it there."""
    objective, (params, microbatch) = made(folder), first(folder)
    sums = jax.jit(objective.loss_sums)(params, microbatch, None)
    assert microbatch["positions"].shape[1] == PREDICTIONS
    shown = jax.device_get(jax.jit(objective.show)(params, microbatch))
    tokens, real = np.asarray(microbatch["tokens"]), np.asarray(microbatch["tokens"]) != 0
    replaced = shown["filled"] != tokens
    hidden = np.zeros_like(real)
    for row, position in zip(*np.nonzero(np.asarray(microbatch["weights"])), strict=True):
        hidden[row, microbatch["positions"][row, position]] = True
    assert not (replaced & ~hidden).any()
    assert 0 < replaced.sum() < hidden.sum()
    stayed = hidden & (np.asarray(microbatch["inputs"]) == tokens)
    assert stayed.any()
    assert (replaced & stayed).any(), "a token that the generator saw is sampled like any other"
    probability = np.where(replaced, shown["probabilities"], 1 - shown["probabilities"])
    of_discriminator = sums["discriminator"]
    assert of_discriminator["loss_sum"] == pytest.approx(-np.log(probability)[real].sum(), rel=1e-4)
    assert of_discriminator["weight_sum"] == real.sum() == microbatch["real_tokens"].sum()
    assert (of_discriminator["replacements"].sum(), of_discriminator["originals"].sum()) == (
        replaced.sum(), (real & ~replaced).sum(),
    )  # fmt: skip
    assert sums["generator"]["weight_sum"] == hidden.sum()
    metrics = objective.metrics(sums)
    both = metrics["generator_loss"] + 50 * metrics["discriminator_loss"]
    assert float(metrics["loss"]) == pytest.approx(float(both), rel=1e-5)
    assert float(metrics["sampled_accuracy"]) == pytest.approx(1 - replaced.sum() / hidden.sum(), rel=1e-5)
    totals = objective.totals(microbatch)
    assert {name: float(total) for name, total in totals.items()} == {
        name: float(of_loss["weight_sum"]) for name, of_loss in sums.items()
    }


def test_the_discriminators_loss_does_not_reach_the_generator_and_the_generators_reaches_what_is_shared(
    folder: Path,
) -> None:
    objective, (params, microbatch) = made(folder), first(folder)
    for loss, reaches in (
        ("discriminator", lambda path: path.startswith("discriminator/")),
        ("generator", lambda path: path.startswith(("generator/", "discriminator/electra/embeddings/"))),
    ):
        gradient = jax.jit(
            jax.grad(lambda params, loss=loss: objective.loss_sums(params, microbatch, None)[loss]["loss_sum"])
        )(params)
        for path, leaf in flatten(gradient):
            assert bool(np.any(leaf)) == reaches(path), path


def test_what_is_shared_is_one_array_with_one_state(folder: Path) -> None:
    for optimizer in ("adamw", "muon"):
        recipe = changed(RECIPE, optimizer={"name": optimizer})
        state = make_steps(objective_of(recipe, header_of(folder)), recipe, make_mesh(Mesh(1, 1, 1), jax.devices()[:1]))
        paths = {path for path, _ in flatten(state.abstract_state["params"])}
        tables = {path for path in paths if "/embeddings/" in path}
        assert len(tables) == 5
        assert all(path.startswith("discriminator/electra/embeddings/") for path in tables)
        assert {"generator/electra/embeddings_project/bias"} < paths
    own = made(folder, objective={"shared_embeddings": False})
    paths = {path for path, _ in flatten(jax.eval_shape(own.init))}
    assert len({path for path in paths if "/embeddings/" in path}) == 10


@pytest.mark.parametrize("shared", [True, False])
def test_parameters_are_counted_once_without_heads_and_padding(folder: Path, shared: bool) -> None:
    objective = made(folder, objective={"shared_embeddings": shared})
    leaves = dict(flatten(jax.eval_shape(objective.init)))
    body = sum(leaf.size for path, leaf in leaves.items() if path.split("/")[1] == "electra")
    tables = 1 if shared else 2
    assert objective.parts.parameter_count() == body - tables * (PADDED - VOCABULARY) * ELECTRA.embedding_size


def test_the_generator_scores_the_vocabulary_at_hidden_positions_alone(folder: Path) -> None:
    objective, (params, microbatch) = made(folder), first(folder)
    program = jax.jit(jax.grad(lambda params: objective.loss_sums(params, microbatch, None)["generator"]["loss_sum"]))
    text = program.lower(params).as_text()
    assert f"tensor<{ROWS}x{PREDICTIONS}x{PADDED}xf32>" in text
    assert f"{ROWS}x{LENGTH}x{PADDED}" not in text
    assert f"<{ROWS * LENGTH}x{PADDED}" not in text


def test_samples_are_drawn_from_float32_also_in_bfloat16(folder: Path) -> None:
    objective, (params, microbatch) = made(folder, compute_dtype="bfloat16"), first(folder)
    shapes = jax.eval_shape(lambda: objective._detect(params, microbatch, None))
    assert shapes.logits.dtype == shapes.scores.dtype == jnp.float32
    metrics = objective.metrics(jax.jit(objective.loss_sums)(params, microbatch, None))
    assert all(np.isfinite(value) for value in metrics.values())


def test_dropout_differs_between_the_two_models(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[jax.Array] = []

    def encode(model: Electra, _: Any, inputs: Any, *, dropout_key: jax.Array) -> jax.Array:
        seen.append(jax.random.key_data(dropout_key))
        return jnp.zeros((*inputs.tokens.shape, model.config.hidden_size))

    monkeypatch.setattr(Electra, "encode", encode)
    keys = jax.vmap(lambda row: jax.random.fold_in(jax.random.key(0), row))(jnp.arange(ROWS))

    @jax.jit
    def of_generator_and_discriminator(params: Any, microbatch: Any) -> list[jax.Array]:
        made(folder).loss_sums(params, microbatch, keys)
        return seen

    generators, discriminators = of_generator_and_discriminator(*first(folder))
    assert (generators != discriminators).any(-1).all()


def test_a_row_in_words_tells_what_was_replaced_and_what_is_suspected(folder: Path) -> None:
    objective, tokenizer = made(folder), Tokenizer(folder.parent / "vocabulary")
    names = tokenizer.pieces
    row = {
        "tokens": np.array([[2, 10, 11, 12, 13, 3, 0]]),
        "inputs": np.array([[2, 4, 11, 4, 13, 3, 0]]),
        "positions": np.array([[1, 3, 4]]),
        "weights": np.array([[1.0, 1.0, 1.0]]),
    }
    (masked,) = objective.spell(row, tokenizer)
    assert masked.text.split()[1:5] == [
        f"[MASK]{{{names[10]}}}",
        names[11],
        f"[MASK]{{{names[12]}}}",
        f"{names[13]}{{{names[13]}}}",
    ]
    assert (masked.heading, masked.right, masked.tokens) == ("6 tokens, 3 hidden (50.0%) {original}", "", 6)
    filled = {
        "filled": np.array([[2, 20, 11, 21, 13, 3, 0]]),
        "probabilities": np.array([[0, 0.9, 0.7, 0.2, 0.1, 0, 1.0]]),
    }
    (told,) = objective.spell(row | filled, tokenizer)
    expected = (
        f"[CLS] {names[20]}{{{names[10]} 0.90}} {names[11]}{{0.70}} {names[21]}{{{names[12]} 0.20}} {names[13]} [SEP]"
    )
    assert told.text == expected
    assert told.heading == "6 tokens, 3 hidden (50.0%), 2 replaced {original probability}"
    assert told.right == "1 of 2 found, false alarms 1"


def test_recipes_that_cannot_be_are_refused(folder: Path) -> None:
    with pytest.raises(InputError, match="model is a BertConfig, which has no generator"):
        objective_of(changed(RECIPE, model=TINY.model), header_of(folder))
    with pytest.raises(InputError, match=r"--training\.objective\.masking\.max-predictions 33: must be 1 to 32"):
        made(folder, objective={"masking": Masking(max_predictions=33)})
    pairs = replace(header_of(folder), layout="sentence_pairs")
    with pytest.raises(InputError, match=r"--training\.model\.type-vocab-size 1: sentence pairs need 2 token types"):
        objective_of(changed(RECIPE, model={"type_vocab_size": 1}), pairs)
    assert objective_of(RECIPE, pairs).layouts == ("packed", "full_sentences", "sentence_pairs", "sentence_order")
