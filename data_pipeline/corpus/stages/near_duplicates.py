"""Stage 2b: pairs of documents whose signatures agree. A task owns a range of bands, so memory is a field, not the corpus."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_pipeline.contract.storage import write_array
from data_pipeline.corpus.stages.duplicates import duplicates_of_part
from data_pipeline.corpus.steps.min_hash import bands_and_rows
from data_pipeline.corpus.steps.min_hash_links import linked
from data_pipeline.recipe import NearDuplicates
from data_pipeline.tasks.shard_task import Done, Place, ShardTask, outputs_of

BANDS_PER_TASK = 1_000_000
SIGNATURES_AT_ONCE = 500_000
"""Signatures in memory at once, unless a single group is larger."""


def near_duplicate_tasks(
    place: Place, recipe: NearDuplicates, signed: Sequence[Done], duplicates: Sequence[Done], number: int
) -> list[ShardTask]:
    """A task for each range of bands; `number`: signatures in all."""
    inputs = {
        "signatures": outputs_of(signed, "signatures.npy"),
        "bands": outputs_of(signed, "bands.npy"),
        "rows": outputs_of(signed, "rows.npy"),
        "duplicates": outputs_of(duplicates, ".npy"),
    }
    bands, _ = bands_and_rows(recipe.threshold, recipe.permutations)
    return [
        place.task(
            "near_duplicates",
            f"{index:03d}",
            find_near_duplicates,
            inputs,
            {"range": bounds, "threshold": recipe.threshold},
        )
        for index, bounds in enumerate(band_ranges(bands * number))
    ]


def find_near_duplicates(task: ShardTask, folder: Path) -> dict[str, Any]:
    """Writes `pairs.npy`: int64 [n, 4], (part, position, part, position) of near duplicates, enough of them to connect all.

    Documents meet where a band is equal, and pair where at least the threshold of their signatures agrees. That estimates
    their Jaccard similarity (standard deviation 0.04 for 128 permutations), where a shared band alone would let through many
    a pair far below the threshold; to compare the texts would mean to fetch them from all over the corpus. Exact duplicates
    take no part.
    """
    bounds = np.array([int(bound, 16) for bound in task.parameters["range"]], np.uint64)
    bands, parts, rows = [], [], []
    tables = [file.path for file in task.inputs["signatures"]]
    duplicates = [file.path for file in task.inputs["duplicates"]]
    for number, table in enumerate(tables):  # opened one by one: a process may not hold thousands of files
        sorted_bands = np.load(task.inputs["bands"][number].path, mmap_mode="r")
        start = np.searchsorted(sorted_bands, bounds[0], side="left")
        end = np.searchsorted(sorted_bands, bounds[1], side="right")
        band = np.array(sorted_bands[start:end])
        row = np.array(np.load(task.inputs["rows"][number].path, mmap_mode="r")[start:end])
        if gone := duplicates_of_part(duplicates, number):
            stays = ~np.isin(np.load(table, mmap_mode="r")["position"][row], list(gone))
            band, row = band[stays], row[stays]
        bands.append(band)
        rows.append(row)
        parts.append(np.full(len(band), number, np.int32))
    pairs = [np.empty((0, 4), np.int64)]
    groups = 0
    for part, row, sizes in _groups(np.concatenate(bands), np.concatenate(parts), np.concatenate(rows)):
        position, signature = _fetched(tables, part, row)
        groups += len(sizes)
        start = 0
        for size in sizes:
            found = start + linked(signature[start : start + size], task.parameters["threshold"])
            left, right = found[:, 0], found[:, 1]
            pairs.append(np.stack([part[left], position[left], part[right], position[right]], axis=1))
            start += size
    unique = np.unique(np.concatenate(pairs), axis=0)
    write_array(folder / "pairs.npy", unique)
    return {"bands": sum(map(len, bands)), "groups": groups, "pairs": len(unique)}


def band_ranges(bands: int) -> list[tuple[str, str]]:
    """Ranges of bands (hexadecimal, both bounds included) of about BANDS_PER_TASK each."""
    number = max(1, -(-bands // BANDS_PER_TASK))
    bounds = [(index << 64) // number for index in range(number + 1)]
    return [(f"{low:x}", f"{high - 1:x}") for low, high in pairwise(bounds)]


def _groups(
    band: NDArray[np.uint64], part: NDArray[np.int32], row: NDArray[np.uint32]
) -> Iterator[tuple[NDArray[np.int32], NDArray[np.uint32], list[int]]]:
    """Documents (part, row) that share a band with another, group after group, with the sizes of the groups; in portions."""
    order = np.argsort(band, kind="stable")
    band, part, row = band[order], part[order], row[order]
    starts = np.flatnonzero(np.concatenate([[True], band[1:] != band[:-1]])) if len(band) else np.empty(0, np.int64)
    sizes = np.diff(np.concatenate([starts, [len(band)]]))
    shared = np.repeat(sizes, sizes) > 1
    part, row, sizes = part[shared], row[shared], sizes[sizes > 1]
    ends = np.cumsum(sizes)
    first = 0
    while first < len(sizes):
        begin = ends[first] - sizes[first]
        last = max(first + 1, int(np.searchsorted(ends, begin + SIGNATURES_AT_ONCE, side="right")))
        portion = slice(begin, ends[last - 1])
        yield part[portion], row[portion], sizes[first:last].tolist()
        first = last


def _fetched(
    tables: Sequence[str], part: NDArray[np.int32], row: NDArray[np.uint32]
) -> tuple[NDArray[np.int64], NDArray[np.uint16]]:
    """Position in its part and signature of each document."""
    position = np.empty(len(part), np.int64)
    signature: NDArray[np.uint16] = np.empty((0, 0), np.uint16)
    for number in np.unique(part):
        here = np.flatnonzero(part == number)
        here = here[np.argsort(row[here])]  # a file is read from front to back
        found = np.load(tables[number], mmap_mode="r")[row[here]]
        if not signature.size:
            signature = np.empty((len(part), found["signature"].shape[1]), np.uint16)
        position[here], signature[here] = found["position"], found["signature"]
    return position, signature
