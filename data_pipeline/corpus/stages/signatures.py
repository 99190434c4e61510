"""Stage 2a: a MinHash signature for each document of a part, and the table of their bands, by which they are grouped."""

from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from data_pipeline.contract.recipe_file import plain_fields
from data_pipeline.contract.storage import write_array
from data_pipeline.corpus.corpus_files import read_documents
from data_pipeline.corpus.steps.min_hash import band_hashes, bands_and_rows, shingles, signatures, worths
from data_pipeline.recipe import NearDuplicates
from data_pipeline.tasks.shard_task import Output, Place, ShardTask

DOCUMENTS_PER_BATCH = 256
WORTHS = "worths.npy"
WORTH = np.dtype([("position", "<u4"), ("worth", "<i8")])
"""A document that takes part: its position in its part, and how much it says (`min_hash.worths`)."""


def signature_tasks(place: Place, recipe: NearDuplicates, parts: Mapping[str, Output]) -> list[ShardTask]:
    """A task for each part."""
    parameters = {"near_duplicates": plain_fields(recipe)}
    return [
        place.task("signatures", name, make_signatures, {"part": (part,)}, parameters) for name, part in parts.items()
    ]


def signature_table(permutations: int) -> np.dtype[Any]:
    """A row: position of the document in its part, and its signature."""
    return np.dtype([("position", "<u4"), ("signature", "<u2", (permutations,))])


def make_signatures(task: ShardTask, folder: Path) -> dict[str, Any]:
    """Writes `signatures.npy` (the documents long enough to take part, in order), WORTHS (of the same documents), `bands.npy`
    (uint64, sorted) and `rows.npy` (uint32, the signature that each band is of)."""
    recipe = NearDuplicates(**task.parameters["near_duplicates"])
    bands, rows = bands_and_rows(recipe.threshold, recipe.permutations)
    tables, hashes, values, count, text_bytes = [], [], [], 0, 0
    [part] = task.inputs["part"]
    documents = read_documents(part.path)
    while texts := [document.text for document in islice(documents, DOCUMENTS_PER_BATCH)]:
        text_bytes += sum(len(text.encode()) for text in texts)
        codes, starts = shingles(texts, recipe.ngram)
        long_enough = np.diff(starts) + recipe.ngram - 1 >= max(recipe.min_chars, recipe.ngram)
        positions = np.flatnonzero(long_enough)
        signed = signatures(codes, starts, recipe.permutations)[positions]
        table = np.empty(len(positions), signature_table(recipe.permutations))
        table["position"], table["signature"] = positions + count, signed
        tables.append(table)
        hashes.append(band_hashes(signed, bands, rows))
        worth = np.empty(len(positions), WORTH)
        worth["position"], worth["worth"] = positions + count, worths(codes, starts)[positions]
        values.append(worth)
        count += len(texts)
    all_signatures = np.concatenate([np.empty(0, signature_table(recipe.permutations)), *tables])
    write_array(folder / "signatures.npy", all_signatures)
    write_array(folder / WORTHS, np.concatenate([np.empty(0, WORTH), *values]))
    band = np.concatenate([np.empty((0, bands), np.uint64), *hashes]).ravel()
    order = np.argsort(band, kind="stable")
    write_array(folder / "bands.npy", band[order])
    write_array(folder / "rows.npy", (order // bands).astype(np.uint32))
    return {"documents": len(all_signatures), "too_short": count - len(all_signatures), "text_bytes": text_bytes}
