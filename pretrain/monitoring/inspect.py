"""inspect: the batch of a training step as the model sees it, with what it should say and what it says."""

import dataclasses

import jax
import numpy as np

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.records import Records
from data_pipeline.contract.run_folder import RunFolder
from data_pipeline.contract.storage import read_json
from data_pipeline.contract.tokenizer import Tokenizer, refuse_other_tokenizer
from pretrain.checkpoints.facts import RECIPE_FILE
from pretrain.checkpoints.restore import restore_params
from pretrain.checkpoints.verify import list_steps, newest_valid, step_folder
from pretrain.devices.available import available_devices
from pretrain.devices.sharding import batch_sharding, make_mesh
from pretrain.input.batches import TrainingBatches
from pretrain.input.phases import records_folder
from pretrain.input.schedule import stretch_at
from pretrain.monitoring.predictions import likeliest, spell_row
from pretrain.objectives.masked_lm.objective import make_objective
from pretrain.objectives.masked_lm.sentence_pairs import pairs_in_words
from pretrain.recipe import Mesh, training_recipe_from_plain


def print_batch(folder: RunFolder, step: int | None, rows: int) -> None:
    """Prints the first rows of the batch that step `step` + 1 trains on, from the run's own recipe.

    - `step`: steps done before; None means those of the newest valid checkpoint, or 0. Where a checkpoint of this step
      exists, its predictions are shown beside the labels.

    Raises InputError where training has not started here.
    """
    saved = read_json(folder.path / RECIPE_FILE)
    if saved is None:
        raise InputError(f"{folder.path}: training has not started here; run `python -m pretrain train` first")
    if rows < 1:
        raise InputError(f"--rows {rows}: must be 1 or more")
    recipe = training_recipe_from_plain(saved)
    step, has_checkpoint = _step(folder, step)
    stretch = stretch_at(recipe, step)
    records = Records(records_folder(folder.examples, stretch), "train")
    refuse_other_tokenizer(folder.vocabulary, records.header.tokenizer_sha256)
    # Whatever trained it: this may be another machine.
    objective = make_objective(dataclasses.replace(recipe, attention="xla"), records.header)
    mesh = make_mesh(Mesh(data=1), available_devices()[:1])
    batches = TrainingBatches(
        records,
        seed=recipe.seed,
        global_batch_size=stretch.recipe.global_batch_size,
        accumulation=1,
        sharding=batch_sharding(mesh),
        first_step=stretch.start,
        first_row=stretch.first_row,
    )
    masked = jax.jit(objective.training_masks)(batches(step))
    first = {name: values[0, :rows] for name, values in masked.items()}
    predictions = None
    if has_checkpoint:
        params = restore_params(step_folder(folder.checkpoints, step))
        predictions = np.asarray(jax.jit(lambda params, batch: likeliest(objective, params, batch))(params, first))
    shown = {name: np.asarray(values) for name, values in first.items()}
    _print(shown, predictions, Tokenizer(folder.vocabulary), records, step)


def _step(folder: RunFolder, step: int | None) -> tuple[int, bool]:
    """The step to show, and whether there is a checkpoint of it."""
    if step is None:
        newest = newest_valid(folder.checkpoints)
        return (newest[0], True) if newest else (0, False)
    if step < 0:
        raise InputError(f"--step {step}: must be 0 or more")
    return step, step in list_steps(folder.checkpoints)


def _print(
    batch: dict[str, np.ndarray], predictions: np.ndarray | None, tokenizer: Tokenizer, records: Records, step: int
) -> None:
    pad, name = records.header.pad_id, pairs_in_words(records.header.layout)
    print(f"the batch of step {step + 1} ({len(records):,} rows in an epoch); {{label}} marks what is predicted")
    for row in range(len(batch["inputs"])):
        spelt = spell_row(batch, row, predictions, tokenizer, pad)
        pair = f", {name} label {batch['label'][row]}" if "label" in batch else ""
        share = spelt.predicted / max(1, spelt.tokens)
        print(f"\nrow {row}: {spelt.tokens} tokens, {spelt.predicted} predicted ({share:.1%}){pair}")
        print("  " + spelt.text)
        if predictions is not None:
            print(f"  right: {spelt.right} of {spelt.predicted}")
