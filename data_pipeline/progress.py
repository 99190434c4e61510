"""What a person sees while a stage runs: a bar on a terminal, one line a stage elsewhere."""

import logging
import time
from contextlib import AbstractContextManager
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from data_pipeline.cost import Cost, rate, total
from data_pipeline.shard_task import Done

logger = logging.getLogger("data_pipeline")


class StageProgress(AbstractContextManager["StageProgress"]):
    """Progress of one stage.

    - `tasks`: how many there are.
    - `unit`: the count that tells how much went through.
    """

    def __init__(self, stage: str, tasks: int, unit: str) -> None:
        self.stage, self.tasks, self.unit = stage, tasks, unit
        self._amount = 0
        self._text_bytes = 0
        self._costs: list[Cost] = []
        self._start = time.monotonic()
        self._bar: Progress | None = None

    def __enter__(self) -> "StageProgress":
        console = Console(stderr=True)
        if console.is_terminal and self.tasks > 1:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
            )
            self._bar = Progress(*columns, console=console, transient=True)
            self._bar.start()
            self._task = self._bar.add_task(self.stage, total=self.tasks)
        return self

    def task_done(self, done: Done) -> None:
        """Takes note of a finished task, in this run or an earlier one."""
        amount = done.counts.get(self.unit, 0)
        self._amount += sum(amount.values()) if isinstance(amount, dict) else amount
        self._text_bytes += done.counts.get("text_bytes", 0)
        self._costs.append(done.cost)
        if self._bar is not None:
            self._bar.advance(self._task)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
        if error is None:
            seconds = time.monotonic() - self._start
            amount = f"{self._amount:,} {self.unit}"
            logger.info("%-10s %s in %.1f s (%s)", self.stage, amount, seconds, self._paid())

    def _paid(self) -> str:
        """What the tasks cost, each in the run that did it."""
        cost = total(self._costs)
        text = f", {self._text_bytes / 1e6:,.1f} MB of text, {rate(self._text_bytes, cost):,.2f} MB/s per core"
        return f"{cost.cpu_seconds:,.1f} CPU s{text if self._text_bytes else ''}, peak {cost.peak_megabytes:,.0f} MB a worker"
