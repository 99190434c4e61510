"""What stops a run before its last step: a notice that the machine goes, a person, or the time that the recipe allows."""

import errno
import io
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

import jax
import numpy as np
from jax.experimental import multihost_utils

from data_pipeline.contract.errors import INTERRUPTED, UnfinishedError

log = logging.getLogger("pretrain")
NAMES = {signal.SIGTERM: "SIGTERM", signal.SIGINT: "Ctrl-C", signal.SIGHUP: "SIGHUP, as of a closed terminal,"}
"""What stops a run once it is saved, and what messages call it."""


class _NothingToSave(BaseException):
    """A notice came before a step was trained. No Exception: libraries would take it for a failure of theirs."""


class _Terminal(io.FileIO):
    """A terminal that may be closed: between that and the notice of it a write would fail, and with it the saving."""

    def write(self, content: Any, /) -> int:
        try:
            return super().write(content)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            return len(content)


def _terminal(number: int, encoding: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(
        io.BufferedWriter(_Terminal(number, "w", closefd=False)), encoding, "backslashreplace", line_buffering=True
    )


class Notice:
    """Signals that ask training to save and end, noticed while the block runs; a second Ctrl-C ends the process at once.

    - `saved_step`: the step from which the next start would continue; None where this process does not know.

    SIGTERM is how clouds and schedulers tell that a machine goes; Ctrl-C and SIGHUP come from a terminal, and are left alone where
    they are ignored (nohup, a script's background). Where `jax.distributed` connects processes, its preemption service waits for
    SIGTERM, which the others are passed on as, and names one step at which all processes stop; that of a single process without it
    is the step in which the signal came, and before the first one UnfinishedError ends the block. Outside the main thread nothing
    is noticed, because Python lets no other thread handle signals.
    """

    def __init__(self, saved_step: Callable[[], int | None] = lambda: None) -> None:
        self._saved_step = saved_step

    def __enter__(self) -> Self:
        self._noticed, self._trained, self.name = threading.Event(), False, NAMES[signal.SIGTERM]
        self._service = jax.distributed.is_initialized()
        self._before: dict[int, Any] = {}
        if threading.current_thread() is threading.main_thread():
            self._handle()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._before:
            for number, handler in self._before.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(self._wakeup_before)
            self._writing.send(b"\0")
            self._watcher.join()
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
            sys.stdout, sys.stderr = self._streams_before
            self._reading.close()
            self._writing.close()
        if kind is _NothingToSave:
            raise UnfinishedError(
                f"stopped by {self.name} before a step was trained: run again to start{self._from()}"
            ) from None

    def stops_after(self, done: int) -> bool:
        """Whether the run stops after step `done`, the same on every process; all of them ask after every step."""
        self._trained = True
        if self._service:
            return multihost_utils.reached_preemption_sync_point(done)
        return self._noticed.is_set()

    def _handle(self) -> None:
        wanted = [signal.SIGINT, signal.SIGHUP, *([] if self._service else [signal.SIGTERM])]
        self._terminals = [stream for stream in (1, 2) if os.isatty(stream)]
        self._streams_before = sys.stdout, sys.stderr
        if 1 in self._terminals:
            sys.stdout = _terminal(1, sys.stdout.encoding)
        if 2 in self._terminals:
            sys.stderr = _terminal(2, sys.stderr.encoding)
        self._reading, self._writing = socket.socketpair()
        self._writing.setblocking(False)
        # Python's own handlers wait for the main thread, which may be in a compiler for minutes: a thread is woken as well.
        self._wakeup_before = signal.set_wakeup_fd(self._writing.fileno(), warn_on_full_buffer=False)
        for number in wanted:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._notice)
        self._watcher = threading.Thread(target=self._watch, name="signals", daemon=True)
        self._watcher.start()

    def _notice(self, number: int, frame: FrameType | None) -> None:
        self.name = NAMES[signal.Signals(number)]
        if self._service:
            os.kill(os.getpid(), signal.SIGTERM)
            return
        first = not self._noticed.is_set()
        self._noticed.set()
        if first and not self._trained:
            raise _NothingToSave

    def _watch(self) -> None:
        interrupts = 0
        while (number := self._reading.recv(1)[0]) != 0:
            if number == signal.SIGHUP:
                self._leave_closed_terminals()
            if number != signal.SIGINT:
                continue
            interrupts += 1
            if interrupts == 1:
                now = "saving after this step" if self._trained else "nothing to save yet"
                log.warning("Ctrl-C: %s, then ending; Ctrl-C again ends at once", now)
                continue
            try:
                os.write(2, f"ended by Ctrl-C without saving: the next start continues{self._from()}\n".encode())
            finally:
                os._exit(INTERRUPTED)

    def _leave_closed_terminals(self) -> None:
        """What is written to a terminal that is gone would fail, and with it the saving."""
        for stream in self._terminals:
            if not os.isatty(stream):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, stream)
                os.close(nowhere)

    def _from(self) -> str:
        step = self._saved_step()
        return "" if step is None else f" from step {step}"


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
