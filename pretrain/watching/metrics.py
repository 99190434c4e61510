"""What a run says of itself while it trains: the console, TensorBoard and metrics/metrics.jsonl, and MFU with its denominator."""

import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import jax

from data_pipeline.contract.errors import InputError, machine_errors_at
from data_pipeline.contract.storage import write_atomically
from pretrain.appending import append
from pretrain.rejected import Rejected
from pretrain.watching.tensorboard import EventsFile

METRICS_FILE = "metrics.jsonl"
OF_THIS_MACHINE = ("tokens_per_second", "mfu", "data_wait", "seconds")
"""What a line tells of the machine's speed and clock; all else is computed, and the same whenever the run is done again."""

PEAK_TFLOPS: tuple[tuple[str, float], ...] = (
    # Google Cloud, "TPU versions" (cloud.google.com/tpu/docs/v2 and so on) gives bf16 peaks by chip: v2 45, v3 123, v4 275,
    # v5e 197, v5p 459, v6e 918, TPU7x 2307. JAX exposes the two cores of v2 and v3, and the two chiplets of TPU7x, as devices.
    ("TPU v2", 22.5),
    ("TPU v3", 61.5),
    ("TPU v4", 275.0),
    ("TPU v5 lite", 197.0),
    ("TPU v5e", 197.0),
    ("TPU v5", 459.0),
    ("TPU v6", 918.0),
    ("TPU7x", 1153.5),
    # NVIDIA's data sheets, "BFLOAT16 Tensor Core" without sparsity.
    ("NVIDIA A100", 312.0),
    ("NVIDIA H100 PCIe", 756.0),
    ("NVIDIA H100 NVL", 835.0),
    ("NVIDIA H100", 989.0),
    ("NVIDIA H200 NVL", 835.0),
    ("NVIDIA H200", 989.0),
)
"""Beginning of a JAX device kind -> dense bf16 peak of one JAX device in TFLOP/s. The first that fits counts."""


def peak_tflops(device_kind: str) -> float | None:
    """The dense bf16 peak of one JAX device in TFLOP/s; None where it is not known (a CPU, a device newer than the table)."""
    return next((peak for beginning, peak in PEAK_TFLOPS if device_kind.startswith(beginning)), None)


def model_flops_utilisation(flops_per_second: float, peak: float | None, devices: int) -> float | None:
    """Model FLOPs of real tokens over the devices' peak, 0 to 1 (Chowdhery et al. 2022, arXiv 2204.02311, appendix B).

    - `peak`: of one device, TFLOP/s; None gives None.
    """
    return None if peak is None else flops_per_second / (peak * 1e12 * devices)


class Scalars(Protocol):
    """Something that also wants to know of a step's finite values, as `pretrain.watching.weights_and_biases.WandbRun`."""

    def scalars(self, step: int, values: Mapping[str, float]) -> None: ...
    def close(self) -> None: ...


