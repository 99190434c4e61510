"""export-text: the cleaned text of a prepared run as a data set of its own (docs/export_text.md)."""

import logging
import os
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data_pipeline.contract.errors import InputError, WorkError, machine_errors_at
from data_pipeline.contract.licences import UNKNOWN, forbids_redistribution
from data_pipeline.contract.run_folder import RunFolder
from data_pipeline.contract.storage import (
    InputFile,
    read_json,
    sha256_of_file,
    sync_folder,
    write_array,
    write_atomically,
)
from data_pipeline.corpus.exported import SPLITS, iso_date
from data_pipeline.corpus.stages.duplicates import duplicates_of_part
from data_pipeline.corpus.stages.sentences import PART
from data_pipeline.corpus.stages.text_shards import DUPLICATES, write_shards
from data_pipeline.prepare.data_card import data_card
from data_pipeline.prepare.publish import PARTS
from data_pipeline.tasks.engines.local import LocalEngine
from data_pipeline.tasks.engines.runner import DamagedOutputsError, Runner
from data_pipeline.tasks.progress import StageProgress
from data_pipeline.tasks.shard_task import Done, Output, Place, ShardTask, remove_leftovers

logger = logging.getLogger("data_pipeline")

WORK = ".export-text"
"""Folder in the export's folder, while it is written."""
CARD = "README.md"
"""Written last: an export is whole where it has one, and no WORK."""
STAGE = "text_shards"
AGAIN = "run the same prepare command again"


@dataclass(frozen=True)
class Export:
    """What is asked for.

    - `format`: parquet or jsonl.zst.
    - `without`: names of sources to leave out.
    - `not_redistributable`: sources whose licence forbids that their text is passed on are written all the same.
    - `added`: when the text came into the collection, ISO 8601, for every row; empty where nobody knows.
    """

    format: str
    without: tuple[str, ...] = ()
    not_redistributable: bool = False
    added: str = ""


def export_text(run: RunFolder, to: Path, asked: Export, workers: int) -> None:
    """Writes the documents of a prepared run to `to`: shards below data/, and a card, which comes last.

    Run again after a stop, it does what is not done yet. The result does not depend on `workers`.

    Raises InputError for a folder that is not empty, for sources that may not be passed on and names of sources that do not exist, and for a run
    that was prepared by an earlier version; WorkError where its files are missing or damaged, or the machine fails.
    """
    facts = run.manifest().get("prepare")
    parts = read_json(run.corpus / PARTS)
    if facts is None or parts is None:
        raise InputError(f"{run.path}: prepared by an earlier version, which did not list its parts; {AGAIN}")
    if asked.added and iso_date(asked.added) != asked.added:
        raise InputError(f"--added {asked.added}: must be a date as in 2026-12-01")
    sources = _sources(run, facts["recipe"], asked)
    _check_folder(to)
    with RunFolder(to / WORK).locked():
        try:
            done = _shards(
                run, [part for part in parts if part[1] in sources], sources, facts["recipe"], to, asked, workers
            )
        except DamagedOutputsError as error:
            raise WorkError(f"{error.outputs[0].path}: not what prepare wrote there; {AGAIN}") from None
        _publish(done, to, asked)
        told = {
            name: sum((Counter(each.counts["splits"].get(name, {})) for each in done), Counter())
            for name in SPLITS.values()
        }
        write_atomically(
            to / CARD, data_card(to.resolve().name, facts, list(sources.values()), told, asked.format).encode()
        )
        shutil.rmtree(to / WORK)
        sync_folder(to)
    for name, numbers in told.items():
        print(
            f"{name}: {numbers['documents']:,} documents, {numbers['sentences']:,} sentences, {numbers['text_bytes'] / 1e6:,.1f} MB of text"
        )
    print(f"{to}: shards in data/, and {CARD}, the card")


