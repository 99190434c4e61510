"""Several processes that train as one: who they are is said by the environment or, on a Cloud TPU, by the machine."""

import logging
import os

import jax

from data_pipeline.contract.errors import InputError, WorkError
from pretrain.devices.available import platforms_asked_for
from pretrain.devices.holders import TPU_NODES, existing

log = logging.getLogger("pretrain")
ADDRESS, COUNT, NUMBER = "JAX_COORDINATOR_ADDRESS", "JAX_PROCESS_COUNT", "JAX_PROCESS_ID"
PATIENCE = 300
"""Seconds that processes wait for each other at the start."""


def join_processes() -> None:
    """Joins the processes that train together; must run before the first device is asked for.

    JAX_COORDINATOR_ADDRESS (HOST:PORT of process 0), JAX_PROCESS_COUNT and JAX_PROCESS_ID in the environment say it of any
    machines; JAX_PROCESS_COUNT=1 alone says that this process is all. Without them a machine with a TPU asks its metadata, and any
    other is alone; so is a notebook's TPU (TPU_PROCESS_ADDRESSES=local on Kaggle), which has no metadata.

    Raises InputError where the environment says half of it or nonsense, or names several tasks of Slurm that nobody joined;
    WorkError where the others do not come.
    """
    said = {name: os.environ[name] for name in (ADDRESS, COUNT, NUMBER) if os.environ.get(name)}
    if said == {COUNT: "1"}:
        return
    if said:
        _join_as_said(said)
    elif existing(TPU_NODES) and platforms_asked_for() in ("", "tpu"):
        if os.environ.get("TPU_PROCESS_ADDRESSES") == "local":  # JAX would wait for a host of this name
            log.info("one process: TPU_PROCESS_ADDRESSES=local names no other host")
            return
        try:
            jax.distributed.initialize(initialization_timeout=PATIENCE)
        except (
            ValueError,
            OSError,
        ) as error:  # no other host is told of, or no metadata server is there: a notebook's TPU
            log.info("one process: no metadata name other hosts of this TPU (%s)", error)
        except RuntimeError as error:
            raise WorkError(f"the hosts of this TPU do not find each other ({_first_line(error)})") from None
    elif int(os.environ.get("SLURM_STEP_NUM_TASKS", "1")) > 1:
        raise InputError(
            f"this is one of {os.environ['SLURM_STEP_NUM_TASKS']} tasks of a Slurm step, and each would train alone: set {ADDRESS}, "
            f"{COUNT} and {NUMBER} as launch/slurm.sbatch does, or start one task"
        )
    if jax.distributed.is_initialized():
        log.info("process %d of %d", jax.process_index(), jax.process_count())


def _join_as_said(said: dict[str, str]) -> None:
    missing = [name for name in (ADDRESS, COUNT, NUMBER) if name not in said]
    if missing:
        raise InputError(f"{', '.join(said)} is set, but not {', '.join(missing)}; set all three, or none")
    for name in (COUNT, NUMBER):
        if not said[name].isdecimal():
            raise InputError(f"{name}={said[name]}: must be a whole number")
    count, number = int(said[COUNT]), int(said[NUMBER])
    if number >= count:
        raise InputError(f"{NUMBER}={number}: must be 0 to {COUNT} - 1 = {count - 1}")
    host, _, port = said[ADDRESS].rpartition(":")
    if not host or not port.isdecimal():
        raise InputError(f"{ADDRESS}={said[ADDRESS]}: must be HOST:PORT of process 0")
    try:
        jax.distributed.initialize(
            *(said[ADDRESS], count, number),
            initialization_timeout=PATIENCE,
            cluster_detection_method="deactivate",  # within Slurm, JAX would take one GPU of the host's
        )
    except RuntimeError as error:
        raise WorkError(
            f"process {number} of {count}: the {count} processes did not meet at {said[ADDRESS]} within {PATIENCE} s "
            f"({_first_line(error)}); start all of them, with the same {ADDRESS}"
        ) from None


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
