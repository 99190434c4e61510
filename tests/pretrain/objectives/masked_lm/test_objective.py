"""Which masks a record gets as it is read again and again, and what each layout is trained by."""

from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding
from tiny_run import TINY, changed

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.records import Layout, Records, RecordsHeader, read_header
from pretrain.devices.sharding import batch_sharding, make_mesh
from pretrain.input.batches import Batch, TrainingBatches
from pretrain.job import make_job, objective_of
from pretrain.models.albert.config import AlbertConfig
from pretrain.recipe import Mesh


@pytest.fixture(scope="module")
def one_device() -> NamedSharding:
    return batch_sharding(make_mesh(Mesh(1, 1, 1), jax.devices()[:1]))


def masks_by_epoch(
    folder: Path, sharding: NamedSharding, static_masks: int | None, batch_size: int
) -> dict[int, dict[int, bytes]]:
    """What the model sees of each record: {epoch: {record: inputs}} over the first three and a half epochs."""
    records = Records(folder, "train")
    objective = objective_of(changed(TINY, objective={"masking": {"static_masks": static_masks}}), records.header)
    batches = TrainingBatches(records, seed=0, global_batch_size=batch_size, accumulation=1, sharding=sharding)
    prepare = jax.jit(objective.prepare)
    seen: dict[int, dict[int, bytes]] = {}
    for step in range(7 * len(records) // (2 * batch_size)):
        batch = batches(step)
        inputs = np.asarray(prepare(batch, step)["inputs"])[0]
        for record, epoch, row in zip(batch["record_ids"][0], batch["epochs"][0], inputs, strict=True):
            seen.setdefault(int(epoch), {})[int(record)] = row.tobytes()
    return seen


def test_every_epoch_masks_a_record_anew_whatever_the_batch_size(
    records_folder: Path, one_device: NamedSharding
) -> None:
    seen = masks_by_epoch(records_folder, one_device, None, 25)
    assert list(seen) == [0, 1, 2, 3]
    assert all(len({seen[epoch][record] for epoch in range(3)}) == 3 for record in range(50))
    assert masks_by_epoch(records_folder, one_device, None, 5) == seen


def test_static_masks_come_back_in_turn(records_folder: Path, one_device: NamedSharding) -> None:
    seen = masks_by_epoch(records_folder, one_device, 2, 25)
    assert seen[0] == seen[2]
    assert seen[1].items() >= seen[3].items()
    assert all(seen[0][record] != seen[1][record] for record in range(50))
    assert seen[0] == masks_by_epoch(records_folder, one_device, None, 25)[0]


def metrics_of(folder: Path, header: RecordsHeader, sharding: NamedSharding) -> dict[str, float]:
    """What the first batch scores at step 0, if its records had this header."""
    objective = objective_of(TINY, header)
    batches = TrainingBatches(Records(folder, "train"), seed=0, global_batch_size=4, accumulation=1, sharding=sharding)

    @jax.jit
    def metrics(batch: Batch) -> dict[str, jax.Array]:
        prepared = jax.tree.map(lambda array: array[0], objective.prepare(batch, jnp.int32(0)))
        return objective.metrics(objective.loss_sums(objective.init(), prepared, None))

    return {name: float(value) for name, value in metrics(batches(0)).items()}


@pytest.mark.slow
def test_sentence_order_is_learnt_as_the_next_sentence_is_under_its_own_name(
    pairs_folder: Path, one_device: NamedSharding
) -> None:
    header = read_header(pairs_folder)
    pairs = metrics_of(pairs_folder, header, one_device)
    order = metrics_of(pairs_folder, replace(header, layout="sentence_order"), one_device)
    assert pairs == {name.replace("sentence_order", "next_sentence"): value for name, value in order.items()}
    assert order.keys() == {
        "loss",
        "masked_lm_loss",
        "masked_accuracy",
        "sentence_order_loss",
        "sentence_order_accuracy",
    }
    assert order["sentence_order_loss"] == pytest.approx(np.log(2), abs=0.1)


@pytest.mark.parametrize("layout", ["packed", "sentence_pairs", "sentence_order"])
def test_a_card_tells_the_masked_lm_loss_apart_from_that_of_pairs(
    records_folder: Path, pairs_folder: Path, layout: Layout
) -> None:
    header = replace(read_header(records_folder if layout == "packed" else pairs_folder), layout=layout)
    objective = objective_of(TINY, header)
    sums = {loss: dict.fromkeys(("loss_sum", "correct_sum", "weight_sum"), jnp.ones(())) for loss in objective.weights}
    told = [headline.metric for headline in TINY.objective.held_out(header.pair_task)]
    assert set(told) <= objective.metrics(sums).keys()
    if header.has_pairs:
        assert told[0] == "masked_lm_loss"
        assert told[2:] == [f"{header.pair_task}_loss", f"{header.pair_task}_accuracy"]


@pytest.mark.parametrize(
    ("layout", "model", "known"),
    [
        ("packed", None, True),
        ("sentence_pairs", None, True),
        ("sentence_order", None, False),
        ("sentence_order", AlbertConfig(), True),
        ("sentence_pairs", AlbertConfig(), False),
    ],
)
def test_pairs_that_the_family_is_not_known_for_are_told(
    pairs_folder: Path, layout: Layout, model: AlbertConfig | None, known: bool
) -> None:
    header = replace(read_header(pairs_folder), layout=layout)
    job = make_job(replace(TINY, model=model or TINY.model), [header])
    warnings = [warning for warning in job.warnings if "prediction" in warning]
    assert bool(warnings) == (not known)
    if not known:
        assert f"train {header.pair_task.replace('_', '-')} prediction: " in warnings[0]


def test_positions_that_no_row_reaches_are_told_unless_a_start_may_have_trained_them(records_folder: Path) -> None:
    header = read_header(records_folder)
    longer = changed(TINY, model={"max_position_embeddings": 64})
    (told,) = make_job(longer, [header]).warnings
    assert told.startswith(
        "--training.model.max-position-embeddings 64: the longest rows have 32 tokens, so that positions 33 to 64 are"
    )
    assert told.endswith("or set it to 32")
    assert make_job(TINY, [header]).warnings == ()
    assert make_job(replace(longer, start_from=("somewhere",)), [header]).warnings == ()


def test_full_sentences_are_learnt_by_masked_language_modelling_alone(
    records_folder: Path, one_device: NamedSharding
) -> None:
    header = replace(read_header(records_folder), layout="full_sentences")
    assert metrics_of(records_folder, header, one_device).keys() == {"loss", "masked_lm_loss", "masked_accuracy"}


@pytest.mark.parametrize("layout", ["causal", "source_target"])
def test_a_layout_that_no_objective_takes_is_refused(records_folder: Path, layout: Layout) -> None:
    header = replace(read_header(records_folder), layout=layout)
    with pytest.raises(
        InputError, match=rf"layout {layout}, which masked-LM of this model does not take; .* packed, full_sentences,"
    ):
        objective_of(TINY, header)
