"""Stage 1: a source file becomes parts of clean documents, with a sorted table of their keys for deduplication."""

import hashlib
import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.file_names import printable, tidy_name
from data_pipeline.contract.named_functions import module_of
from data_pipeline.contract.recipe_file import plain_fields
from data_pipeline.contract.storage import InputFile, name_of, path_in_glob, write_array
from data_pipeline.corpus.corpus_files import PartWriter
from data_pipeline.corpus.document import Document, Dropped
from data_pipeline.corpus.dropped_files import DroppedWriter
from data_pipeline.corpus.sources.encodings import UTF8
from data_pipeline.corpus.sources.lines import Remark, Skipped, Unreadable
from data_pipeline.corpus.sources.reading import READERS, read_file
from data_pipeline.corpus.steps.clean import cleaner
from data_pipeline.corpus.steps.repair import damage_counts, repairer
from data_pipeline.corpus.tally import Tally
from data_pipeline.recipe import Clean, DataRecipe, Repair, Source
from data_pipeline.source_formats import FORMATS, Format
from data_pipeline.tasks.shard_task import Done, Output, Place, ShardTask

SHAPING_FIELDS = ("format", "name", "text_field", "category", "category_field")
"""The fields of a source that its documents depend on: another licence or share of evaluation must not read all again."""
KEEP = ", or keep what stands before it with --data.read-up-to-damage"
KEY_BYTES = 16
KEY_TABLE = np.dtype([("key", f"S{KEY_BYTES}"), ("index", "<u4")])


def document_key(text: str) -> bytes:
    """16 bytes that stand for a cleaned text; equal texts have equal keys."""
    return hashlib.blake2b(text.encode(), digest_size=KEY_BYTES).digest()


def document_tasks(
    place: Place, recipe: DataRecipe, files: Sequence[tuple[Source, InputFile]], keep_dropped: bool = False
) -> list[ShardTask]:
    """A task for each file of the sources.

    - `keep_dropped`: whether what is dropped is written, too.
    """
    tasks = []
    for source, file in files:
        form = FORMATS[source.format]
        shaping = (*SHAPING_FIELDS, *(["summary_field"] if source.format == "pairs" else []))
        if source.encoding != UTF8:
            shaping = (*shaping, "encoding")
        parameters = {
            "source": {"glob": "", **{name: getattr(source, name) for name in shaping}},
            "reader": form.reader,
            "opens": form.opens,
            "binary": form.binary,
            "categories": recipe.categories,
            "repair": plain_fields(recipe.repair),
            "clean": plain_fields(recipe.clean),
            # A shard of an export stays one part, so that its rows come out as they were.
            "part_bytes": None if form.prepared else recipe.part_megabytes * 1_000_000,
            **({"targets": True} if recipe.targets_are_summaries else {}),
            **({"keep_dropped": True} if keep_dropped else {}),
        }
        limits = {
            "bad_records": recipe.max_bad_records,
            "up_to_damage": recipe.read_up_to_damage,
            "mend": _mend(source.format, form),
        }
        code = (module_of(form.reader, READERS),)
        inputs = {"file": (file,)}
        name = _task_name(source, file)
        tasks.append(place.task("documents", name, make_documents, inputs, parameters, limits=limits, code=code))
    return tasks


def parts_of(documents: Sequence[Done]) -> dict[str, Output]:
    """The parts that the tasks wrote, by a name that stays theirs when another source gets more files."""
    return {
        f"{done.task.name}-{name.removeprefix('part-').removesuffix('.zst')}": part
        for done in documents
        for name, part in done.outputs.items()
        if name.startswith("part-") and name.endswith(".zst")
    }


def _task_name(source: Source, file: InputFile) -> str:
    """The same whatever files and sources stand beside it, and wherever the corpus lies."""
    place = path_in_glob(file.path, source.glob)
    digest = hashlib.blake2b(f"{source.name}\0{place}".encode(errors="surrogateescape"), digest_size=6).hexdigest()
    readable = re.sub(r"[^\w.-]+", "_", f"{source.name[:30]}-{Path(place).name[:40]}").lstrip(".")
    return f"{readable}-{digest}"