class MetricsWriter:
    """Writes the metrics of a run to metrics.jsonl and TensorBoard, each step once.

    - `folder`: the run's metrics folder.
    - `step`: the step from which the run goes on. Lines and events after it belong to work that was lost, and are removed.
    - `others`: get the same values.

    Raises InputError where metrics.jsonl is damaged elsewhere than in its last line, WorkError where the disk takes no more.
    """

    def __init__(self, folder: Path, step: int, others: Sequence[Scalars] = ()) -> None:
        self.path = folder / METRICS_FILE
        cut_after(self.path, step)
        with machine_errors_at(folder):
            folder.mkdir(parents=True, exist_ok=True)
            # Unbuffered: what did not get onto a full disk must not be tried again when the file is closed.
            self._lines = open(self.path, "ab", buffering=0)  # noqa: SIM115
            self._events = EventsFile(folder, step)
        self._also: tuple[Scalars, ...] = (self._events, *others)

    def write(self, step: int, values: Mapping[str, float | None]) -> None:
        """Writes one line and one TensorBoard event, and makes them durable. None and what is not finite is null, and no scalar."""
        finite = {name: value for name, value in values.items() if value is not None and math.isfinite(value)}
        line = {"step": step, **{name: finite.get(name) for name in values}}
        # Whole lines in one write, so that a process killed here leaves at most one torn line.
        with machine_errors_at(self.path):
            append(self._lines, (json.dumps(line) + "\n").encode())
        for each in self._also:
            each.scalars(step, finite)

    def write_text(self, step: int, name: str, markdown: str) -> None:
        """Writes a text to TensorBoard."""
        self._events.text(step, name, markdown)

    def close(self) -> None:
        """Closes the files."""
        self._lines.close()
        for each in self._also:
            each.close()


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The lines of a metrics.jsonl, without a last line that was torn when the process died.

    Raises InputError naming another line that is not JSON.
    """
    if not path.exists():
        return []
    *whole, _ = path.read_bytes().split(b"\n")
    lines = []
    for number, line in enumerate(whole, 1):
        try:
            value = json.loads(line)
        except ValueError:
            value = None
        if not isinstance(value, dict) or "step" not in value:
            raise InputError(f"{path}:{number}: not a line of JSON with a step; remove the line and run again")
        lines.append(value)
    return lines


def cut_after(path: Path, step: int) -> None:
    """Removes, atomically, the lines of a metrics.jsonl that lie after a step."""
    if not path.exists():
        return
    kept = [line for line in read_metrics(path) if line["step"] <= step]
    content = "".join(json.dumps(line) + "\n" for line in kept).encode()
    if content != path.read_bytes():
        write_atomically(path, content)


def console_line(
    step: int, stop: int, values: dict[str, float | None], peak: float | None, devices: int, left: float
) -> str:
    """The line that a person reads.

    - `values`: as `MetricsWriter.write` gets them.
    - `peak`: of one device in TFLOP/s, the denominator of MFU.
    - `left`: time to go in seconds.
    """
    utilisation = values["mfu"]
    mfu = "n/a" if utilisation is None else f"{utilisation:.1%} of {devices} x {peak:g} TFLOP/s"
    return (
        f"step {step}/{stop}: loss {values['loss']:.4f}, masked accuracy {values['masked_accuracy']:.3f}, "
        f"learning rate {values['learning_rate']:.2e}, {values['tokens_per_second']:,.0f} tokens/s, MFU {mfu}, "
        f"data wait {values['data_wait']:.1%}, {duration(left)} left"
    )


def duration(seconds: float) -> str:
    """Seconds as a person says them: "2 d 3 h", "1 h 05 min", "2 min 10 s"."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {seconds:02d} s" if minutes else f"{seconds} s"


class Window:
    """The steps since the last log line: their tokens, their time, and whether their losses are numbers.

    - `step`: steps done before the first one that is added.

    Steps stay on the device until `settle`; `add` only keeps the host from running more than two steps ahead, so that the
    time that it waits for data is time that the device would wait too.
    """

    def __init__(self, step: int) -> None:
        self.first = self.step = step
        self.tokens = 0.0
        self.rejected: list[Rejected] = []
        self._pending: list[dict[str, jax.Array]] = []
        self._paused = 0.0
        self._started = time.perf_counter()

    def add(self, metrics: dict[str, jax.Array]) -> None:
        """Takes the metrics of the next step, as `pretrain.step.train_step` returns them."""
        self._pending.append(metrics)
        if len(self._pending) > 1:
            jax.block_until_ready(self._pending[-2])

    def settle(self) -> dict[str, float]:
        """Fetches what was added and returns the last step's metrics; `rejected` then tells which updates were left out."""
        fetched = [{name: float(value) for name, value in metrics.items()} for metrics in jax.device_get(self._pending)]
        self.rejected = [
            Rejected(step, metrics["loss"], metrics["grad_norm"])
            for step, metrics in enumerate(fetched, self.step + 1)
            if metrics["rejected"]
        ]
        self.step += len(fetched)
        self.tokens += sum(metrics["real_tokens"] for metrics in fetched)
        self._pending = []
        return fetched[-1]

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leaves the time inside the block (evaluation, checkpoint) out of the window's."""
        started = time.perf_counter()
        yield
        self._paused += time.perf_counter() - started

    @property
    def seconds(self) -> float:
        """Training time since the window began."""
        return time.perf_counter() - self._started - self._paused
