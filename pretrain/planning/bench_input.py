"""bench-input: how many rows are made ready for the devices, stage by stage, beside what an accelerator eats. No accelerator."""

import os
import sys
import time
from dataclasses import dataclass

import jax

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.records import Records, RecordsHeader, folder_of_length
from data_pipeline.contract.run_folder import RunFolder
from pretrain.devices.available import available_devices
from pretrain.devices.peaks import peak_tflops
from pretrain.devices.sharding import batch_sharding, make_mesh
from pretrain.input.batches import READERS, STAGES, Prefetched, TrainingBatches
from pretrain.models.config import RowShape, default_config
from pretrain.objectives.corruption.recipe import Masking
from pretrain.objectives.protocols import Batch
from pretrain.planning.machines import machine_named
from pretrain.recipe import Mesh

MACHINE, MFU, ENOUGH = "v3-8", 0.45, 4.0
"""Whose appetite is shown, at which utilisation, and how many times as much should be made."""


@dataclass(frozen=True)
class Measured:
    """Rows that were made ready and seconds: by the clock, of the processor in all threads, and by the clock in each stage."""

    rows: int
    seconds: float
    cpu_seconds: float
    stages: dict[str, float]


def print_speed(folder: RunFolder, length: int | None, rows: int, seconds: float) -> None:
    """Makes batches of the run's records for some time, as training would, and prints the speed.

    - `length`: which records, of a run that has several lengths; None means the recipe's own.
    - `rows`: of a batch.

    Raises InputError where the run has no records, or for numbers that cannot be.
    """
    if rows < 1 or seconds <= 0:
        raise InputError(f"--rows {rows} and --seconds {seconds:g}: must be 1 or more, and above 0")
    records = Records(folder.examples if length is None else folder_of_length(folder.examples, length), "train")
    measured = measure(records, rows, seconds)
    print(
        f"{len(records):,} records of {records.header.length} tokens, in batches of {rows}, made by {READERS} threads on "
        f"{len(os.sched_getaffinity(0))} cores"
    )
    if len(records) < rows:
        print(f"a batch holds records several times: fewer than --rows {rows}")
    share = sum(measured.stages.values())
    for stage in STAGES:
        spent = measured.stages[stage]
        print(f"{stage:<10}{1e6 * spent / measured.rows:>10.2f} us a row {spent / share:>6.1%}")
    made, appetite = measured.rows / measured.seconds, records_eaten(records.header)
    enough = "enough" if made >= ENOUGH * appetite else "too little"
    print(f"{'made':<10}{made:>10,.0f} rows/s, {measured.rows / measured.cpu_seconds:,.0f} for each second of a core")
    print(f"{MACHINE:<10}{appetite:>10,.0f} rows/s at BERT-base and {MFU:.0%} MFU")
    print(f"{made / appetite:.1f} times what a {MACHINE} eats are made ({enough}: {ENOUGH:g} or more)")


def measure(records: Records, rows: int, seconds: float) -> Measured:
    """Makes the batches of steps 0, 1, 2, ... for this process' first device as the training loop does, until the time is over."""
    mesh = make_mesh(Mesh(data=1), available_devices()[:1])
    sharding = batch_sharding(mesh)
    batches = TrainingBatches(records, seed=0, global_batch_size=rows, accumulation=1, sharding=sharding)
    records.open_all()
    jax.block_until_ready(batches(0))  # what JAX does once
    batches.spent.reset()
    made: list[int] = []

    def make(step: int) -> Batch:
        made.append(step)
        return batches(step)

    began, cpu_began = time.perf_counter(), time.process_time()
    with Prefetched(make, 0, sys.maxsize) as prefetched:
        for _, batch in prefetched:
            jax.block_until_ready(batch)
            if time.perf_counter() - began >= seconds:
                break
    # Those that were ahead are finished, too.
    return Measured(
        len(made) * rows, time.perf_counter() - began, time.process_time() - cpu_began, batches.spent.seconds
    )


def records_eaten(header: RecordsHeader) -> float:
    """Records that MACHINE takes in a second, training BERT-base on such records at MFU; arithmetic, as in `pretrain.planning.plan`."""
    machine = machine_named(MACHINE)
    peak = peak_tflops(machine.device_kind)
    assert peak is not None
    predictions = Masking().predictions(header.length)
    row = RowShape(header.length, header.target_length, header.vocabulary_size, predictions)
    flops = default_config().flops_per_row(row, frozenset({"vocabulary"}))
    return MFU * peak * 1e12 * machine.devices / flops
