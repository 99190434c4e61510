"""Goodput: the share of a run's time, over all of its starts, that went into steps that count; and where the rest went."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from data_pipeline.contract.storage import read_json, write_json
from pretrain.monitoring.console import duration
from pretrain.monitoring.metrics import METRICS_FILE, read_metrics

GOODPUT_FILE = "goodput.json"
PARTS = {
    "compile": "compile",
    "data_wait": "data wait",
    "checkpoint": "checkpoint",
    "evaluation": "evaluation",
    "lost": "lost to restarts",
}
"""What takes time without being training, as it is stored and as it is told."""
HOURLY = 3600.0
Start = dict[str, float]


class Goodput:
    """Counts seconds of this start, and keeps them beside those of earlier starts in metrics/goodput.json.

    - `folder`: the run's metrics folder.
    - `step`: from which this start goes on. Steps in metrics.jsonl after it are lost: their time is counted here, so the
      counter must be made before these lines are cut.
    - `began`: time.perf_counter at which this start began.

    What a start did after its last log line is known to nobody, and counted nowhere.
    """

    def __init__(self, folder: Path, step: int, began: float) -> None:
        self.path = folder / GOODPUT_FILE
        self.earlier: list[Start] = read_json(self.path) or []
        self.began = began
        self.now: Start = {"from_step": step, "seconds": 0.0, "training": 0.0, **dict.fromkeys(PARTS, 0.0)}
        self.now["lost"] = lost_seconds(read_metrics(folder / METRICS_FILE), step)
        self._told = began

    @contextmanager
    def spent_on(self, part: str) -> Iterator[None]:
        """Adds the time inside the block to one of PARTS."""
        started = time.perf_counter()
        yield
        self.now[part] += time.perf_counter() - started

    def add_training(self, seconds: float, waited: float) -> None:
        """Adds a stretch of steps, of which the loop has waited a part for data."""
        self.now["training"] += seconds - waited
        self.now["data_wait"] += waited

    def write(self) -> None:
        """Writes all starts; one process does."""
        self.now["seconds"] = time.perf_counter() - self.began
        write_json(self.path, [*self.earlier, self.now])

    def hourly_line(self) -> str | None:
        """The line, once in an hour."""
        if time.perf_counter() - self._told < HOURLY:
            return None
        self._told = time.perf_counter()
        return self.line()

    def line(self) -> str:
        """Goodput and where the rest went, over all starts: `goodput 93.1% of 1 h 05 min: compile 2.0%, ...`."""
        self.now["seconds"] = time.perf_counter() - self.began
        return goodput_line([*self.earlier, self.now])


def lost_seconds(lines: Sequence[dict[str, Any]], step: int) -> float:
    """Seconds of training that the lines of metrics.jsonl after a step tell of, without waits for data."""
    return sum(line["seconds"] * (1 - line["data_wait"]) for line in lines if line["step"] > step and "seconds" in line)


def goodput_line(starts: Sequence[Start]) -> str:
    """See `Goodput.line`."""
    total = {name: sum(start[name] for start in starts) for name in ("seconds", "training", *PARTS)}
    seconds = max(total["seconds"], 1e-9)
    useful = total["training"] - total["lost"]
    other = seconds - total["training"] - sum(total[part] for part in PARTS if part != "lost")
    parts = [f"{words} {total[part] / seconds:.1%}" for part, words in PARTS.items()]
    restarts = f" in {len(starts)} starts" if len(starts) > 1 else ""
    return f"goodput {useful / seconds:.1%} of {duration(seconds)}{restarts}: {', '.join(parts)}, other {other / seconds:.1%}"
