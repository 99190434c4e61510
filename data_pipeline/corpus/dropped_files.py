"""What was dropped, with its reason: JSON Lines, compressed; one file a task, and joined one file a run (docs/report.md)."""

import json
import os
import shutil
import uuid
from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType

import zstandard

from data_pipeline.contract.errors import machine_errors_at
from data_pipeline.contract.storage import sync_folder
from data_pipeline.corpus.document import Document, Dropped, with_holes_shown
from data_pipeline.corpus.sources.lines import Unreadable

DROPPED = "dropped.jsonl.zst"
"""Name of the file of a task, and of that of a run below corpus/."""


class DroppedWriter(AbstractContextManager["DroppedWriter"]):
    """Writes what a task drops, in its order; where it is off, nothing, and no file.

    A line is an object: `what` (record, document, sentence), `id`, `source`, `category`, `reason`, `detail`, `text`.
    """

    def __init__(self, folder: Path, on: bool) -> None:
        self._file = open(folder / DROPPED, "wb") if on else None  # noqa: SIM115 (closed by __exit__)
        self._stream = zstandard.ZstdCompressor(level=3).stream_writer(self._file) if self._file else None

    def record(self, unreadable: Unreadable, source: str) -> None:
        """A record that could not be read: its text is the file's."""
        self._write("record", unreadable.location, source, "", "unreadable", unreadable.problem, "")

    def document(self, dropped: Dropped) -> None:
        """A document that ended, whole, behind the sentences that were taken out of it before."""
        self.sentences(dropped.document)
        of = dropped.document
        self._write("document", of.id, of.source, of.category, dropped.reason, dropped.detail, of.whole)

    def sentences(self, document: Document) -> None:
        """The sentences that were taken out of a document."""
        for each in document.removed:
            self._write(
                "sentence", document.id, document.source, document.category, each.reason, each.detail, each.text
            )

    def _write(
        self, what: str, identifier: str, source: str, category: str, reason: str, detail: str, text: str
    ) -> None:
        if self._stream is None:
            return
        row = {"what": what, "id": identifier, "source": source, "category": category, "reason": reason}
        row |= {"detail": detail, "text": with_holes_shown(text)}
        line = json.dumps(row, ensure_ascii=False)
        try:
            content = line.encode()
        except UnicodeEncodeError:  # half a surrogate pair, which JSON can hold as an escape alone
            content = json.dumps(row).encode()
        self._stream.write(content + b"\n")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._stream is not None and self._file is not None:
            self._stream.close()
            self._file.close()


def join_dropped(folder: Path, files: Iterable[str]) -> None:
    """Puts the files of tasks one behind the other as `folder`'s DROPPED, atomically; without files, none is left there.

    Raises WorkError where the disk does not take it.
    """
    target, paths = folder / DROPPED, list(files)
    for left in folder.glob(f".{DROPPED}.*"):  # of a command that was killed
        left.unlink()
    if not paths:
        target.unlink(missing_ok=True)
        return
    with machine_errors_at(target):
        temporary = folder / f".{DROPPED}.{uuid.uuid4().hex[:8]}"
        try:
            with open(temporary, "wb") as joined:
                for path in paths:
                    with open(path, "rb") as part:
                        shutil.copyfileobj(part, joined)
                joined.flush()
                os.fsync(joined.fileno())
            os.replace(temporary, target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(folder)
