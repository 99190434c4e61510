"""While the batch grows every row is read once, in order, whatever the accumulation, and empty microbatches change nothing."""

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tiny_run import changed, untimed

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.records import Records
from data_pipeline.contract.run_folder import RunFolder
from data_pipeline.contract.storage import write_json
from pretrain.checkpoints.facts import RECIPE_FILE
from pretrain.devices.sharding import batch_sharding, make_mesh
from pretrain.input.batch_sizes import BatchSizes
from pretrain.input.batches import TrainingBatches
from pretrain.monitoring.inspect import print_batch
from pretrain.recipe import BatchWarmup, Mesh, TrainingRecipe
from pretrain.recipe_upgrade import plain_recipe
from pretrain.train import train


def test_the_batch_grows_evenly_by_its_first_rows() -> None:
    sizes = BatchSizes(16, BatchWarmup(first_rows=4, steps=6))
    assert [sizes.of(step) for step in range(9)] == [4, 4, 8, 8, 12, 12, 16, 16, 16]
    assert [sizes.before(step) for step in range(9)] == [0, *itertools.accumulate([4, 4, 8, 8, 12, 12, 16, 16])]


def test_without_a_warmup_all_steps_are_full() -> None:
    assert [BatchSizes(16).before(step) for step in (0, 1, 1000)] == [0, 16, 16_000]


@pytest.mark.parametrize(
    ("warmup", "message"),
    [
        (BatchWarmup(first_rows=5, steps=4), "first-rows 5: must divide --training.global-batch-size 16"),
        (BatchWarmup(first_rows=4), r"--training\.batch-warmup\.steps 0: must be 1 or more"),
    ],
)
def test_a_warmup_that_does_not_fit_the_batch_is_refused(warmup: BatchWarmup, message: str) -> None:
    with pytest.raises(InputError, match=message):
        BatchSizes(16, warmup)


@pytest.mark.parametrize("accumulation", [1, 2])
def test_every_row_is_read_once_in_the_order_of_a_run_without_warmup(accumulation: int, records_folder: Path) -> None:
    def batches(**options: object) -> TrainingBatches:
        return TrainingBatches(
            Records(records_folder, "train"),
            seed=3,
            global_batch_size=16,
            accumulation=accumulation,
            sharding=batch_sharding(make_mesh(Mesh())),
            **options,  # type: ignore[arg-type]
        )

    growing, full = batches(warmup=BatchWarmup(first_rows=4, steps=6)), batches()
    read = []
    for step in range(8):
        batch = growing(step)
        tokens = np.asarray(batch["tokens"]).reshape(16, -1)
        real = (tokens != 0).any(-1)
        assert real.tolist() == [True] * growing.sizes.of(step) + [False] * (16 - growing.sizes.of(step))
        read += np.asarray(batch["record_ids"]).reshape(-1)[real].tolist()
    expected = [np.asarray(full(step)["record_ids"]).reshape(-1).tolist() for step in range(5)]
    assert read == [index for step in expected for index in step]


def test_inspect_shows_the_rows_of_a_step_while_the_batch_grows(
    tiny: TrainingRecipe, new_run: Callable[..., RunFolder], capsys: pytest.CaptureFixture[str]
) -> None:
    """A row's masks do not depend on its step, so the second step of 4 rows shows what a first step of 16 has as rows 4 to 7."""
    run = new_run()
    shown = []
    for first_rows, step in ((0, 0), (4, 1)):
        warmup = {"first_rows": first_rows, "steps": 4 if first_rows else 0}
        write_json(run.path / RECIPE_FILE, plain_recipe(changed(tiny, batch_warmup=warmup)))
        print_batch(run, step, 16)
        _, *rows = capsys.readouterr().out.split("\nrow ")
        shown.append([row.partition(":")[2] for row in rows])
    full, growing = shown
    assert len(full) == 16
    assert growing == full[4:8]


@pytest.mark.slow
def test_losses_do_not_depend_on_accumulation_and_a_stopped_run_resumes(
    tiny: TrainingRecipe, new_run: Callable[..., RunFolder], shared_programs: None
) -> None:
    recipe = changed(tiny, batch_warmup={"first_rows": 8, "steps": 4}, mesh={"data": 2, "fsdp": 4})
    runs = {name: new_run(name) for name in ("whole", "accumulated", "stopped")}
    train(runs["whole"], "tiny", recipe)
    train(runs["accumulated"], "tiny", changed(recipe, accumulation=2))
    train(runs["stopped"], "tiny", changed(recipe, stop_at_step=2))
    train(runs["stopped"], "tiny", recipe)
    losses = {name: [line["loss"] for line in untimed(run) if "loss" in line] for name, run in runs.items()}
    assert losses["stopped"] == losses["whole"]
    np.testing.assert_allclose(losses["accumulated"], losses["whole"], rtol=1e-5)
    assert runs["whole"].manifest()["train"]["rows_seen"] == 8 + 8 + 8 + 8 + 16 + 16


def test_a_warmup_beyond_the_run_is_refused(tiny: TrainingRecipe, new_run: Callable[..., RunFolder]) -> None:
    with pytest.raises(InputError, match=r"--training\.batch-warmup\.steps 7: must end within the 6 steps"):
        train(new_run(), "tiny", changed(tiny, batch_warmup={"first_rows": 8, "steps": 7}))
