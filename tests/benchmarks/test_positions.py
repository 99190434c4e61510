"""Positions are counted as the model gets them."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from benchmarks.positions import count
from data_pipeline.contract.records import Layout, Records, RecordsHeader, bitmap
from data_pipeline.contract.write_records import publish, write_shard

LENGTH = 16


def records(folder: Path, layout: Layout, segments: list[list[int]]) -> Records:
    """Rows whose segments have these lengths; rows of two segments have label 1."""
    rows = []
    for lengths in segments:
        tokens, starts = np.zeros(LENGTH, np.uint16), np.zeros(LENGTH, bool)
        tokens[: sum(lengths)] = 7
        starts[[0, *np.cumsum(lengths)[: len(lengths) if layout == "packed" else -1]]] = True
        row = {"tokens": tokens, "word_starts": bitmap(starts), "segment_starts": bitmap(starts)}
        label = {"label": np.array(len(lengths) == 2, np.uint8)} if layout == "sentence_pairs" else {}
        rows.append({**row, **label})
    path = folder / "shard"
    shard = write_shard(path, layout, LENGTH, "uint16", 0, rows)
    header = RecordsHeader(
        layout=layout, length=LENGTH, vocabulary_size=8, token_dtype="uint16", pad_id=0, unk_id=1, cls_id=2, sep_id=3,
        mask_id=4, reserved_ids=(0, 1, 2, 3, 4), word_unit="token", tokenizer_sha256="t", rows={"train": len(rows)},
        tokens={"train": shard.tokens}, fingerprint="f",
    )  # fmt: skip
    publish(folder / "examples", {"train": [(path, shard)]}, header)
    return Records(folder / "examples", "train")


def test_positions_of_packed_rows_restart_in_every_segment(tmp_path: Path) -> None:
    counts = count(records(tmp_path, "packed", [[5, 3], [6, 2, 4]]), "packed")
    assert counts.positions.tolist() == [5, 5, 4, 3, 2, 1] + [0] * 10
    assert (counts.rows, counts.segments, counts.label_1) == (2, 5, 0)
    assert counts.relative[:4].tolist() == [1.0, 1.0, 0.8, 0.6]


def test_positions_of_pairs_run_through_the_row(tmp_path: Path) -> None:
    counts = count(records(tmp_path, "sentence_pairs", [[5, 3], [6, 4]]), "pairs")
    assert counts.positions.tolist() == [2] * 8 + [1] * 2 + [0] * 6
    assert (counts.rows, counts.segments, counts.label_1) == (2, 4, 2)
