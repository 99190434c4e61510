"""The rows that the peers train on, in memory, and what their logits say on the held-out batch; no framework here."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from benchmarks.train_step.rounds import Setting
from data_pipeline.contract.records import Records, RecordsHeader, from_bitmap
from data_pipeline.contract.run_folder import RunFolder

HELD_ROWS = 4096
"""Rows that the peers hold in memory, ready to be batched; ours reads its own from disk."""


class Rows(NamedTuple):
    """The first rows of the training records, unpacked: int64, bool, bool, int64 [n, L]; `special` is where nothing is masked."""

    tokens: np.ndarray
    special: np.ndarray
    word_starts: np.ndarray
    segments: np.ndarray


def first_rows(setting: Setting) -> tuple[Rows, RecordsHeader]:
    """The first HELD_ROWS rows."""
    records = Records(RunFolder(setting.folder).examples, "train")
    header = records.header
    fields = records.read(range(min(HELD_ROWS, len(records))))
    tokens = fields["tokens"].astype(np.int64)
    special = np.isin(tokens, (header.pad_id, header.unk_id, header.cls_id, header.sep_id, header.mask_id))
    segments = np.cumsum(from_bitmap(fields["segment_starts"]), axis=-1)
    return Rows(tokens, special, from_bitmap(fields["word_starts"]), segments), header


def example_of(tokens: np.ndarray, special: np.ndarray) -> dict[str, list[Any]]:
    """A row as transformers' collators take it."""
    return {"input_ids": tokens.tolist(), "special_tokens_mask": special.astype(int).tolist()}


def loss_of(logits: np.ndarray, batch: Mapping[str, np.ndarray]) -> float:
    """Nats a prediction.

    - `logits`: float [B, K, V], at the predictions of `batch`, the arrays of `Setting.held_out`.
    """
    logits = logits.astype(np.float64)
    largest = logits.max(-1, keepdims=True)
    losses = np.log(np.exp(logits - largest).sum(-1)) + largest[..., 0]
    losses -= np.take_along_axis(logits, batch["labels"][..., None].astype(np.int64), -1)[..., 0]
    return float((losses * batch["weights"]).sum() / batch["weights"].sum())


def difference_from_ours(logits: np.ndarray, batch: Mapping[str, np.ndarray]) -> float:
    """Largest difference from our logits at a prediction of the rows whose logits we wrote; arguments as in `loss_of`."""
    ours = batch["logits"]
    return float(np.abs(logits[: len(ours)] - ours)[batch["weights"][: len(ours)] > 0].max())
