"""The phases of a run, each with records of one length: which batch belongs to a step."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jax.sharding import NamedSharding

from data_pipeline.contract.records import Records, RecordsHeader, Row, folder_of_length
from pretrain.input.batches import EvaluationBatches, StageSeconds, TrainingBatches
from pretrain.input.schedule import Stretch, rows_left_out, stretches
from pretrain.input.weighted_rows import training_rows
from pretrain.objectives.protocols import Batch
from pretrain.recipe import TrainingRecipe


def records_folder(examples: Path, stretch: Stretch) -> Path:
    """Where the records of a stretch stand; an InputError where they were not prepared."""
    return examples if stretch.length is None else folder_of_length(examples, stretch.length)


@dataclass(frozen=True)
class PhaseData:
    """A stretch with its records: training batches by step, and held-out batches where there are any."""

    stretch: Stretch
    header: RecordsHeader
    records: Records
    batches: TrainingBatches
    held_out: EvaluationBatches | None


class Phases:
    """The phases of a run; called with a step, they give its batch.

    - `examples`: the run folder's.
    - `sharding`: from `pretrain.devices.sharding.batch_sharding`.

    Every length and mixture has its own endless sequence of shuffled epochs, in which a phase continues where the one before it ended. `spent`
    tells how long the stages of all batches have taken. Raises InputError where records are missing; training rows only by
    `check_staged`, for a host has those of the phases that it trains.
    """

    def __init__(self, examples: Path, recipe: TrainingRecipe, sharding: NamedSharding) -> None:
        self.all = tuple(_phase(examples, stretch, sharding) for stretch in stretches(recipe))
        fingerprints = [phase.header.fingerprint for phase in self.all]
        self.fingerprint = fingerprints[0]
        if len(fingerprints) > 1:
            self.fingerprint = hashlib.sha256(" ".join(fingerprints).encode()).hexdigest()

        self.spent = StageSeconds()
        for phase in self.all:
            phase.batches.spent = self.spent

    def leave_out(self, ranges: Sequence[Sequence[int]]) -> None:
        """Leaves batches out from now on; see `pretrain.checkpoints.rewind`."""
        schedule = [phase.stretch for phase in self.all]
        for number, phase in enumerate(self.all):
            phase.batches.left_out = rows_left_out(schedule, number, ranges)

    def __call__(self, step: int) -> Batch:
        return self.at(step).batches(step)

    def local_fields(self, step: int) -> tuple[np.ndarray, Row]:
        """See `TrainingBatches.local_fields`."""
        return self.at(step).batches.local_fields(step)

    def check_staged(self, start: int, stop: int) -> None:
        """Raises InputError where the training rows of the steps from `start` to `stop` are not all here."""
        for phase in self.all:
            if phase.stretch.start < stop and phase.stretch.stop > start:
                phase.records.check_shards()

    def at(self, step: int) -> PhaseData:
        """The phase of a step."""
        return self.all[self.number(step)]

    def number(self, step: int) -> int:
        """The number of a step's phase, from 0."""
        return next(number for number, phase in enumerate(self.all) if step < phase.stretch.stop)

    def rows_before(self, step: int) -> int:
        """Rows that are read before a step."""
        return sum(_rows_before(phase, step) for phase in self.all)

    def flops(self, of_row: Sequence[float], start: int, stop: int) -> float:
        """Model FLOPs of the steps from `start` to `stop`, if no row were padded.

        - `of_row`: of a row of each phase.
        """
        return sum(
            (_rows_before(phase, stop) - _rows_before(phase, start)) * flops
            for phase, flops in zip(self.all, of_row, strict=True)
        )


def _rows_before(phase: PhaseData, step: int) -> int:
    return phase.batches.sizes.before(min(step, phase.stretch.stop) - phase.stretch.start)


def _phase(examples: Path, stretch: Stretch, sharding: NamedSharding) -> PhaseData:
    folder, recipe = records_folder(examples, stretch), stretch.recipe
    records = Records(folder, "train", staged=False)
    header = records.header
    batches = TrainingBatches(
        training_rows(records, stretch.category_weights),
        seed=recipe.seed,
        global_batch_size=recipe.global_batch_size,
        accumulation=recipe.accumulation,
        sharding=sharding,
        first_step=stretch.start,
        first_row=stretch.first_row,
        warmup=stretch.warmup,
    )
    held_out = None
    if header.rows.get("evaluation") and recipe.evaluation.rows > 0:
        held_out = EvaluationBatches(
            Records(folder, "evaluation"),
            rows=recipe.evaluation.rows,
            microbatch=recipe.global_batch_size // recipe.accumulation,
            sharding=sharding,
            sources=header.sources.get("evaluation", ()),
        )
    return PhaseData(stretch, header, records, batches, held_out)
