"""TensorBoard's event files, written so that a full disk is told.

tensorboardX's SummaryWriter is not used: it writes in a thread, which a full disk ends without a word to us, and then waits for
the thread for ever.
"""

import json
import os
import socket
import struct
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from data_pipeline.contract.errors import machine_errors_at
from data_pipeline.contract.storage import append


class EventsFile:
    """A new event file in a folder. tensorboardX is imported here and not before, because that takes two seconds.

    - `step`: the step from which the run goes on; TensorBoard forgets what earlier files say of later steps.

    Raises WorkError where the disk takes no more.
    """

    def __init__(self, folder: Path, step: int) -> None:
        from tensorboardX.proto.event_pb2 import Event, SessionLog

        self._event = Event
        # Unbuffered: what did not get onto a full disk must not be tried again when the file is closed.
        name = f"events.out.tfevents.{time.time():.0f}.{socket.gethostname()}.{os.getpid()}"
        self._file = open(folder / name, "ab", buffering=0)  # noqa: SIM115
        self._write(file_version="brain.Event:2")
        self._write(step=step + 1, session_log=SessionLog(status=SessionLog.START))

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Writes the values of one step as one event."""
        from tensorboardX.proto.summary_pb2 import Summary

        scalars = [Summary.Value(tag=name, simple_value=value) for name, value in values.items()]
        self._write(step=step, summary=Summary(value=scalars))

    def text(self, step: int, name: str, markdown: str) -> None:
        """Writes a text, which TensorBoard shows as Markdown."""
        from tensorboardX.summary import text

        self._write(step=step, summary=text(name, markdown))

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def _write(self, **fields: Any) -> None:
        """One event as a TFRecord: length, its CRC, the event, its CRC."""
        from tensorboardX.record_writer import masked_crc32c

        content = self._event(wall_time=time.time(), **fields).SerializeToString()
        length = struct.pack("<Q", len(content))
        checks = [struct.pack("<I", masked_crc32c(part)) for part in (length, content)]
        with machine_errors_at(self._file.name):
            append(self._file, length + checks[0] + content + checks[1])


def preformatted(value: Any) -> str:
    """JSON-ready data as Markdown that keeps its lines."""
    return "".join(f"    {line}\n" for line in json.dumps(value, ensure_ascii=False, indent=2).splitlines())
