"""Goodput: the share of a run's time, over all of its starts, that went into steps that count; and where the rest went."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from data_pipeline.contract.errors import WorkError
from data_pipeline.contract.storage import read_json, write_json
from pretrain.monitoring.console import duration
from pretrain.monitoring.metrics import METRICS_FILE, read_metrics

GOODPUT_FILE = "goodput.json"
PARTS = {
    "compile": "compile",
    "data_wait": "data wait",
    "checkpoint": "checkpoint",
    "evaluation": "evaluation",
    "probes": "probes",
    "lost": "lost to restarts",
}
"""What takes time without being training, as it is stored and as it is told. Older code stored no probes."""
HOURLY = 3600.0
KEPT = 10.0
"""Seconds of training after which the file is written again, without a log line too."""
Start = dict[str, float]


def _nothing_open(step: int) -> Start:
    """What is known of the steps after the last log line, which is that of `logged_step`; they are part of `training` once stored."""
    return {"logged_step": step, "step": step, "unlogged": 0.0, "unlogged_wait": 0.0}


class Goodput:
    """Counts seconds of this start, and keeps them beside those of earlier starts in metrics/goodput.json.

    - `folder`: the run's metrics folder.
    - `step`: from which this start continues. Steps that an earlier start took after it are lost: their time is counted here, so the
      counter must be made before their lines in metrics.jsonl are cut.
    - `began`: time.perf_counter at which this start began.

    The file is written from `keep` on: then, where anything of PARTS ends, and at least every KEPT seconds between steps. What a killed
    start did after that is known to nobody, and counted nowhere; so is the time between two starts.
    """

    def __init__(self, folder: Path, step: int, began: float) -> None:
        self.path = folder / GOODPUT_FILE
        self.earlier: list[Start] = read_json(self.path) or []
        self.began = began
        self.now: Start = {"from_step": step, "seconds": 0.0, "training": 0.0, **dict.fromkeys(PARTS, 0.0)}
        self.now["lost"] = lost_seconds(read_metrics(folder / METRICS_FILE), step)
        if self.earlier:
            self.now["lost"] += lost_unlogged_seconds(self.earlier[-1], step)
        self._open = _nothing_open(step)
        self._keeps = False
        self._kept = self._told = began

    def keep(self) -> None:
        """Writes all starts, and keeps the file up to date from now on; one process does."""
        self._keeps = True
        self._write()

    @contextmanager
    def spent_on(self, part: str) -> Iterator[None]:
        """Adds the time inside the block to one of PARTS. What fails in the block is told, not that this file fails after it."""
        started = time.perf_counter()
        try:
            yield
        except BaseException:
            self.now[part] += time.perf_counter() - started
            # The disk that was too full for a checkpoint is so for this, too.
            with suppress(WorkError):
                self._write()
            raise
        self.now[part] += time.perf_counter() - started
        self._write()

    def reached(self, step: int, seconds: float, waited: float) -> None:
        """Notes a step, and the time since the last log line, of which the loop has waited a part for data."""
        self._open |= {"step": step, "unlogged": seconds - waited, "unlogged_wait": waited}
        if time.perf_counter() - self._kept > KEPT:
            self._write()

    def add_training(self, step: int, seconds: float, waited: float) -> None:
        """Adds the steps that the log line after `step` tells of, in which the loop has waited a part of the time for data."""
        self.now["training"] += seconds - waited
        self.now["data_wait"] += waited
        self._open = _nothing_open(step)
        self._write()

    def share_with(self, part: str, seconds: float) -> float:
        """The share of the time over all starts that one of PARTS would have if it took so many seconds more."""
        starts = [*self.earlier, self.this_start]
        spent, total = (sum(start.get(name, 0.0) for start in starts) + seconds for name in (part, "seconds"))
        return spent / total

    @property
    def this_start(self) -> Start:
        """What is stored of this start, now."""
        found = {**self.now, **self._open, "seconds": time.perf_counter() - self.began}
        found["training"] += found["unlogged"]
        found["data_wait"] += found.pop("unlogged_wait")
        return found

    def _write(self) -> None:
        if self._keeps:
            self._kept = time.perf_counter()
            write_json(self.path, [*self.earlier, self.this_start])

    def hourly_line(self) -> str | None:
        """The line, once in an hour."""
        if time.perf_counter() - self._told < HOURLY:
            return None
        self._told = time.perf_counter()
        return self.line()

    def line(self) -> str:
        """Goodput and where the rest went, over all starts: `goodput 93.1% of 1 h 05 min: compile 2.0%, ...`."""
        return goodput_line([*self.earlier, self.this_start])


def lost_seconds(lines: Sequence[dict[str, Any]], step: int) -> float:
    """Seconds of training that the lines of metrics.jsonl after a step tell of, without waits for data."""
    return sum(line["seconds"] * (1 - line["data_wait"]) for line in lines if line["step"] > step and "seconds" in line)


def lost_unlogged_seconds(start: Start, step: int) -> float:
    """Seconds of training after a step that no line of metrics.jsonl tells of: of the steps after the last line of a start, their share.

    - `start`: the last one, as it is stored; older code did not store what is asked for.
    """
    logged, reached = start.get("logged_step", 0.0), start.get("step", 0.0)
    steps = reached - max(step, logged)
    return start["unlogged"] * steps / (reached - logged) if steps > 0 else 0.0


def goodput_line(starts: Sequence[Start]) -> str:
    """See `Goodput.line`."""
    total = {name: sum(start.get(name, 0.0) for start in starts) for name in ("seconds", "training", *PARTS)}
    seconds = max(total["seconds"], 1e-9)
    useful = total["training"] - total["lost"]
    other = seconds - total["training"] - sum(total[part] for part in PARTS if part != "lost")
    parts = [f"{words} {total[part] / seconds:.1%}" for part, words in PARTS.items()]
    restarts = f" in {len(starts)} starts" if len(starts) > 1 else ""
    return f"goodput {useful / seconds:.1%} of {duration(seconds)}{restarts}: {', '.join(parts)}, other {other / seconds:.1%}"
