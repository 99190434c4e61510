"""What a person sees while a stage runs: a bar with MB/s and the time left on a terminal, one line a stage elsewhere."""

import logging
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import timedelta
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.text import Text

from data_pipeline.tasks.cost import Cost, rate, total
from data_pipeline.tasks.shard_task import Done, ShardTask

logger = logging.getLogger("data_pipeline")


class _TimeLeft(ProgressColumn):
    """Time until the stage ends if the rest of its bytes goes like those before; counts down between tasks."""

    def render(self, task: Task) -> Text:
        ends_at = task.fields["ends_at"]
        if ends_at is None:
            return Text("")
        seconds = max(0, round(ends_at - time.monotonic()))
        return Text(f"{timedelta(seconds=seconds)} left", style="progress.remaining")


class StageProgress(AbstractContextManager["StageProgress"]):
    """Progress of one stage, by the bytes that its tasks read.

    - `tasks`: all of them.
    - `unit`: the count that tells how much went through.
    - `console`: where the bar stands, if it is a terminal.
    """

    def __init__(self, stage: str, tasks: Sequence[ShardTask], unit: str, console: Console | None = None) -> None:
        self.stage, self.unit = stage, unit
        self._tasks = len(tasks)
        self._console = console or Console(stderr=True)
        self._amount = 0
        self._finished = 0
        self._text_bytes = 0
        self._new_text_bytes = 0
        self._bytes_left = sum(map(_size, tasks))
        self._bytes_done = 0
        self._costs: list[Cost] = []
        self._start = time.monotonic()
        self._bar: Progress | None = None

    def __enter__(self) -> "StageProgress":
        if self._console.is_terminal:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.fields[state]}"),
                TimeElapsedColumn(),
                _TimeLeft(),
            )
            self._bar = Progress(*columns, console=self._console, transient=True)
            self._bar.start()
            self._row = self._bar.add_task(self.stage, total=None, state=f"0/{self._tasks}", ends_at=None)
        return self

    def task_found(self, done: Done) -> None:
        """Takes note of a task that an earlier run did."""
        self._note(done)
        self._show()

    def task_done(self, done: Done) -> None:
        """Takes note of a task that this run did."""
        self._note(done)
        self._new_text_bytes += done.counts.get("text_bytes", 0)
        self._bytes_done += _size(done.task)
        self._show()

    def _note(self, done: Done) -> None:
        amount = done.counts.get(self.unit, 0)
        amounts = amount.values() if isinstance(amount, dict) else [amount]
        self._amount += sum(len(each) if isinstance(each, list) else each for each in amounts)
        self._text_bytes += done.counts.get("text_bytes", 0)
        self._costs.append(done.cost)
        self._finished += 1
        self._bytes_left -= _size(done.task)

    def _show(self) -> None:
        if self._bar is None:
            return
        now = time.monotonic()
        speed = self._new_text_bytes / 1e6 / max(now - self._start, 1e-3)
        state = f"{self._finished}/{self._tasks}" + (f", {speed:,.2f} MB/s" if self._new_text_bytes else "")
        # A task that reads nothing has no share; then the number of tasks is all there is to show.
        ends_at = now + (now - self._start) * self._bytes_left / self._bytes_done if self._bytes_done else None
        total = self._bytes_done + self._bytes_left if self._bytes_done else None
        self._bar.update(self._row, completed=self._bytes_done, total=total, state=state, ends_at=ends_at)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
        if error is None:
            seconds = time.monotonic() - self._start
            amount = f"{self._amount:,} {self.unit.replace('_', ' ')}"
            logger.info("%-15s %s in %.1f s (%s)", self.stage, amount, seconds, self._paid())

    def _paid(self) -> str:
        """What the tasks cost, each in the run that did it."""
        cost = total(self._costs)
        text = f", {self._text_bytes / 1e6:,.1f} MB of text, {rate(self._text_bytes, cost):,.2f} MB/s per core"
        return f"{cost.cpu_seconds:,.1f} CPU s{text if self._text_bytes else ''}, peak {cost.peak_megabytes:,.0f} MB a worker"


def _size(task: ShardTask) -> int:
    """Bytes of all that a task reads."""
    return sum(file.size for files in task.inputs.values() for file in files)
