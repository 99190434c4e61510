"""Steps one after the other, with the programs of each phase."""

import functools
import logging
import time
from collections.abc import Callable, Iterable, Iterator

import jax
import jax.numpy as jnp

from data_pipeline.contract.records import row_fields
from data_pipeline.contract.run_folder import RunFolder
from data_pipeline.contract.tokenizer import Tokenizer
from pretrain.input.batches import MOST_SOURCES, abstract_batch
from pretrain.input.phases import Phases
from pretrain.job import Job
from pretrain.models.core.layers import Parameters
from pretrain.monitoring.goodput import Goodput
from pretrain.monitoring.predictions import PredictionSample
from pretrain.objectives.protocols import Batch, Sums
from pretrain.optimization.step import CompiledSteps, Metrics, State, compile_train_step, make_steps

log = logging.getLogger("pretrain")


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
            "%d rows of %s tokens a step: compiled in %.0f s",
            *(recipe.global_batch_size, self._phase.header.length_in_words, time.perf_counter() - began),
        )
        if self.held_out:
            if "" in self.held_out.names and any(self.held_out.names):
                log.info("only the %d sources with the most held-out rows have losses of their own", MOST_SOURCES)
            self._sample = PredictionSample(self._objective, self.held_out, self._tokenizer, self._mesh)

    def evaluate(self, params: Parameters) -> tuple[dict[str, float], str]:
        """Metrics of all held-out rows, and what the model says of a few of them.

        The metrics are `evaluation_loss`, the objective's others, and, where there are several sources, `evaluation_loss/SOURCE`.
        """
        assert self.held_out
        of_source: dict[str, Sums] = {}
        for index, name in enumerate(self.held_out.names):
            sums = self.steps.evaluate(params, self.held_out(index))
            of_source[name] = _added(of_source[name], sums) if name in of_source else sums
        scores = jax.device_get(self._metrics(functools.reduce(_added, of_source.values())))
        found = {f"evaluation_{name}": float(value) for name, value in scores.items()}
        if len(of_source) > 1:
            losses = jax.device_get({name: self._metrics(sums)["loss"] for name, sums in of_source.items() if name})
            found |= {f"evaluation_loss/{name}": float(loss) for name, loss in losses.items()}
        return found, self._sample.markdown(params)


def _added(one: Sums, other: Sums) -> Sums:
    return jax.tree.map(jnp.add, one, other)
