"""Probes of a model in training: its features and its pseudo-perplexity, within a share of the run's time."""

import functools
import logging
import math
import time
from collections.abc import Callable
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.run_folder import RunFolder
from pretrain.devices.broadcast import told
from pretrain.devices.sharding import ROWS, batch_sharding, replicated
from pretrain.evaluate.probes.fitting import baseline_score, check_scikit_learn, probe_score, row_features
from pretrain.evaluate.probes.pseudo_perplexity import one_masked
from pretrain.evaluate.probes.texts import encode, pack, read_rows
from pretrain.input.batches import EVALUATION_ORDER, EvaluationBatches
from pretrain.input.permutation import shuffled
from pretrain.input.phases import Phases
from pretrain.input.row_source import ArraySource
from pretrain.job import Job
from pretrain.models.core.layers import Parameters
from pretrain.models.protocols import Inputs, VocabularyHead
from pretrain.monitoring.goodput import Goodput
from pretrain.monitoring.metrics import PROBE, PSEUDO_PERPLEXITY
from pretrain.objectives.losses import gather_positions, masked_lm_sums
from pretrain.objectives.protocols import Batch, Objective
from pretrain.subject import text_tokenizer

log = logging.getLogger("pretrain")

PART = "probes"
"""Their name in goodput."""
VOCABULARY = "vocabulary"
"""The head that predicts masked tokens."""


class Prober:
    """The probes of one start of a run, as of its last phase; every process has one and asks it after the same steps.

    Raises InputError where scikit-learn or a file of a task is missing, or the recipe's probes cannot be.
    """

    def __init__(
        self, job: Job, phases: Phases, run_folder: RunFolder, mesh: jax.sharding.Mesh, goodput: Goodput
    ) -> None:
        self._recipe, self._objective = job.recipe.probes, job.phases[-1]
        self._phases, self._goodput, self._mesh = phases, goodput, mesh
        self._sweeps: dict[str, tuple[EvaluationBatches, jax.stages.Wrapped]] = {}
        self._compiled: dict[str, jax.stages.Compiled] = {}
        self._seconds: float | None = None
        self._waited = False
        with goodput.spent_on(PART):
            self._add_tasks(run_folder)
            self._add_pseudo_perplexity()
        if not self._sweeps:
            raise InputError(
                f"--training.probes.every-steps {self._recipe.every_steps}: there is nothing to probe; name --training.probes.tasks, or "
                "set it to 0"
            )

    def _add_tasks(self, run_folder: RunFolder) -> None:
        recipe, header = self._recipe, self._phases.all[-1].header
        if recipe.tasks:
            check_scikit_learn()
        self._tasks = [read_rows(name, recipe) for name in dict.fromkeys(recipe.tasks)]
        names = [rows.task.name for rows in self._tasks]
        if twice := [name for name in names if names.count(name) > 1]:
            raise InputError(
                f"--training.probes.tasks: two tasks are called {twice[0]}; rename the file of a description"
            )
        for rows in self._tasks:
            log.info(
                "probe/%s: %s, %d rows fitted and %d scored, drawn from %s; without features %.4f",
                *(rows.task.name, rows.task.metrics[0], rows.fitted, len(rows.labels) - rows.fitted, rows.part),
                baseline_score(rows),
            )
        if not self._tasks:
            return
        part = self._objective.exports[""]
        config = self._objective.parts.models[part].config
        tokenizer = text_tokenizer(config, run_folder.vocabulary)
        texts = [text for rows in self._tasks for text in rows.texts]
        # In rows of the run's own shape, which its kernel of attention takes.
        fields, self._places = pack(
            encode(texts, tokenizer, min(recipe.length, header.length)),
            header.length,
            header.pad_id,
            one_a_row=config.pools_tokens,
        )
        pooled = functools.partial(
            pooled_states,
            objective=self._objective,
            part=part,
            most=int(self._places[:, 1].max()),
            first=recipe.pooling == "cls",
        )
        self._add("features", fields, pooled)

    def _add_pseudo_perplexity(self) -> None:
        models, last = self._objective.parts.models, self._phases.all[-1]
        part = next((part for part, model in models.items() if VOCABULARY in model.heads), None)
        if not last.held_out or not self._recipe.held_out_rows or part is None:
            return
        source = last.held_out.source
        numbers = shuffled(np.arange(min(self._recipe.held_out_rows, len(source))), len(source), EVALUATION_ORDER)
        fields = one_masked(source.read(numbers), last.header, self._recipe.masked_positions)
        self._add(PSEUDO_PERPLEXITY, fields, functools.partial(masked_sums, objective=self._objective, part=part))

    def _add(self, name: str, fields: dict[str, np.ndarray], program: Callable[..., Any]) -> None:
        """Adds a program that is run on rows [n, ...], in batches of at most as many as a microbatch of training has."""
        last, count = self._phases.all[-1], len(fields["tokens"])
        split = math.prod(self._mesh.shape[axis] for axis in ROWS)
        batches = EvaluationBatches(
            ArraySource(fields, {each: last.header.pad_id if each == "tokens" else 0 for each in fields}),
            rows=count,
            microbatch=min(last.batches.shape[1], split * math.ceil(count / split)),
            sharding=batch_sharding(self._mesh),
        )
        self._sweeps[name] = batches, jax.jit(program, out_shardings=replicated(self._mesh))

    def after(self, done: int, params: Parameters) -> dict[str, float]:
        """What the parameters after step `done` give: `probe/TASK`, the task's headline metric, and `pseudo_perplexity`.

        Nothing where the time is not there yet; on other processes than the first, the pseudo-perplexity only.
        """
        if not self._affordable(done):
            return {}
        with self._goodput.spent_on(PART):
            for name, (batches, program) in self._sweeps.items():
                if name not in self._compiled:
                    self._compiled[name] = program.lower(params, batches(0)).compile()
            began = time.perf_counter()
            found = {**self._probe(params), **self._pseudo_perplexity(params)}
            self._seconds = time.perf_counter() - began
        return found

    def _affordable(self, done: int) -> bool:
        """Whether the share of the time stays within `time_share`, by the clock of the first process; the first refusal is logged."""
        recipe = self._recipe
        share = self._goodput.share_with(PART, self._expected(done))
        with jax.transfer_guard("allow"):
            found: bool = told(share <= recipe.time_share)
        if not found and not self._waited:
            log.info(
                "step %d: no probes yet: they would have taken %.1f%% of the time, more than --training.probes.time-share %g; they wait for a later "
                "multiple of %d steps",
                *(done, 100 * share, recipe.time_share, recipe.every_steps),
            )
        self._waited |= not found
        return found

    def _expected(self, done: int) -> float:
        """Seconds of the next probes: those of the last ones. The first ones, which compile, take at most as long as compiling the train
        step and training on as many rows."""
        if self._seconds is not None:
            return self._seconds
        start = self._goodput.this_start
        trained = self._phases.rows_before(done) - self._phases.rows_before(int(start["from_step"]))
        rows = sum(len(batches) * batches.shape[1] for batches, _ in self._sweeps.values())
        return start["compile"] + start["training"] * rows / max(1, trained)

    def _run(self, name: str, params: Parameters) -> list[Any]:
        batches, _ = self._sweeps[name]
        return [jax.device_get(self._compiled[name](params, batches(index))) for index in range(len(batches))]

    def _probe(self, params: Parameters) -> dict[str, float]:
        if not self._tasks:
            return {}
        of_rows = np.concatenate(self._run("features", params))
        if jax.process_index():
            return {}
        of_texts, begun, scores = of_rows[self._places[:, 0], self._places[:, 1] - 1], 0, {}
        for rows in self._tasks:
            own = of_texts[begun : begun + len(rows.texts)]
            begun += len(rows.texts)
            scores[PROBE + rows.task.name] = probe_score(row_features(own, rows.task), rows)
        return scores

    def _pseudo_perplexity(self, params: Parameters) -> dict[str, float]:
        if PSEUDO_PERPLEXITY not in self._sweeps:
            return {}
        found = self._run(PSEUDO_PERPLEXITY, params)
        loss, weight = (sum(float(sums[name]) for sums in found) for name in ("loss_sum", "weight_sum"))
        return {PSEUDO_PERPLEXITY: float(np.exp(loss / max(weight, 1.0)))}


