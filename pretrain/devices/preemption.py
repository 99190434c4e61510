"""What stops a run before its last step: a notice that the machine goes, or the time that the recipe allows."""

import signal
import threading
from types import TracebackType
from typing import Any, Self

import jax
import numpy as np
from jax.experimental import multihost_utils


class Notice:
    """SIGTERM, by which clouds and schedulers tell that a machine goes, noticed while the block runs.

    Where `jax.distributed` connects processes, its preemption service waits for the signal and names one step at which all of
    them stop; that of a single process without it is the step in which the signal came. Outside the main thread of such a
    process nothing is noticed, for Python lets no other thread handle signals.
    """

    def __enter__(self) -> Self:
        self._noticed = threading.Event()
        self._before: Any = None
        self._service = jax.distributed.is_initialized()
        if not self._service and threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGTERM, lambda *_: self._noticed.set())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._before is not None:
            signal.signal(signal.SIGTERM, self._before)

    def stops_after(self, done: int) -> bool:
        """Whether the run stops after step `done`, the same on every process; all of them ask after every step."""
        if self._service:
            return multihost_utils.reached_preemption_sync_point(done)
        return self._noticed.is_set()


def any_process(*wishes: bool, ask: bool) -> tuple[bool, ...]:
    """Which of the wishes some process has, by its own clock.

    - `ask`: several processes ask each other only where this is true, and grant nothing elsewhere; the same on all of them.
    """
    if jax.process_count() == 1:
        return wishes
    if not ask:
        return (False,) * len(wishes)
    with jax.transfer_guard("allow"):
        gathered = multihost_utils.process_allgather(np.array(wishes))
    return tuple(bool(wished) for wished in gathered.any(axis=0))
