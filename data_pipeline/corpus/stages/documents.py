"""Stage 1: a source file becomes parts of clean documents, with a sorted table of their keys for deduplication."""

import hashlib
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.storage import write_array
from data_pipeline.corpus.corpus_files import PartWriter
from data_pipeline.corpus.document import Document, Dropped
from data_pipeline.corpus.sources import WITH_TEXT_FIELD, Unreadable, read_source_file
from data_pipeline.corpus.steps.clean import cleaner
from data_pipeline.corpus.tally import Tally
from data_pipeline.recipe import Clean, Source
from data_pipeline.tasks.shard_task import ShardTask

KEY_BYTES = 16
KEY_TABLE = np.dtype([("key", f"S{KEY_BYTES}"), ("index", "<u4")])


def document_key(text: str) -> bytes:
    """16 bytes that stand for a cleaned text; equal texts have equal keys."""
    return hashlib.blake2b(text.encode(), digest_size=KEY_BYTES).digest()


def make_documents(task: ShardTask, folder: Path) -> dict[str, Any]:
    """Reads one source file; writes `part-NNNNN.zst` and `part-NNNNN.keys.npy` (key and position, sorted by key).

    Raises InputError where the file is damaged, or holds more bad records than `task.limits["bad_records"]`.
    """
    source, clean = Source(**task.parameters["source"]), Clean(**task.parameters["clean"])
    [file] = task.inputs["file"]
    categories = frozenset(task.parameters["categories"])
    step, tally, bad = cleaner(clean, targets=task.parameters.get("targets", False)), Tally(), 0
    with _Parts(folder, task.parameters["part_bytes"]) as parts:
        for item in read_source_file(file.path, source):
            tally.add("records")
            if isinstance(item, Unreadable):
                bad += 1
                tally.add_bad(item.location, item.problem)
                if bad > task.limits["bad_records"]:
                    place = file.path.removesuffix(Path(file.path).name) + item.location
                    another = ""
                    if source.format in WITH_TEXT_FIELD:
                        another = f", read another field with --source {source.format}.FIELD:GLOB"
                    raise InputError(
                        f"{place}: {item.problem}; mend the file{another}, or allow more than {bad - 1} bad records with "
                        "--data.max-bad-records"
                    )
                continue
            tally.add("characters", len(item.whole))
            text_bytes = len(item.whole.encode(errors="surrogatepass"))
            tally.add("text_bytes", text_bytes)
            tally.count_category(item.source, item.category, records=1, text_bytes=text_bytes)
            other = categories and item.category not in categories
            result = Dropped(item, "other category", item.category) if other else step(item)
            if isinstance(result, Dropped):
                tally.drop_document(result)
            else:
                parts.write(result)
                tally.add("documents")
                tally.count_category(result.source, result.category, clean_bytes=len(result.text.encode()))
    return tally.counts()


class _Parts(AbstractContextManager["_Parts"]):
    """Writes documents to parts of about `part_bytes`, and the table of keys beside each."""

    def __init__(self, folder: Path, part_bytes: int) -> None:
        self._folder, self._part_bytes = folder, part_bytes
        self._number = 0
        self._open()

    def write(self, document: Document) -> None:
        if self._writer.bytes >= self._part_bytes:
            self._close()
            self._number += 1
            self._open()
        self._writer.write_document(document)
        self._keys.append(document_key(document.text))

    def _open(self) -> None:
        self._keys: list[bytes] = []
        self._writer = PartWriter(self._folder / f"part-{self._number:05d}.zst")

    def _close(self) -> None:
        self._writer.close()
        table = np.array([(key, index) for index, key in enumerate(self._keys)], KEY_TABLE)
        write_array(self._folder / f"part-{self._number:05d}.keys.npy", np.sort(table, order=("key", "index")))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._close()