def pooled_states(
    params: Parameters, batch: Batch, *, objective: Objective, part: str, most: int, first: bool
) -> jax.Array:
    """Features of the texts of packed rows, float32 [B, S, H]; 0 in an empty slot.

    - `batch`: `tokens`, `segments`, `positions`, int32 [1, B, L], of `pretrain.evaluate.probes.texts.pack`.
    - `part`: the model that reads them. - `most`: S, texts of a row. - `first`: the first hidden state of each; else their mean.
    """
    tokens, segments, positions = (batch[name][0] for name in ("tokens", "segments", "positions"))
    inputs = Inputs(tokens, segments, positions, jnp.zeros_like(tokens))
    hidden = objective.parts.models[part].encode(objective.parts.of(params, part), inputs)
    counted = segments[:, None, :] == jnp.arange(1, most + 1)[:, None]
    if first:
        counted &= (positions == 0)[:, None, :]
    weights = counted / jnp.maximum(counted.sum(-1, keepdims=True), 1)
    return jnp.einsum("bsl,blh->bsh", weights, hidden.astype(jnp.float32), precision="highest")


def masked_sums(params: Parameters, batch: Batch, *, objective: Objective, part: str) -> dict[str, jax.Array]:
    """`masked_lm_sums` at the masked places of a batch [1, B, ...] of `pretrain.evaluate.probes.pseudo_perplexity.one_masked`.

    - `part`: the model that predicts them.
    """
    rows = {name: values[0] for name, values in batch.items()}
    model, own = cast(VocabularyHead, objective.parts.models[part]), objective.parts.of(params, part)
    inputs = Inputs(*(rows[name] for name in ("tokens", "segments", "positions", "token_types")))
    hidden = model.encode(own, inputs)
    logits = model.vocabulary_logits(own, gather_positions(hidden, rows["masked"]))
    return masked_lm_sums(logits, rows["labels"], rows["weights"])
