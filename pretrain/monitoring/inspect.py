"""inspect: the batch of a training step as the model sees it, with what it should say and what it says."""

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from textwrap import indent

import jax
import numpy as np

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.records import Records, source_names
from data_pipeline.contract.run_folder import RunFolder
from data_pipeline.contract.tokenizer import Tokenizer, refuse_other_tokenizer
from pretrain.checkpoints.facts import left_out_of, recipe_of
from pretrain.checkpoints.held import held, held_newest
from pretrain.checkpoints.restore import restore_params
from pretrain.checkpoints.verify import list_steps, step_folder
from pretrain.devices.available import available_devices
from pretrain.devices.sharding import batch_sharding, make_mesh
from pretrain.input.batches import TrainingBatches
from pretrain.input.phases import records_folder
from pretrain.input.schedule import rows_left_out, stretch_at, stretches
from pretrain.input.weighted_rows import WeightedRows, training_rows
from pretrain.job import objective_of
from pretrain.recipe import Mesh, TrainingRecipe


def print_batch(folder: RunFolder, step: int | None, rows: int) -> None:
    """Prints the first rows of the batch that step `step` + 1 trains on, from the run's own recipe.

    - `step`: steps done before; None means those of the newest valid checkpoint, or 0. Where a checkpoint of this step
      exists, its predictions are shown beside the labels.

    Raises InputError where training has not started here.
    """
    recipe = recipe_of(folder)
    if rows < 1:
        raise InputError(f"--rows {rows}: must be 1 or more")
    with _checkpoint_at(folder, step) as (step, has_checkpoint):
        _print(folder, recipe, step, has_checkpoint, rows)


def _print(folder: RunFolder, recipe: TrainingRecipe, step: int, has_checkpoint: bool, rows: int) -> None:
    stretch = stretch_at(recipe, step)
    records = Records(records_folder(folder.examples, stretch), "train")
    refuse_other_tokenizer(folder.vocabulary, records.header.tokenizer_sha256)
    # Whatever trained it: this may be another machine.
    objective = objective_of(dataclasses.replace(stretch.recipe, attention="xla"), records.header, stretch.scheduled)
    mesh = make_mesh(Mesh(data=1), available_devices()[:1])
    rows_of_phase = training_rows(records, stretch.category_weights)
    batches = TrainingBatches(
        rows_of_phase,
        seed=recipe.seed,
        global_batch_size=stretch.recipe.global_batch_size,
        accumulation=1,
        sharding=batch_sharding(mesh),
        first_step=stretch.start,
        first_row=stretch.first_row,
        warmup=stretch.warmup,
    )
    schedule = stretches(recipe)
    batches.left_out = rows_left_out(schedule, schedule.index(stretch), left_out_of(folder))
    batch = batches(step)
    read = np.asarray(batch["record_ids"][0])
    if isinstance(rows_of_phase, WeightedRows):
        read = rows_of_phase.records_at(read)
    sources = source_names(records.header.sources.get("train", ()), read)
    prepared = jax.jit(objective.prepare)(batch, np.int32(step))
    rows = min(rows, batches.sizes.of(step - stretch.start))  # beyond, a growing batch has padding
    first = {name: values[0, :rows] for name, values in prepared.items()}
    params = restore_params(step_folder(folder.checkpoints, step)) if has_checkpoint else None
    shown = jax.device_get(jax.jit(objective.show)(params, first))
    print(f"the batch of step {step + 1} ({len(rows_of_phase):,} rows in an epoch)")
    spelt = objective.spell(shown, Tokenizer(folder.vocabulary))
    for number, (row, source) in enumerate(zip(spelt, sources, strict=False)):
        print(f"\nrow {number}{f' ({source})' if source else ''}: {row.heading}")
        print(indent(row.text, "  "))
        if row.right:
            print(f"  right: {row.right}")


@contextmanager
def _checkpoint_at(folder: RunFolder, step: int | None) -> Iterator[tuple[int, bool]]:
    """The step to show, and whether there is a checkpoint of it, which training does not remove while the block runs."""
    if step is not None and step < 0:
        raise InputError(f"--step {step}: must be 0 or more")
    if step is None:
        with held_newest(folder.checkpoints) as newest:
            yield (0, False) if newest is None else (newest, True)
        return
    with held(step_folder(folder.checkpoints, step)):
        yield step, step in list_steps(folder.checkpoints)
