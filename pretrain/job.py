"""What a recipe and its records make together: an objective for each phase. The only module of the loop that asks the registries."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import jax

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.recipe_fields import flag
from data_pipeline.contract.records import RecordsHeader
from pretrain.input.schedule import stretches
from pretrain.models.config import with_padding, with_vocabulary
from pretrain.models.protocols import Compute
from pretrain.models.registry import family_of
from pretrain.objectives.protocols import Keys, Objective
from pretrain.objectives.registry import make_objective
from pretrain.recipe import TrainingRecipe

DROPOUT_RNGS = ("threefry", "rbg")


@dataclass(frozen=True)
class Job:
    """A run's work.

    - `recipe`: the training recipe with the vocabulary's size filled in.
    - `phases`: the objective of each phase, in turn; their parameters have the same shapes.
    """

    recipe: TrainingRecipe
    phases: tuple[Objective, ...]

    @property
    def parameters(self) -> int:
        """Of the encoders, without heads."""
        return self.phases[-1].parts.parameter_count()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What may not be as its user expects."""
        return (*filter(None, (self._other_pair_task(), self._untrained_positions())), *self._not_exported())

    def _not_exported(self) -> Iterator[str]:
        """Why an export will be refused; of a model that transformers has no class for that is known before the first step."""
        last = self.phases[-1]
        for model in last.parts.models.values():
            try:
                special = last.header.special_ids
                family_of(model.config).config_to_json(model.config, model.vocab_size, special, model.heads)
            except InputError as error:
                yield f"an export of this run will be refused: {error}"

    def _other_pair_task(self) -> str:
        """What the head `pair` will be taken for, where it learns something else."""
        family, learnt = family_of(self.recipe.model), self.phases[-1].header.pair_task
        has_head = any("pair" in model.heads for model in self.phases[-1].parts.models.values())
        if not has_head or learnt == family.pair_task:
            return ""
        return (
            f"the records' pairs train {learnt.replace('_', '-')} prediction: {family.title}s are known for "
            f"{family.pair_task.replace('_', '-')} prediction, which transformers will take the exported head for"
        )

    def _untrained_positions(self) -> str:
        longest = self.recipe.model.longest_row()
        reached = max(max(phase.header.length, phase.header.target_length) for phase in self.phases)
        if self.recipe.start_from or longest is None or reached >= longest.tokens:
            return ""
        return (
            f"{flag('training', f'model.{longest.field}')} {longest.value}: the longest rows have {reached} tokens, so that positions {reached + 1} to "
            f"{longest.tokens} are never trained, and the export's tokenizer does not offer them; prepare longer rows, or set it to "
            f"{reached + longest.value - longest.tokens}"
        )


def make_job(recipe: TrainingRecipe, headers: Sequence[RecordsHeader]) -> Job:
    """The job of a recipe on records.

    - `headers`: those of the records of each phase (`pretrain.input.schedule.stretches`).

    Raises InputError where recipe and records contradict each other (layout, vocabulary, length), or where a phase's settings
    change the shape of a parameter.
    """
    phases = tuple(
        objective_of(stretch.recipe, header, stretch.scheduled)
        for stretch, header in zip(stretches(recipe), headers, strict=True)
    )
    shapes = [jax.eval_shape(phase.init) for phase in phases] if any(phase.settings for phase in recipe.phases) else []
    for number, shape in enumerate(shapes):
        if shape != shapes[0]:
            raise InputError(
                f"phases.{number}.settings {' '.join(recipe.phases[number].settings)}: change the shape of a parameter; phases "
                "share one set of parameters"
            )
    return Job(replace(recipe, model=with_vocabulary(recipe.model, headers[-1].vocabulary_size)), phases)


def objective_of(recipe: TrainingRecipe, header: RecordsHeader, steps: range | None = None) -> Objective:
    """The objective of a recipe, as of one phase, on records.

    - `steps`: see `make_objective`; None: those of the whole run.

    Raises InputError where recipe and records contradict each other.
    """
    config = recipe.model
    if config.vocab_size not in (None, header.vocabulary_size):
        raise InputError(
            f"--training.model.vocab-size {config.vocab_size}: the records have {header.vocabulary_size}; leave it unset"
        )
    config = with_padding(config, header.pad_id)
    longest = config.longest_row()
    tokens = max(header.length, header.target_length)
    if longest and tokens > longest.tokens:
        room = f", which has room for {longest.tokens} tokens" if longest.tokens != longest.value else ""
        many = "or more, if the model of --training.start-from has as many" if recipe.start_from else "or more"
        raise InputError(
            f"{flag('training', f'model.{longest.field}')} {longest.value}{room}: the records' rows have {tokens} tokens; "
            f"set it to {tokens + longest.value - longest.tokens} {many}, or prepare shorter examples"
        )
    if recipe.dropout_rng not in DROPOUT_RNGS:
        raise InputError(f"--training.dropout-rng {recipe.dropout_rng!r}: must be {' or '.join(DROPOUT_RNGS)}")
    keys = Keys(recipe.seed, recipe.dropout_rng)
    steps = range(recipe.max_steps) if steps is None else steps
    objective = make_objective(recipe.objective, config, header, compute_of(recipe), keys, steps)
    if header.layout not in objective.layouts:
        pools = header.layout == "packed" and config.pools_tokens
        reason = ": it pools neighbouring tokens, also those of two texts" if pools else ""
        raise InputError(
            f"the records have the layout {header.layout}, which {recipe.objective.title} of this model does not take{reason}; prepare "
            f"others: {', '.join(objective.layouts)}"
        )
    if "" not in objective.exports:
        raise InputError(
            f'{type(recipe.objective).__name__} exports no model to the folder itself: exports must have ""'
        )
    return objective


def compute_of(recipe: TrainingRecipe) -> Compute:
    """How a recipe has its model computed."""
    return Compute(
        compute_dtype=recipe.compute_dtype,
        parameter_dtype=recipe.parameter_dtype,
        remat=recipe.remat,
        scan_unroll=recipe.scan_unroll,
        attention=recipe.attention,
    )
