"""Updates that the step has left out, not finite or spikes: named, kept for looking at, counted."""

import io
import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from data_pipeline.contract.errors import WorkError
from data_pipeline.contract.storage import write_atomically
from pretrain.input.phases import Phases

log = logging.getLogger("pretrain")


class Rejected(NamedTuple):
    """An update that was left out.

    - `step`: counted from 1.
    - `spike_limit`: the gradient norm above which that was a spike; infinite where spikes are not guarded against.
    """

    step: int
    loss: float
    grad_norm: float
    spike_limit: float = math.inf

    @property
    def is_spike(self) -> bool:
        """Whether it was finite."""
        return math.isfinite(self.loss) and math.isfinite(self.grad_norm)


class RejectedUpdates:
    """The rejected updates of a run, over all of its starts.

    - `batches`: from which the batch of a step is made again.
    - `folder`: gets `step-00000043.npz` for step 43: the rows that this process read, with the names of `pretrain.input.batches`.
    - `most`: maximum tolerated before stopping.
    - `count`: those before the checkpoint from which this start continues. Later ones of an earlier start do not count: their steps
      are taken again.
    """

    def __init__(self, batches: Phases, folder: Path, most: int, count: int) -> None:
        self.batches = batches
        self.folder = folder
        self.most = most
        self.count = count

    def report(self, rejected: Sequence[Rejected], *, goes_back: bool = False) -> Rejected | None:
        """Logs each update and writes its batch. Raises WorkError where they have become too many.

        - `goes_back`: whether training goes back at a spike. The first one is returned then: it and what came after it are steps that
          are taken again, and do not count.
        """
        for each in rejected:
            path = self._write_batch(each.step)
            above = f" above {each.spike_limit:.4g}, a spike" if each.is_spike else ""
            log.warning(
                "step %d: update rejected: loss %s, gradient norm %s%s; its batch is in %s",
                *(each.step, each.loss, each.grad_norm, above, path),
            )
            if each.is_spike and goes_back:
                return each
            self.count += 1
            if self.count > self.most:
                raise WorkError(
                    f"{self.count} updates were rejected, the last at step {each.step} (loss {each.loss}, gradient norm "
                    f"{each.grad_norm}); --training.max-rejected-updates allows {self.most}; their batches are in {self.folder}: start "
                    "a new run with a lower --training.optimizer.learning-rate or a longer --training.optimizer.warmup-steps"
                )
        return None

    def _write_batch(self, step: int) -> Path:
        process = f"-process-{jax.process_index()}" if jax.process_count() > 1 else ""
        path = self.folder / f"step-{step:08d}{process}.npz"
        content = io.BytesIO()
        np.savez_compressed(content, allow_pickle=False, **self.batches.local_fields(step - 1)[1])
        write_atomically(path, content.getvalue())
        return path
