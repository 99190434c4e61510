"""Stage 1: a source file becomes parts of clean documents, with a sorted table of their keys for deduplication."""

import hashlib
import lzma
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import zstandard

from data_pipeline.contract.errors import InputError, WorkError
from data_pipeline.contract.storage import open_input
from data_pipeline.corpus_files import PartWriter
from data_pipeline.document import Dropped
from data_pipeline.recipe import Clean, Source
from data_pipeline.shard_task import ShardTask
from data_pipeline.sources import FORMATS, Unreadable
from data_pipeline.steps.clean import cleaner
from data_pipeline.tally import Tally

KEY_BYTES = 16
KEY_TABLE = np.dtype([("key", f"S{KEY_BYTES}"), ("index", "<u4")])


def document_key(text: str) -> bytes:
    """16 bytes that stand for a cleaned text; equal texts have equal keys."""
    return hashlib.blake2b(text.encode(), digest_size=KEY_BYTES).digest()


def make_documents(task: ShardTask, folder: Path) -> dict[str, Any]:
    """Reads one source file; writes `part-NNNNN.zst` and `part-NNNNN.keys.npy` (key and position, sorted by key)."""
    source, clean = Source(**task.parameters["source"]), Clean(**task.parameters["clean"])
    [file] = task.inputs["file"]
    step, tally, bad = cleaner(clean), Tally(), list[str]()
    part, writer, keys = 0, PartWriter(folder / "part-00000.zst"), list[bytes]()

    def finish_part() -> None:
        writer.__exit__(None, None, None)
        table = np.array([(key, index) for index, key in enumerate(keys)], KEY_TABLE)
        np.save(folder / f"part-{part:05d}.keys.npy", np.sort(table, order=("key", "index")))

    try:
        with open_input(file.path) as stream:
            for item in FORMATS[source.format](stream, Path(file.path).name, source):
                tally.add("records")
                if isinstance(item, Unreadable):
                    _note_bad(bad, item, task.parameters["max_bad_records"])
                    continue
                tally.add("characters", len(item.text))
                result = step(item)
                if isinstance(result, Dropped):
                    tally.drop_document(result)
                    continue
                if writer.bytes >= task.parameters["part_bytes"]:
                    finish_part()
                    part, keys = part + 1, []
                    writer = PartWriter(folder / f"part-{part:05d}.zst")
                writer.write_document(result)
                keys.append(document_key(result.text))
                tally.add("documents")
    except (EOFError, lzma.LZMAError, zlib.error, zstandard.ZstdError) as error:
        raise InputError(f"{file.path}: cannot be decompressed ({error}); fetch it again") from None
    except FileNotFoundError:
        raise WorkError(f"{file.path}: vanished while the work ran; restore it and run again") from None
    finally:
        writer.__exit__(None, None, None)
    finish_part()
    return {**tally.counts(), "bad": len(bad), "bad_records": [{"id": "", "text": line} for line in bad]}


def _note_bad(bad: list[str], item: Unreadable, most: int) -> None:
    bad.append(f"{item.location}: {item.problem}")
    if len(bad) > most:
        raise InputError(
            f"{bad[0] if most == 0 else bad[-1]}; mend the file, or allow bad records with --data.max-bad-records"
        )
