"""bench-input: how many records a core makes ready for the devices, stage by stage, beside what an accelerator eats. No accelerator."""

import time
from dataclasses import dataclass

import jax

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.records import Records, RecordsHeader, folder_of_length
from data_pipeline.contract.run_folder import RunFolder
from pretrain.devices.available import available_devices
from pretrain.devices.peaks import peak_tflops
from pretrain.devices.sharding import batch_sharding, make_mesh
from pretrain.input.batches import STAGES, TrainingBatches
from pretrain.models.config import RowShape, default_config
from pretrain.objectives.corruption.recipe import Masking
from pretrain.planning.machines import machine_named
from pretrain.recipe import Mesh

MACHINE, MFU, ENOUGH = "v3-8", 0.45, 4.0
"""Whose appetite is shown, at which utilisation, and how many times as much a core should make."""


@dataclass(frozen=True)
class Measured:
    """Records and seconds: of the processor, in all threads, and by the clock in each stage."""

    records: int
    cpu_seconds: float
    stages: dict[str, float]

    @property
    def records_per_core(self) -> float:
        """Records for each second of a core."""
        return self.records / self.cpu_seconds


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
    print(f"{len(records):,} records of {records.header.length} tokens, in batches of {rows}")
    share = sum(measured.stages.values())
    for stage in STAGES:
        print(
            f"{stage:<12}{measured.records / measured.stages[stage]:>10,.0f} records/s {measured.stages[stage] / share:>6.1%}"
        )
    appetite = records_eaten(records.header)
    times = measured.records_per_core / appetite
    print(f"{'a core':<12}{measured.records_per_core:>10,.0f} records/s: all stages, for each second of processor time")
    print(f"{MACHINE:<12}{appetite:>10,.0f} records/s: BERT-base at {MFU:.0%} MFU")
    print(
        f"one core makes {times:.1f} times what a {MACHINE} eats ({'enough' if times >= ENOUGH else 'too little'}: {ENOUGH:g} or more)"
    )


def measure(records: Records, rows: int, seconds: float) -> Measured:
    """Makes the batches of steps 0, 1, 2, ... on this process' first device, until the time is over."""
    mesh = make_mesh(Mesh(data=1), available_devices()[:1])
    sharding = batch_sharding(mesh)
    batches = TrainingBatches(records, seed=0, global_batch_size=rows, accumulation=1, sharding=sharding)
    jax.block_until_ready(batches(0))  # opens the shards
    batches.spent.reset()
    step, began, cpu_began = 0, time.perf_counter(), time.process_time()
    while not step or time.perf_counter() - began < seconds:
        step += 1
        jax.block_until_ready(batches(step))
    return Measured(step * rows, time.process_time() - cpu_began, batches.spent.seconds)


def records_eaten(header: RecordsHeader) -> float:
    """Records that MACHINE takes in a second, training BERT-base on such records at MFU; arithmetic, as in `pretrain.planning.plan`."""
    machine = machine_named(MACHINE)
    peak = peak_tflops(machine.device_kind)
    assert peak is not None
    predictions = Masking().rate * header.length
    row = RowShape(header.length, header.target_length, header.vocabulary_size, round(predictions))
    flops = default_config().flops_per_row(row, frozenset({"vocabulary"}))
    return MFU * peak * 1e12 * machine.devices / flops
