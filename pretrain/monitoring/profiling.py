"""--profile FIRST:LAST: a trace of some steps, for TensorBoard's profiler or xprof."""

import logging
import re
from pathlib import Path
from types import TracebackType
from typing import Self

import jax

from data_pipeline.contract.errors import InputError

log = logging.getLogger("pretrain")


def steps_to_profile(words: str) -> range:
    """`10:15` as the steps 10 to 15, counted from 1. Raises InputError for other words."""
    found = re.fullmatch(r"(\d+):(\d+)", words)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise InputError(f"--profile {words}: must be FIRST:LAST, two steps counted from 1, as 10:15")
    return range(int(found[1]), int(found[2]) + 1)


class Profile:
    """Traces steps while the block runs; a block that ends before their last ends the trace.

    - `folder`: the metrics folder; traces go to its plugins/profile, where TensorBoard looks.
    - `steps`: counted from 1; empty traces nothing.
    """

    def __init__(self, folder: Path, steps: range) -> None:
        self.folder = folder
        self.steps = steps
        self._tracing = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def before(self, step: int) -> None:
        """Starts the trace before the first of the steps."""
        if step in self.steps and not self._tracing:
            jax.profiler.start_trace(str(self.folder))
            self._tracing = True

    def after(self, step: int, result: object) -> None:
        """Waits for the last step's result and ends the trace."""
        if self._tracing and step == self.steps[-1]:
            jax.block_until_ready(result)
            self._stop()

    def _stop(self) -> None:
        if self._tracing:
            self._tracing = False
            jax.profiler.stop_trace()
            log.info("the trace of steps %d to %d is in %s/plugins/profile", self.steps[0], self.steps[-1], self.folder)
