"""What a run tells while it trains: log lines, metrics, curves, rejected updates and where the time goes, from one place."""

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import optax

from data_pipeline.contract.recipe_file import plain
from data_pipeline.contract.run_folder import RunFolder
from pretrain.devices.peaks import model_flops_utilisation, peak_tflops
from pretrain.input.phases import Phases
from pretrain.job import Job
from pretrain.monitoring.console import console_line
from pretrain.monitoring.curves.reference import reference_of
from pretrain.monitoring.data_wait import DataWait
from pretrain.monitoring.goodput import Goodput
from pretrain.monitoring.metrics import MetricsWriter, Scalars
from pretrain.monitoring.steps.rejected import Rejected, RejectedUpdates
from pretrain.monitoring.steps.window import Window
from pretrain.monitoring.tensorboard import preformatted
from pretrain.optimization.step import Metrics
from pretrain.recipe import TrainingRecipe

log = logging.getLogger("pretrain")


class Reporter:
    """The reports of one start of a run; every process has one, and the first writes and logs.

    - `recipe_name`: what reference curves know the recipe by.
    - `saved`: `facts` at the checkpoint from which this start continues.
    - `steps`: all that this start is to take, counted from 0.
    - `schedule`: the learning rate of each step.
    - `others`: get the metrics as well.

    `last` are the newest finite metrics, held-out ones among them. What metrics.jsonl has of later steps than the checkpoint's is
    removed.
    """

    def __init__(
        self,
        run_folder: RunFolder,
        recipe_name: str,
        job: Job,
        phases: Phases,
        saved: Mapping[str, Any],
        steps: range,
        mesh: jax.sharding.Mesh,
        schedule: optax.Schedule,
        goodput: Goodput,
        others: Sequence[Scalars],
    ) -> None:
        recipe = job.recipe
        self._steps, self._recipe, self._phases, self._objectives = steps, recipe, phases, job.phases
        self._row_flops = [objective.flops_per_row() for objective in job.phases]
        self._devices = mesh.size
        self._peak = recipe.peak_tflops_per_device or peak_tflops(mesh.devices.flat[0].device_kind)
        self._goodput, self._learning_rate = goodput, schedule
        self._data_wait = DataWait(phases.spent)
        self._rejected = RejectedUpdates(
            phases, run_folder.metrics / "rejected", recipe.max_rejected_updates, saved["rejected_updates"]
        )
        self._writer = _writer(run_folder, recipe, steps.start, others) if jax.process_index() == 0 else None
        if self._writer:
            goodput.keep()  # it has read the lines that are removed now
        self._reference = reference_of(recipe_name, recipe, phases.all[-1].header, run_folder)
        self.last: dict[str, float] = dict(saved["metrics"])
        self.spike: Rejected | None = None
        self.window = Window(steps.start, recipe.optimizer.clip_norm, saved["window"])
        self._tokens_before: int = saved["tokens_seen"]

    @property
    def facts(self) -> dict[str, Any]:
        """What a checkpoint keeps of the steps whose metrics were fetched, JSON-ready.

        `tokens_seen`: without padding; `metrics`: the newest; `window`: the one that is open, so that the next line is the same where
        a run is resumed in its middle; `rejected_updates`.
        """
        return {
            "tokens_seen": self._tokens_before + int(self.window.tokens),
            "metrics": self.last,
            "window": self.window.state,
            "rejected_updates": self._rejected.count,
        }

    def add(self, done: int, metrics: Metrics, waited: float) -> None:
        """Takes the metrics of step `done`.

        - `waited`: seconds since the last line in which the loop waited for data.
        """
        self.window.add(metrics)
        self._goodput.reached(done, self.window.seconds, waited)

    def settle(self, *, goes_back: bool) -> dict[str, float]:
        """Fetches the metrics of the steps since the last call and reports updates that were left out; returns the means of the
        window so far.

        - `goes_back`: whether training goes back at a spike, which is in `spike` then.
        """
        self.window.settle()
        self.spike = self._rejected.report(self.window.rejected, goes_back=goes_back)
        means = self.window.totals.metrics(self._objectives[self._phases.number(self.window.step - 1)])
        self.last = {**self.last, **{name: value for name, value in means.items() if math.isfinite(value)}}
        return means

    def log(self, done: int, means: Mapping[str, float], waited: float) -> None:
        """Writes and logs the window that ends after step `done`, and begins another.

        - `means`: of `settle`; `waited`: seconds of the window in which the loop waited for data.
        """
        window, phase = self.window, self._phases.number(done - 1)
        seconds = window.seconds
        row_tokens = self._phases.all[phase].header.row_tokens
        # A row of real tokens alone, in segments as long as the window's were.
        attended = window.totals.attended_pairs / max(1.0, window.totals.real_tokens) * row_tokens
        flops_per_token = self._objectives[phase].flops_per_row(attended) / row_tokens
        with jax.transfer_guard("allow"):
            rate = float(self._learning_rate(done - 1))
        values: dict[str, float | None] = {
            **means,
            "learning_rate": rate,
            "tokens_per_second": window.tokens / seconds,
            "mfu": model_flops_utilisation(flops_per_token * window.tokens / seconds, self._peak, self._devices),
            "data_wait": waited / seconds,
            "seconds": seconds,
        }
        self._goodput.add_training(done, seconds, waited)
        self._data_wait.look(done, waited, seconds)
        if self._writer:
            self._writer.write(done, values)
            to_go, covered = (
                self._phases.flops(self._row_flops, *steps)
                for steps in ((done, self._steps.stop), (window.first, done))
            )
            headlines = self._recipe.objective.headlines()
            log.info(
                "%s",
                console_line(
                    done, self._steps.stop, values, headlines, self._peak, self._devices, to_go * seconds / covered
                ),
            )
            self._reference.look(done, values)
            if hourly := self._goodput.hourly_line():
                log.info("%s", hourly)
        self._tokens_before += int(window.tokens)
        self.window = Window(done, self._recipe.optimizer.clip_norm)

    def evaluated(self, done: int, scores: Mapping[str, float], shown: str) -> None:
        """Writes and logs the losses on held-out rows after step `done`.

        - `shown`: the sample of predictions, as Markdown.
        """
        self.scored(done, scores)
        if self._writer:
            self._reference.look(done, scores)
            self._writer.write_text(done, "predictions", shown)

    def scored(self, done: int, scores: Mapping[str, float]) -> None:
        """Writes and logs scores of the model after step `done`; one that is not finite is null."""
        self.last = {**self.last, **{name: value for name, value in scores.items() if math.isfinite(value)}}
        log.info("step %d: %s", done, ", ".join(f"{name} {value:.4f}" for name, value in scores.items()))
        if self._writer:
            self._writer.write(done, {**scores})

    def close(self) -> None:
        """Closes the files and logs where the time went."""
        if self._writer:
            self._writer.close()
            log.info("%s", self._goodput.line())


def _writer(run_folder: RunFolder, recipe: TrainingRecipe, start: int, others: Sequence[Scalars]) -> MetricsWriter:
    writer = MetricsWriter(run_folder.metrics, start, others)
    writer.write_text(start, "recipe", preformatted(plain(recipe)))
    return writer
