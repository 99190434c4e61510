"""Stage 2: which documents another has too. Keys only; a task owns a range of keys, so memory is a field, not the corpus."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from data_pipeline.contract.storage import write_array
from data_pipeline.tasks.shard_task import Done, Place, ShardTask, outputs_of

KEYS_PER_TASK = 8_000_000
REPEATED = np.dtype([("position", "<u4"), ("near", "?")])
"""A document that a part loses, as an exact or as a near duplicate (stages/survivors.py writes them)."""


def duplicate_tasks(place: Place, documents: Sequence[Done], number: int) -> list[ShardTask]:
    """A task for each range of keys; `number`: documents in all."""
    keys = {"keys": outputs_of(documents, ".keys.npy")}
    return [
        place.task("duplicates", f"{index:03d}", find_duplicates, keys, {"range": bounds})
        for index, bounds in enumerate(key_ranges(number))
    ]


def find_duplicates(task: ShardTask, folder: Path) -> dict[str, Any]:
    """Writes `later.npy`: int64 [n, 2], (part, position) of each document whose key an earlier one has.

    Parts are numbered in the order of the inputs, which is the order of the recipe's sources: the first source's stays, as of
    near duplicates (stages/survivors.py).
    """
    low, high = (bytes.fromhex(bound) for bound in task.parameters["range"])
    keys, places = [], []
    for part, file in enumerate(task.inputs["keys"]):
        table = np.load(file.path, mmap_mode="r")
        start = np.searchsorted(table["key"], low)
        end = np.searchsorted(table["key"], high) if high else len(table)
        keys.append(np.array(table["key"][start:end]))
        index = np.array(table["index"][start:end], np.int64)
        places.append(np.stack([np.full_like(index, part), index], axis=1))
    key, place = np.concatenate(keys), np.concatenate(places)
    order = np.lexsort((place[:, 1], place[:, 0], key))
    key, place = key[order], place[order]
    later = place[1:][key[1:] == key[:-1]]
    write_array(folder / "later.npy", later[np.lexsort((later[:, 1], later[:, 0]))])
    return {"keys": len(key), "duplicates": len(later)}


def key_ranges(documents: int) -> list[tuple[str, str]]:
    """Ranges of keys (hexadecimal, the upper bound excluded, empty for the end) of about KEYS_PER_TASK documents each."""
    number = max(1, -(-documents // KEYS_PER_TASK))
    bounds = [f"{(index << 64) // number:016x}" if index else "" for index in range(number)] + [""]
    return list(pairwise(bounds))


def duplicates_of_part(files: list[str], part: int) -> set[int]:
    """Positions in a part that repeat an earlier document."""
    later: set[int] = set()
    for file in files:
        table = np.load(file, mmap_mode="r")
        start, end = np.searchsorted(table[:, 0], [part, part + 1])
        later.update(table[start:end, 1].tolist())
    return later


def repeated_documents(file: str) -> dict[int, str]:
    """Position -> reason of each document that a part loses."""
    return {position: "near duplicate" if near else "duplicate" for position, near in np.load(file).tolist()}
