"""Which rows make up a batch, and how long it is: rows of like lengths together, in few lengths, for each is a program."""

from typing import NamedTuple

import numpy as np

BUCKETS = (16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
"""Lengths of batches in tokens; the longest row of a task is one more. On NSMC they are 1.34 times the real tokens, where batches of
random rows, padded to their longest, are 3.2 times as many."""
WINDOW = 50
"""Batches whose rows are sorted together: as transformers' group_by_length."""


class PlannedBatch(NamedTuple):
    """The rows of a batch, int64 [n], and its length in tokens."""

    rows: np.ndarray
    length: int


def training_plan(lengths: np.ndarray, batch_size: int, longest: int, *, seed: int, epoch: int) -> list[PlannedBatch]:
    """The batches of an epoch, decided by the arguments alone: every row once, and all batches full but the last.

    - `lengths`: tokens of each row, int [n].
    - `longest`: most tokens of a row.

    Rows are shuffled, then sorted by length within windows of WINDOW batches, whose batches are shuffled again: what a batch holds is
    random but for the lengths.
    """
    random = np.random.default_rng([seed, epoch])
    order = random.permutation(len(lengths))
    plan: list[PlannedBatch] = []
    for start in range(0, len(order), WINDOW * batch_size):
        window = order[start : start + WINDOW * batch_size]
        window = window[np.argsort(-lengths[window], kind="stable")]
        batches = _cut(window, lengths, batch_size, longest)
        plan += [batches[place] for place in random.permutation(len(batches))]
    return plan


def prediction_plan(lengths: np.ndarray, batch_size: int, longest: int) -> list[PlannedBatch]:
    """All rows once, sorted by length; arguments as for `training_plan`."""
    return _cut(np.argsort(-lengths, kind="stable"), lengths, batch_size, longest)


def _cut(rows: np.ndarray, lengths: np.ndarray, batch_size: int, longest: int) -> list[PlannedBatch]:
    parts = [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]
    return [PlannedBatch(part, bucket_of(int(lengths[part].max()), longest)) for part in parts]


def bucket_of(length: int, longest: int) -> int:
    """The length of a batch whose longest row has `length` tokens."""
    return next((bucket for bucket in BUCKETS if length <= bucket < longest), longest)