def _sources(run: RunFolder, recipe: dict[str, Any], asked: Export) -> dict[str, dict[str, Any]]:
    """Name -> the source as the manifest has it, of those that are written."""
    found: dict[str, dict[str, Any]] = {}
    for source in recipe["sources"]:
        name = source["name"] or source["format"]
        same = found.setdefault(name, source)
        if (same["licence"], same.get("weight")) != (source["licence"], source.get("weight")):
            raise InputError(
                f"{run.path}: sources of different licence or weight are called {name}; name them apart in the recipe, and {AGAIN}"
            )
    for name in asked.without:
        if name not in found:
            raise InputError(f"--without {name}: no source of {run.path}; it has {', '.join(found)}")
    kept = {name: source for name, source in found.items() if name not in asked.without}
    if not kept:
        raise InputError(f"--without {' '.join(asked.without)}: leaves no source; name fewer")
    held = {name: source["licence"] for name, source in kept.items() if forbids_redistribution(source["licence"])}
    if held and not asked.not_redistributable:
        names = ", ".join(f"{name} ({licence})" for name, licence in held.items())
        raise InputError(
            f"{run.path}: the licence forbids that this text is passed on: {names}; leave it out with --without {' '.join(held)}, or, for a "
            "copy that stays with you, give --not-redistributable"
        )
    if unknown := [name for name, source in kept.items() if source["licence"] == UNKNOWN]:
        logger.warning(
            "licence unknown: %s; the card says so: find out before you pass the text on, and name it in the recipe (Source.licence)",
            ", ".join(unknown),
        )
    return kept


def _check_folder(to: Path) -> None:
    """A new or empty folder, or one that an earlier command did not finish, which loses what was published of it."""
    with machine_errors_at(to):
        if to.exists() and (not to.is_dir() or (any(to.iterdir()) and not (to / WORK).is_dir())):
            raise InputError(f"--to {to}: is not an empty folder; choose an empty or a new one")
        (to / WORK).mkdir(parents=True, exist_ok=True)


def _shards(
    run: RunFolder,
    parts: Sequence[tuple[str, str]],
    sources: dict[str, dict[str, Any]],
    recipe: dict[str, Any],
    to: Path,
    asked: Export,
    workers: int,
) -> list[Done]:
    place = Place(str(to / WORK))
    duplicates = _duplicates(run, to / WORK / "duplicates.npy")
    tasks: list[ShardTask] = []
    for name, source in parts:
        described = {
            "licence": sources[source]["licence"],
            "weight": sources[source].get("weight", 1.0),
            "categories": dict(recipe.get("category_weights", ())),
            "added": asked.added,
        }
        inputs: dict[str, tuple[InputFile | Output, ...]] = {
            "part": (_output(run, "sentences", name, PART),),
            "duplicates": (duplicates,),
        }
        tasks.append(place.task(STAGE, name, write_shards, inputs, {"described": described, "format": asked.format}))
    runner = Runner(LocalEngine(workers))
    with StageProgress("export-text", tasks, "documents") as progress:
        done = runner.run(tasks, progress.task_found, progress.task_done)
    remove_leftovers(to / WORK, STAGE, tasks)
    runner.check(output for each in done for output in each.outputs.values())
    return done


def _output(run: RunFolder, stage: str, task: str, name: str) -> Output:
    record = read_json(run.corpus / stage / "done" / f"{task}.json")
    path = run.corpus / stage / "data" / record["attempt"] / name if record else None
    if path is None or not path.is_file():
        raise WorkError(f"{run.corpus / stage}: {name} of {task} is missing; {AGAIN}")
    return Output(str(path), *record["outputs"][name])


def _duplicates(run: RunFolder, table: Path) -> InputFile:
    """Writes how many documents of each key prepare dropped as exact duplicates of the one that stays."""
    later = [str(path) for path in sorted((run.corpus / "duplicates" / "data").glob("*/later.npy"))]
    found: Counter[bytes] = Counter()
    for number, (name, _) in enumerate(read_json(run.corpus / PARTS)):
        lost = duplicates_of_part(later, number)
        if lost:
            task, _, part = name.rpartition("-")
            keys = np.load(_output(run, "documents", task, f"part-{part}.keys.npy").path)
            found.update(keys["key"][np.isin(keys["index"], list(lost))].tolist())
    write_array(table, np.array(sorted(found.items()), DUPLICATES))
    return InputFile(str(table), table.stat().st_size, sha256_of_file(table))


def _publish(done: Sequence[Done], to: Path, asked: Export) -> None:
    """Moves the shards to their names, those of an export that was not finished away."""
    with machine_errors_at(to):
        (to / CARD).unlink(missing_ok=True)
        shutil.rmtree(to / "data", ignore_errors=True)
        (to / "data").mkdir()
        for name in SPLITS.values():
            file = f"{name}.{asked.format}"
            shards = [each.outputs[file].path for each in done if file in each.outputs]
            for number, path in enumerate(shards):
                os.replace(path, to / "data" / f"{name}-{number:05d}-of-{len(shards):05d}.{asked.format}")
        sync_folder(to / "data")
