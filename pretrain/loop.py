"""Steps one after the other, with the programs of each phase."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator

import jax
import jax.numpy as jnp

from data_pipeline.contract.records import row_fields
from data_pipeline.contract.run_folder import RunFolder
from data_pipeline.contract.tokenizer import Tokenizer
from pretrain.input.batches import abstract_batch
from pretrain.input.phases import Phases
from pretrain.job import Job
from pretrain.models.core.layers import Parameters
from pretrain.monitoring.goodput import Goodput
from pretrain.monitoring.predictions import PredictionSample
from pretrain.objectives.protocols import Batch
from pretrain.optimization.step import CompiledSteps, Metrics, State, compile_train_step, make_steps

log = logging.getLogger(__name__)


def fit(
    program_of: Callable[[int], jax.stages.Compiled], state: State, batches: Iterable[tuple[int, Batch]]
) -> Iterator[tuple[int, State, Metrics]]:
    """Takes a step on each batch; yields the steps done, the state and the step's metrics, all still on the devices.

    - `program_of`: the compiled train step for a step, counted from 0; those of several row lengths may take turns.
    - `state`: donated to the first step, as each state is to the next: keep none but the last.
    """
    for step, batch in batches:
        state, metrics = program_of(step)(state, batch)
        yield step + 1, state, metrics


class Programs:
    """The programs of one phase at a time, compiled when it begins.

    `steps` are those of the phase that was entered, `train_step` the compiled one, `stop` the step at which the phase ends, and
    `held_out` its held-out batches or None.
    """

    def __init__(
        self, job: Job, phases: Phases, run_folder: RunFolder, mesh: jax.sharding.Mesh, goodput: Goodput
    ) -> None:
        self._job, self._phases, self._mesh, self._goodput = job, phases, mesh, goodput
        self._tokenizer = Tokenizer(run_folder.vocabulary)
        self.steps: CompiledSteps
        self.train_step: jax.stages.Compiled

    def enter(self, step: int) -> None:
        """Makes the steps of the phase that a step belongs to; nothing compiles yet."""
        number = self._phases.number(step)
        self._phase, self._objective = self._phases.all[number], self._job.phases[number]
        self.stop, self.held_out = self._phase.stretch.stop, self._phase.held_out
        self.steps = make_steps(self._objective, self._phase.stretch.recipe, self._mesh)
        self._metrics = jax.jit(self._objective.metrics)

    def compile(self) -> None:
        """Compiles the train step of the phase."""
        began, recipe = time.perf_counter(), self._phase.stretch.recipe
        with self._goodput.spent_on("compile"):
            rows = self._phase.batches.sharding
            batch = abstract_batch(row_fields(self._phase.header), recipe.global_batch_size, recipe.accumulation, rows)
            self.train_step = compile_train_step(self.steps, batch)
        log.info(
            "%d rows of %d tokens a step: compiled in %.0f s",
            *(recipe.global_batch_size, self._phase.header.length, time.perf_counter() - began),
        )
        if self.held_out:
            self._sample = PredictionSample(self._objective, self.held_out(0), self._tokenizer, self._mesh)

    def evaluate(self, params: Parameters) -> tuple[dict[str, float], str]:
        """`evaluation_loss` and the objective's other metrics over all held-out rows, and what the model says of the first ones."""
        assert self.held_out
        sums = self.steps.evaluate(params, self.held_out(0))
        for index in range(1, len(self.held_out)):
            sums = jax.tree.map(jnp.add, sums, self.steps.evaluate(params, self.held_out(index)))
        scores = jax.device_get(self._metrics(sums))
        return {f"evaluation_{name}": float(value) for name, value in scores.items()}, self._sample.markdown(params)
