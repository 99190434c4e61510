"""Going back before a spike: the last checkpoint's facts get the batches that training leaves out from there on.

PaLM restarted training from a checkpoint before a spike and skipped the batches that were seen there (Chowdhery et al. 2022, arXiv
2204.02311, section 5.1). Here the checkpoint's own facts say so, in `left_out`: a list of [start, stop], the training data of
the steps from `start` to `stop`, counted from 0 and `stop` excluded, as they would have been read but for this entry. So a batch is
a function of the step and of this list, wherever and however often the run is resumed.
"""

import logging

from data_pipeline.contract.errors import WorkError
from pretrain.checkpoints.store import CheckpointStore
from pretrain.checkpoints.verify import Facts
from pretrain.recipe import SpikeGuard

log = logging.getLogger("pretrain")


def go_back(checkpoints: CheckpointStore, step: int, saved: Facts, spike: int, guard: SpikeGuard) -> None:
    """Leaves out, from the checkpoint of a step on, the batches until a spike. Atomic: a run that is killed before finds the spike
    again, one that is killed after does not meet it. Every process calls it.

    - `step`: of the newest checkpoint, which is committed; `saved`: facts that it shares with the checkpoint from which this start
      continues.
    - `spike`: the step of the spike, counted from 1.

    Raises WorkError where the run has gone back as often as it may.
    """
    left_out = saved["left_out"]
    if len(left_out) >= guard.max_rewinds:
        raise WorkError(
            f"step {spike} is a spike, and the run has gone back {len(left_out)} times already; "
            f"--training.spikes.max-rewinds allows {guard.max_rewinds}: raise it, or start a new run with a lower "
            "--training.optimizer.learning-rate or a longer --training.optimizer.warmup-steps"
        )
    checkpoints.amend(step, {"left_out": [*left_out, [step, spike]]})
    log.warning(
        "going back to step %d; the batches of steps %d to %d are left out (%d of at most %d times)",
        *(step, step + 1, spike, len(left_out) + 1, guard.max_rewinds),
    )
