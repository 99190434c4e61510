"""Which masks a record gets as it is read again and again."""

from pathlib import Path

import jax
import numpy as np
import pytest
from jax.sharding import NamedSharding
from tiny_run import TINY, changed

from data_pipeline.contract.records import Records
from pretrain.batches import TrainingBatches
from pretrain.objectives.bert_pretraining import make_objective
from pretrain.recipe import Mesh
from pretrain.sharding import batch_sharding, make_mesh


@pytest.fixture(scope="module")
def one_device() -> NamedSharding:
    return batch_sharding(make_mesh(Mesh(1, 1, 1), jax.devices()[:1]))


def masks_by_epoch(
    folder: Path, sharding: NamedSharding, static_masks: int | None, batch_size: int
) -> dict[int, dict[int, bytes]]:
    """What the model sees of each record: {epoch: {record: inputs}} over the first three and a half epochs."""
    records = Records(folder, "train")
    objective = make_objective(changed(TINY, masking={"static_masks": static_masks}), records.header)
    batches = TrainingBatches(records, seed=0, global_batch_size=batch_size, accumulation=1, sharding=sharding)
    mask = jax.jit(objective.training_masks)
    seen: dict[int, dict[int, bytes]] = {}
    for step in range(7 * len(records) // (2 * batch_size)):
        batch = batches(step)
        inputs = np.asarray(mask(batch)["inputs"])[0]
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
