"""A bar of several steps on a terminal; nothing elsewhere, where the log's lines tell enough."""

import logging
import sys
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class StepBar:
    """`with StepBar(start, stop) as bar: bar.done(step)`. Lines that are logged meanwhile stand above the bar.

    - `start`, `stop`: the steps done before, and at the end.
    """

    def __init__(self, start: int, stop: int) -> None:
        self._bar: Progress | None = None
        console = Console(stderr=True)
        if console.is_terminal and stop > start + 1:
            columns = (
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                TextColumn("left"),
            )
            self._bar = Progress(TextColumn("steps"), *columns, console=console, transient=True)
            self._task = self._bar.add_task("steps", total=stop, completed=start)

    def __enter__(self) -> Self:
        self._handlers = [
            handler
            for handler in logging.getLogger().handlers
            if isinstance(handler, logging.StreamHandler) and handler.stream is sys.stderr
        ]
        if self._bar is not None:
            self._bar.start()
            self._follow_stderr()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._follow_stderr()

    def done(self, step: int) -> None:
        """Moves the bar to a step."""
        if self._bar is not None:
            self._bar.update(self._task, completed=step)

    def _follow_stderr(self) -> None:
        """rich puts a stream of its own in the place of sys.stderr, which handlers made earlier do not know of."""
        for handler in self._handlers:
            handler.setStream(sys.stderr)
