"""The figures of a run while it trains: metrics/metrics.jsonl and TensorBoard, each step once."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from data_pipeline.contract.errors import InputError, machine_errors_at
from data_pipeline.contract.storage import append, write_atomically
from pretrain.monitoring.tensorboard import EventsFile

METRICS_FILE = "metrics.jsonl"
PROBE, PSEUDO_PERPLEXITY = "probe/", "pseudo_perplexity"
"""What probes measure: `probe/TASK`, and the other."""
OF_THIS_MACHINE = ("tokens_per_second", "mfu", "data_wait", "seconds")
"""What a line tells of the machine's speed and clock; all else is computed, and the same whenever the run is done again."""


class Scalars(Protocol):
    """Something that also wants to know of a step's finite values, as `pretrain.monitoring.weights_and_biases.WandbRun`."""

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


def is_of_probes(name: str) -> bool:
    """Whether a figure is one of `pretrain.evaluate.probes.prober`."""
    return name.startswith(PROBE) or name == PSEUDO_PERPLEXITY


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
