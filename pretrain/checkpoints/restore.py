"""The parameters of a checkpoint, on the host alone."""

from pathlib import Path

import jax
import numpy as np
import orbax.checkpoint as ocp

from data_pipeline.contract.errors import WorkError
from pretrain.checkpoints.verify import fault
from pretrain.models.core.layers import Parameters


def restore_params(checkpoint: Path) -> Parameters:
    """The parameters of a valid checkpoint as numpy arrays, without the optimizer's state and without any device.

    Raises WorkError where the checkpoint is not valid.
    """
    checkpoint = checkpoint.absolute()  # orbax takes no other
    problem = fault(checkpoint)
    if problem is not None:
        raise WorkError(f"{checkpoint}: {problem}; choose another checkpoint or restore this one from a copy")
    handlers = {
        name: ocp.PyTreeCheckpointHandler() for name in ("params", "training")
    }  # orbax warns of an item without
    with ocp.Checkpointer(ocp.CompositeCheckpointHandler(**handlers)) as checkpointer:
        tree = checkpointer.metadata(checkpoint).item_metadata["params"].tree
        on_host = jax.tree.map(lambda array: ocp.RestoreArgs(restore_type=np.ndarray, dtype=array.dtype), tree)
        arguments = ocp.args.Composite(params=ocp.args.PyTreeRestore(restore_args=on_host))
        params: Parameters = checkpointer.restore(checkpoint, args=arguments)["params"]
    return params