def place_of(file: InputFile | Output, location: str) -> str:
    """Where in the file a record stands, with the path of the file."""
    name = name_of(file.path)
    folder = printable(file.path).removesuffix(name)
    return folder + location if location.startswith(name) else f"{printable(file.path)}: {location}"


def damage(place: str, problem: str, mend: str) -> str:
    """What is said of a file that cannot be read on from a place, and what to do."""
    return f"{place}: {problem}; {mend or 'mend the file'}{KEEP}"


def _mend(name: str, form: Format) -> str:
    """What to do about a bad record, before the flag that allows some."""
    return f"mend the file, read another field with --source {name}.FIELD:GLOB" if form.text_field else "mend the file"


def make_documents(task: ShardTask, folder: Path) -> dict[str, Any]:
    """Reads one source file; writes `part-NNNNN.zst` and `part-NNNNN.keys.npy` (key and position, sorted by key);
    where it is asked for, DROPPED.

    Raises InputError where the file is damaged, unless `task.limits["up_to_damage"]`, or holds more bad records than
    `task.limits["bad_records"]`.
    """
    source, clean = Source(**task.parameters["source"]), Clean(**task.parameters["clean"])
    repair = Repair(**task.parameters["repair"])
    mended = repairer(repair)
    [file] = task.inputs["file"]
    categories = frozenset(map(tidy_name, task.parameters["categories"]))
    step, tally, bad = cleaner(clean, targets=task.parameters.get("targets", False)), Tally(), 0
    with (
        _Parts(folder, task.parameters["part_bytes"]) as parts,
        DroppedWriter(folder, task.parameters.get("keep_dropped", False)) as lost,
    ):
        how = (task.parameters[name] for name in ("reader", "opens", "binary"))
        for item in read_file(file.path, source, *how):
            if isinstance(item, Skipped):
                tally.skip(source.name, item.count, item.number, item.size)
                continue
            if isinstance(item, Remark):
                tally.add(item.count, item.number)
                continue
            if isinstance(item, Unreadable) and item.ends:
                if not task.limits["up_to_damage"]:
                    told = damage(place_of(file, item.location), item.problem, item.mend)
                    raise InputError(told if tally.number("records") else told.removesuffix(KEEP))
                tally.add_damage(item)
                continue
            tally.add("records")
            if isinstance(item, Unreadable):
                bad += 1
                tally.add_bad(item)
                lost.record(item, source.name)
                if bad > task.limits["bad_records"]:
                    budget = (
                        f"{task.limits['mend']}, or allow more than {bad - 1} bad records with --data.max-bad-records"
                    )
                    raise InputError(f"{place_of(file, item.location)}: {item.problem}; {item.mend or budget}")
                continue
            tally.add("characters", len(item.whole))
            content = item.whole.encode(errors="surrogatepass")
            text_bytes = len(content)
            tally.add("text_bytes", text_bytes)
            for count, number in damage_counts(item.whole, content, repair).items():
                tally.add(count, number)
            tally.count_category(item.source, item.category, records=1, text_bytes=text_bytes)
            other = categories and item.category not in categories
            result = Dropped(item, "other category", item.category) if other else item if item.given else mended(item)
            result = result if isinstance(result, Dropped) or item.given else step(result)
            if isinstance(result, Dropped):
                tally.drop_document(result)
                lost.document(result)
            else:
                parts.write(result)
                tally.add("documents")
                tally.count_cleaned(result)
                tally.count_category(result.source, result.category, clean_bytes=len(result.text.encode()))
    return tally.counts()


class _Parts(AbstractContextManager["_Parts"]):
    """Writes documents to parts of about `part_bytes`, and the table of keys beside each."""

    def __init__(self, folder: Path, part_bytes: int | None) -> None:
        self._folder, self._part_bytes = folder, part_bytes
        self._number = 0
        self._open()

    def write(self, document: Document) -> None:
        if self._part_bytes is not None and self._writer.bytes >= self._part_bytes:
            self._close()
            self._number += 1
            self._open()
        self._writer.write_document(document)
        self._keys.append(bytes.fromhex(document.given.key) if document.given else document_key(document.text))

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
