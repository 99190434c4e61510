"""The schedule of a recipe as stretches of steps, each with rows of one length: by arithmetic alone."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from data_pipeline.contract.errors import InputError
from pretrain.input.batch_sizes import BatchSizes
from pretrain.recipe import BatchWarmup, TrainingRecipe


@dataclass(frozen=True)
class Stretch:
    """Steps that see rows of one length, in one mixture.

    - `start`, `stop`: counted from 0, `stop` excluded.
    - `first_row`: rows of this length and mixture that earlier stretches read; the sequence of its epochs continues there.
    - `length`: tokens a row; None means that of the run's main records.
    - `category_weights`: see `Phase`.
    - `recipe`: the whole recipe, with batch size, accumulation and settings of these steps and without phases.
    - `scheduled`: the steps over which the objective changes what it changes with the step (`ObjectiveRecipe.scheduled`).
    """

    start: int
    stop: int
    first_row: int
    length: int | None
    recipe: TrainingRecipe
    scheduled: range
    category_weights: tuple[tuple[str, float], ...] = ()

    @property
    def sequence(self) -> tuple[int | None, tuple[tuple[str, float], ...]]:
        """What tells the endless sequence of epochs that it reads from others."""
        return self.length, self.category_weights

    @property
    def warmup(self) -> BatchWarmup | None:
        """How its batch grows; in the first stretch only. Raises InputError where that does not fit into it."""
        warmup = self.recipe.batch_warmup
        if self.start or not warmup.first_rows:
            return None
        if warmup.steps > self.stop:
            raise InputError(
                f"--training.batch-warmup.steps {warmup.steps}: must end within the {self.stop} steps of the run, or of its first phase"
            )
        return warmup

    @property
    def rows(self) -> int:
        """Rows that all its steps read."""
        return self.rows_of(self.start, self.stop)

    def rows_of(self, start: int, stop: int) -> int:
        """Rows that those of its steps read that lie from `start` to `stop`, counted from 0 and `stop` excluded."""
        sizes = BatchSizes(self.recipe.global_batch_size, self.warmup)
        first, last = (min(max(step, self.start), self.stop) - self.start for step in (start, stop))
        return sizes.before(last) - sizes.before(first)


def stretches(recipe: TrainingRecipe) -> tuple[Stretch, ...]:
    """The schedule of a recipe; all steps in one where it has no phases.

    Raises InputError, naming the field, where the shares do not make up the run or a phase has no step.
    `pretrain.recipe_checks.check` comes first: here each number is within its limit.
    """
    if not recipe.phases:
        return (Stretch(0, recipe.max_steps, 0, None, recipe, range(recipe.max_steps)),)
    total = math.fsum(phase.share for phase in recipe.phases)
    if not abs(total - 1) < 1e-6:
        raise InputError(f"phases: their shares add up to {total:g}; make it 1")
    found: list[Stretch] = []
    rows_read = Counter[Any]()
    for number, phase in enumerate(recipe.phases):
        start = found[-1].stop if found else 0
        stop = round(math.fsum(each.share for each in recipe.phases[: number + 1]) * recipe.max_steps)
        if stop <= start:
            raise InputError(
                f"phases.{number}.share {phase.share}: is not a single one of {recipe.max_steps} steps; give it more"
            )
        sizes = ("global_batch_size", "accumulation")
        own = {name: value for name in sizes if (value := getattr(phase, name)) is not None}
        of_phase = with_settings(replace(recipe, phases=(), **own), phase.settings, f"phases.{number}.settings")
        set_here = {setting.partition("=")[0].replace("-", "_") for setting in phase.settings}
        its_own = set_here & {f"objective.{name}" for name in recipe.objective.scheduled}
        scheduled = range(start, stop) if its_own else range(recipe.max_steps)
        stretch = Stretch(start, stop, 0, phase.length, of_phase, scheduled, phase.category_weights)
        stretch = replace(stretch, first_row=rows_read[stretch.sequence])
        rows_read[stretch.sequence] += stretch.rows
        found.append(stretch)
    last = found[-1].recipe.objective
    return tuple(
        replace(each, recipe=replace(each.recipe, objective=each.recipe.objective.evaluated_as(last))) for each in found
    )


def rows_left_out(
    schedule: Sequence[Stretch], number: int, ranges: Sequence[Sequence[int]]
) -> tuple[tuple[int, int], ...]:
    """What a run's left-out batches mean for one stretch of its schedule: pairs (step, rows), see `TrainingBatches`.

    - `ranges`: [start, stop] each, see `pretrain.checkpoints.rewind`. Rows of other lengths or mixtures have a sequence of their own.
    """
    same = [each for each in schedule if each.sequence == schedule[number].sequence]
    return tuple((start, sum(each.rows_of(start, stop) for each in same)) for start, stop in ranges)


def with_settings(recipe: TrainingRecipe, settings: tuple[str, ...], where: str) -> TrainingRecipe:
    """A recipe with some fields of its model or objective set as on the command line, `objective.masking.rate=0.05`.

    - `where`: what an error calls the settings.

    Raises InputError for another field, or a value that the field does not take.
    """
    if not settings:
        return recipe
    for setting in settings:
        if not setting.startswith(("model.", "objective.")) or "=" not in setting:
            raise InputError(
                f"{where} {setting}: must be FIELD=VALUE with a field of model or objective, as objective.masking.rate=0.05"
            )
    from data_pipeline.contract.command_line import parse_command_line  # here, for few recipes have settings

    try:
        flags = [word for setting in settings for word in f"--{setting}".split()]  # several values: ngrams=1 0.5
        return parse_command_line(recipe, flags, "python -m pretrain train RECIPE")
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def objective_in_words(recipe: TrainingRecipe) -> str:
    """What the objective of a recipe is beside its phases' settings, in a line, with the held-out rows that all phases share."""
    return recipe.objective.evaluated_as(stretches(recipe)[-1].recipe.objective).in_words()


def stretch_at(recipe: TrainingRecipe, step: int) -> Stretch:
    """The stretch that a step belongs to; the last one for steps beyond."""
    schedule = stretches(recipe)
    return next((each for each in schedule if step < each.stop), schedule[-1])
