"""What is predicted, what a step computes on any mesh, and what people read."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_run import LENGTH, SPECIALS, TINY, VOCABULARY, changed, untimed, write_records

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.records import Records, RecordsHeader
from data_pipeline.contract.run_folder import RunFolder
from data_pipeline.contract.tokenizer import Tokenizer
from pretrain.checkpoints.resume import bound
from pretrain.devices.sharding import batch_sharding, make_mesh
from pretrain.input.batches import TrainingBatches
from pretrain.job import objective_of
from pretrain.models.gpt2.config import GPT2Config
from pretrain.monitoring.inspect import print_batch
from pretrain.objectives.causal_lm.objective import CausalLanguageModelling
from pretrain.objectives.causal_lm.recipe import CausalLM, Continuation
from pretrain.objectives.masked_lm.recipe import MaskedLM
from pretrain.optimization.step import compile_train_step, make_steps
from pretrain.recipe import TrainingRecipe
from pretrain.train import train

pytestmark = pytest.mark.usefixtures("shared_programs")
CAUSAL: TrainingRecipe = changed(
    TINY,
    model=GPT2Config(n_layer=2, n_embd=32, n_head=2, n_positions=LENGTH, embd_pdrop=0.1, attn_pdrop=0.1),
    objective=CausalLM(chunk=12, sample=Continuation(prompt=6, tokens=5)),
)


@pytest.fixture(scope="module")
def causal_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("causal") / "examples"
    write_records(folder, layout="causal")
    return folder


def objective(header: RecordsHeader) -> CausalLanguageModelling:
    made = objective_of(CAUSAL, header)
    assert isinstance(made, CausalLanguageModelling)
    return made


def batch_of(rows: list[list[int]]) -> dict[str, jax.Array]:
    """One microbatch of rows of tokens."""
    tokens = np.array([row + [0] * (LENGTH - len(row)) for row in rows], np.uint16)[None]
    bits = np.zeros((*tokens.shape[:2], LENGTH // 8), np.uint8)
    ids = np.arange(len(rows), dtype=np.int32)[None]
    arrays = {"tokens": tokens, "word_starts": bits, "segment_starts": bits, "record_ids": ids, "epochs": 0 * ids}
    return jax.tree.map(jnp.asarray, arrays)


def test_each_token_but_the_last_of_a_row_predicts_the_next(causal_folder: Path) -> None:
    full, half = list(range(5, 5 + LENGTH)), [7, 8, SPECIALS["sep_id"], 9]
    learns = objective(Records(causal_folder, "train").header)
    found = jax.tree.map(np.asarray, learns.prepare(batch_of([full, half, []]), jnp.int32(0)))
    np.testing.assert_array_equal(found["labels"][0, 0, :-1], full[1:])
    np.testing.assert_array_equal(found["labels"][0, 1, :3], half[1:])
    np.testing.assert_array_equal(found["weights"][0].sum(-1), [LENGTH - 1, 3, 0])
    assert found["weights"][0, 0, -1] == 0
    np.testing.assert_array_equal(found["attended_pairs"][0], [LENGTH * (LENGTH + 1) // 2, 10, 0])
    np.testing.assert_array_equal(found["real_tokens"][0], [LENGTH, 4, 0])
    np.testing.assert_array_equal(found["row_weights"][0], [1, 1, 0])
    np.testing.assert_array_equal(found["position_ids"][0, 1], np.arange(LENGTH))  # also behind the end of a text
    assert learns.totals(found) == {"causal_lm": LENGTH - 1 + 3}


def test_a_row_takes_the_flops_of_what_is_attended(causal_folder: Path) -> None:
    learns = objective(Records(causal_folder, "train").header)
    layers, width, pairs = 2, 32, LENGTH * (LENGTH + 1) / 2
    weights = layers * 12 * width * width * LENGTH + width * VOCABULARY * (LENGTH - 1)
    assert learns.flops_per_row() == 6 * (weights + layers * 2 * width * pairs)
    assert learns.flops_per_row(0) == 6 * weights


@cache
def losses(folder: Path, recipe: TrainingRecipe, devices: int) -> np.ndarray:
    """Loss, right answers and gradient norm of the first steps."""
    records = Records(folder, "train")
    mesh = make_mesh(recipe.mesh, jax.devices()[:devices])
    steps = make_steps(objective_of(recipe, records.header), recipe, mesh)
    batches = TrainingBatches(
        records, seed=0, global_batch_size=16, accumulation=recipe.accumulation, sharding=batch_sharding(mesh)
    )
    state, step = steps.init(), compile_train_step(steps, batches(0))
    found = []
    for number in range(3):
        state, metrics = step(state, batches(number))
        right = metrics["sums"]["causal_lm"]["correct_sum"]
        found.append([float(value) for value in (metrics["loss"], right, metrics["grad_norm"])])
    return np.array(found)


@pytest.mark.parametrize(
    "fields",
    [
        {"accumulation": 4},
        pytest.param({"mesh": {"fsdp": 8, "data": 1}}, marks=pytest.mark.slow),
        pytest.param({"mesh": {"data": 8}, "accumulation": 2}, marks=pytest.mark.slow),
        pytest.param({"mesh": {"data": 4, "tensor": 2}}, marks=pytest.mark.slow),
        pytest.param({"objective": {"chunk": LENGTH}}, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_neither_mesh_nor_accumulation_nor_chunks_change_losses_and_dropout(
    fields: dict[str, Any], causal_folder: Path
) -> None:
    alone = losses(causal_folder, CAUSAL, 1)
    devices = 8 if "mesh" in fields else 1
    np.testing.assert_allclose(losses(causal_folder, changed(CAUSAL, **fields), devices), alone, rtol=1e-4)
    assert alone[0, 0] == pytest.approx(np.log(VOCABULARY), abs=0.15)
    assert alone[2, 0] < alone[0, 0] - 0.03


def test_a_run_that_was_stopped_resumes_bit_for_bit_and_shows_what_it_writes(
    new_run: Callable[..., RunFolder], capsys: pytest.CaptureFixture[str]
) -> None:
    whole, parts = new_run("whole", layout="causal"), new_run("parts", layout="causal")
    train(whole, "causal", CAUSAL)
    train(parts, "causal", changed(CAUSAL, stop_at_step=4))
    print_batch(parts, None, 1)
    shown = capsys.readouterr().out
    assert " -> " in shown
    assert "next tokens" in shown
    train(parts, "causal", CAUSAL)
    assert untimed(parts) == untimed(whole)
    evaluation = untimed(whole)[-1]
    assert 0 <= evaluation["evaluation_next_token_accuracy"] <= 1
    assert evaluation["evaluation_loss"] < np.log(VOCABULARY)


def test_how_rows_are_shown_and_computed_may_change_on_the_way() -> None:
    assert bound(changed(CAUSAL, objective={"chunk": 7, "sample": Continuation(tokens=3)})) == bound(CAUSAL)


def test_a_sample_belongs_to_its_record_and_begins_with_the_rows_own_tokens(causal_folder: Path, new_run: Any) -> None:
    run = new_run(layout="causal")
    learns = objective(Records(run.examples, "train").header)
    params, tokenizer = learns.init(), Tokenizer(run.vocabulary)
    rows = [list(range(5, 25)), list(range(30, 50)), [60, 61], []]
    show = jax.jit(lambda params, batch: learns.show(params, jax.tree.map(lambda a: a[0], learns.prepare(batch, None))))

    def written(params: Any, batch: dict[str, jax.Array]) -> np.ndarray:
        return np.asarray(show(params, batch)["written"])

    batch = batch_of(rows)
    found = written(params, batch)
    assert found.shape == (4, 11)
    np.testing.assert_array_equal(found[0, :6], rows[0][:6])
    np.testing.assert_array_equal(found[2, :2], rows[2])
    np.testing.assert_array_equal(found, written(params, batch))
    np.testing.assert_array_equal(found[::-1], written(params, jax.tree.map(lambda a: a[:, ::-1], batch)))
    other = {**batch, "record_ids": batch["record_ids"] + 7}
    assert (found[:2, 6:] != written(params, other)[:2, 6:]).any()

    shown = jax.device_get(show(params, batch))
    first, _, short, empty = learns.spell(shown, tokenizer)
    pieces = tokenizer.pieces
    assert first.text.startswith(" ".join(pieces[index] for index in rows[0][:6]) + " {")
    assert " ".join(pieces[index] for index in rows[0][6:11]) + " -> " in first.text
    assert first.heading == "20 tokens, 19 predicted"
    assert first.right.endswith("of 10 next tokens")
    assert short.text.startswith(f"{pieces[60]} {pieces[61]} {{ -> ")
    assert short.right.endswith("of 1 next tokens")
    assert empty.tokens == 0
    (alone, *_) = learns.spell({"inputs": shown["inputs"]}, tokenizer)
    assert alone.text == " ".join(pieces[index] for index in rows[0])
    assert not alone.right


def test_what_is_written_ends_with_the_text(causal_folder: Path, new_run: Any) -> None:
    run = new_run(layout="causal")
    learns = objective(Records(run.examples, "train").header)
    written = np.array([[10, 11, 12, 13, 14, 15, 20, SPECIALS["sep_id"], 21, 22, 23]])
    shown = {"inputs": written[:, ::-1], "written": written, "predictions": written}
    (row,) = learns.spell(shown, Tokenizer(run.vocabulary))
    assert row.text.endswith(f"{Tokenizer(run.vocabulary).pieces[20]} [SEP]}}")


@pytest.mark.parametrize(
    ("fields", "layout", "words"),
    [
        ({"model": TINY.model}, "causal", "BertConfig, which has no head next_token"),
        ({"objective": MaskedLM()}, "causal", "GPT2Config, which has no head vocabulary"),
        ({}, "packed", "layout packed, which causal-LM of this model does not take; prepare others: causal"),
        ({"model": {"n_positions": 16}}, "causal", "--training.model.n-positions 16: the records' rows have 32 tokens"),
    ],
)
def test_what_does_not_go_together_is_refused(
    fields: dict[str, Any], layout: Any, words: str, causal_folder: Path
) -> None:
    header = replace(Records(causal_folder, "train").header, layout=layout)
    with pytest.raises(InputError, match=words):
        objective_of(changed(CAUSAL, **fields), header)
