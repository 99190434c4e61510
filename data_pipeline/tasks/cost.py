"""What work cost: time, processor time and memory of a task, added up over a stage."""

import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

PEAK_UNIT = 1 if sys.platform == "darwin" else 1024
"""Bytes in one unit of `ru_maxrss` (getrusage(2))."""


@dataclass(frozen=True)
class Cost:
    """What a task took of the process that did it, or a stage of all of them.

    - `seconds`: by the clock. `cpu_seconds`: of the processor, in all threads.
    - `peak_megabytes`: the most memory that a process ever held until then, what it did before included.
    """

    seconds: float
    cpu_seconds: float
    peak_megabytes: float


class Meter:
    """Runs from its making on."""

    def __init__(self) -> None:
        self._seconds, self._cpu_seconds = time.monotonic(), time.process_time()

    def read(self) -> Cost:
        """The cost until now, rounded to milliseconds and tenths of a megabyte."""
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * PEAK_UNIT / 1e6
        cpu_seconds = time.process_time() - self._cpu_seconds
        return Cost(round(time.monotonic() - self._seconds, 3), round(cpu_seconds, 3), round(peak, 1))


def total(costs: Sequence[Cost]) -> Cost:
    """Times added up, the largest of the peaks."""
    return Cost(
        seconds=sum(cost.seconds for cost in costs),
        cpu_seconds=sum(cost.cpu_seconds for cost in costs),
        peak_megabytes=max((cost.peak_megabytes for cost in costs), default=0.0),
    )


def rate(text_bytes: int, cost: Cost) -> float:
    """Megabytes (10^6 bytes) of UTF-8 text for each second of one core."""
    return text_bytes / 1e6 / max(cost.cpu_seconds, 1e-3)
