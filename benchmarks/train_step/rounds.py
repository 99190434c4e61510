"""Contenders in processes of their own that train in turns: while one trains, the others wait on a pipe."""

import importlib
import logging
import multiprocessing
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

from data_pipeline.contract.errors import WorkError
from pretrain.recipe import TrainingRecipe

TRANSFORMERS_4 = Path(sys.prefix) / "transformers-4"
"""Where run_tests.sh puts the last transformers with Flax, beside the current one."""
KERAS_HUB = Path(sys.prefix) / "keras-hub"
"""Where benchmarks/README.md puts Keras and keras-hub."""
log = logging.getLogger(__name__)
Facts = dict[str, Any]
DROPOUTS = ("hidden_dropout_prob", "attention_probs_dropout_prob")


def dropouts(config: Any) -> tuple[float, float]:
    """On hidden states and on attention probabilities, 0 to 1, by a config of ours or of transformers."""
    hidden, attention = (getattr(config, name) for name in DROPOUTS)
    return hidden, attention


class Setting(NamedTuple):
    """What all contenders train.

    - `folder`: a prepared run folder; `start` and `held_out.npz` in it are where ours puts what the peers begin with.
    - `recipe`: model, optimizer, batch.
    - `steps`: steps a round.
    - `device`: of torch; JAX takes what JAX_PLATFORMS lets it take.
    """

    folder: Path
    recipe: TrainingRecipe
    steps: int
    device: Literal["cpu", "cuda"] = "cpu"

    @property
    def start(self) -> Path:
        """A Hugging Face folder with the parameters of step 0."""
        return self.folder / "start"

    @property
    def held_out(self) -> Path:
        """One masked held-out batch, and our logits of its first rows at step 0."""
        return self.folder / "held_out.npz"


class Turns:
    """The child's end: `for _ in turns: ...` does one round a turn, and the time between two turns is the round's."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def tell(self, facts: Facts) -> None:
        """Sends what the page wants to know: once when ready, once when all rounds are done."""
        self._connection.send(facts)

    def __iter__(self) -> Iterator[None]:
        while self._connection.recv():
            began = time.perf_counter()
            yield
            self._connection.send(time.perf_counter() - began)


class Contender:
    """The parent's end: a function that trains, in a fresh process.

    - `row`: its name on the page.
    - `train`: "module:function" of a function (turns, setting) -> None, so that only the process imports its framework.
    - `setting`: what it trains; a Setting, or whatever the function takes.

    `ready` holds the facts that it told before its first round.
    """

    def __init__(self, row: str, train: str, setting: Any) -> None:
        self.row = row
        self._connection, theirs = multiprocessing.Pipe()
        # Spawned, not forked: each contender has its own threads, its own allocator and one framework.
        context = multiprocessing.get_context("spawn")
        self._process = context.Process(target=_run, args=(train, theirs, setting), name=row)
        self._process.start()
        theirs.close()
        began = time.perf_counter()
        self.ready: Facts = self._receive()
        log.info("%s: ready after %.0f s", row, time.perf_counter() - began)

    def round(self) -> float:
        """Seconds of one round."""
        self._connection.send(True)
        seconds: float = self._receive()
        return seconds

    @property
    def process_id(self) -> int:
        """Of the process that trains."""
        return self._process.ident or 0

    def finish(self) -> Facts:
        """Ends the rounds and returns the facts that it told last."""
        self._connection.send(False)
        facts: Facts = self._receive()
        self._process.join()
        return facts

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.is_alive():
            self._process.terminate()
        self._process.join()

    def _receive(self) -> Any:
        try:
            return self._connection.recv()
        except EOFError:
            raise WorkError(f"{self.row}: its process ended before its work did; its own error stands above") from None


def take_turns(contenders: Sequence[Contender], rounds: int, steps: int) -> dict[str, list[float]]:
    """By row, seconds a step in each round of so many steps."""
    seconds: dict[str, list[float]] = {contender.row: [] for contender in contenders}
    for number in range(1, rounds + 1):
        for contender in contenders:
            seconds[contender.row].append(contender.round() / steps)
        log.info("round %d: %s", number, ", ".join(f"{row} {times[-1]:.3f} s" for row, times in seconds.items()))
    return seconds


def cpu_seconds(process_ids: Iterable[int]) -> tuple[float, float]:
    """CPU seconds since they began that this process' cores were busy, and that these processes took."""
    tick = os.sysconf("SC_CLK_TCK")
    cores = {f"cpu{core}" for core in os.sched_getaffinity(0)}
    lines = (line.split() for line in Path("/proc/stat").read_text().splitlines())
    # user, nice, system; then idle and iowait, left out; then irq, softirq, steal
    busy = sum(int(fields[column]) for fields in lines if fields[0] in cores for column in (1, 2, 3, 6, 7, 8))
    stats = (Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split() for process_id in process_ids)
    return busy / tick, sum(int(fields[11]) + int(fields[12]) for fields in stats) / tick


def _run(train: str, connection: Connection, setting: Any) -> None:
    module, _, function = train.partition(":")
    getattr(importlib.import_module(module), function)(Turns(connection), setting)
