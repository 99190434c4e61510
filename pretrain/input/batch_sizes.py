"""How many rows each step takes: the batch size, or fewer while it grows."""

import numpy as np

from data_pipeline.contract.errors import InputError
from pretrain.recipe import BatchWarmup


class BatchSizes:
    """Rows of each step, counted from 0, and rows before it, in closed form.

    - `full`: rows of a step after the warmup.
    - `warmup`: the batch grows from `first_rows` by multiples of it, evenly; None or 0 rows: no warmup.

    Raises InputError where the batch is not a multiple of its first rows, or the warmup has no step.
    """

    def __init__(self, full: int, warmup: BatchWarmup | None = None) -> None:
        first, steps = (warmup.first_rows, warmup.steps) if warmup and warmup.first_rows else (full, 0)
        if full % first:
            raise InputError(
                f"--training.batch-warmup.first-rows {first}: must divide --training.global-batch-size {full}"
            )
        if first < full and steps < 1:
            raise InputError(
                f"--training.batch-warmup.steps {steps}: must be 1 or more with --training.batch-warmup.first-rows {first}"
            )
        self.full = full
        growing = first * (1 + np.arange(steps, dtype=np.int64) * (full // first - 1) // max(1, steps))
        self._ends = np.cumsum(growing)  # rows until the end of each step of the warmup

    def before(self, step: int) -> int:
        """Rows of all steps before this one."""
        warm = len(self._ends)
        if step <= 0:
            return 0
        if step <= warm:
            return int(self._ends[step - 1])
        return (int(self._ends[-1]) if warm else 0) + (step - warm) * self.full

    def of(self, step: int) -> int:
        """Rows of a step."""
        return self.before(step + 1) - self.before(step)
