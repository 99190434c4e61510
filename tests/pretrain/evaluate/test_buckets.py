"""Batches of rows of like lengths: every row once, random but for the lengths, and the same for the same seed."""

import numpy as np
import pytest

from pretrain.evaluate.buckets import BUCKETS, WINDOW, bucket_of, prediction_plan, training_plan

LENGTHS = np.random.default_rng(0).integers(5, 129, 1000)


@pytest.mark.parametrize("rows", [1, 7, 8, 1000])
def test_every_row_is_in_one_batch_and_all_batches_are_full_but_the_last(rows: int) -> None:
    for plan in (
        training_plan(LENGTHS[:rows], 8, 128, seed=1, epoch=2),
        prediction_plan(LENGTHS[:rows], 8, 128),
    ):
        assert sorted(np.concatenate([batch.rows for batch in plan]).tolist()) == list(range(rows))
        assert sorted(len(batch.rows) for batch in plan)[1:] == [8] * (len(plan) - 1)
        assert len(plan) == -(-rows // 8)


def test_a_batch_has_room_for_its_longest_row_and_no_shorter_bucket_has() -> None:
    for batch in training_plan(LENGTHS, 8, 100, seed=0, epoch=0):
        longest = min(LENGTHS[batch.rows].max(), 100)
        assert batch.length in (*BUCKETS, 100)
        assert [bucket for bucket in (*BUCKETS, 100) if longest <= bucket < batch.length and bucket < 100] == []


def test_a_plan_is_decided_by_seed_and_epoch() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        plan = training_plan(LENGTHS, 8, 128, seed=seed, epoch=epoch)
        return [int(row) for batch in plan for row in batch.rows]

    assert order(1, 0) == order(1, 0)
    assert len({tuple(order(seed, epoch)) for seed in range(3) for epoch in range(3)}) == 9


def test_sorting_saves_most_of_the_padding_and_leaves_batches_in_random_order() -> None:
    lengths = np.random.default_rng(1).geometric(0.05, 20_000).clip(3, 128)
    plan = training_plan(lengths, 32, 128, seed=0, epoch=0)
    assert sum(len(batch.rows) * batch.length for batch in plan) < 1.5 * lengths.sum()
    means = np.array([lengths[batch.rows].mean() for batch in plan])
    assert abs(np.corrcoef(means[:-1], means[1:])[0, 1]) < 0.15
    # Every window is a sample of all lengths.
    windows = [means[start : start + WINDOW].mean() for start in range(0, len(means) - WINDOW, WINDOW)]
    assert np.std(windows) < 0.05 * np.mean(windows)


def test_a_row_longer_than_every_bucket_has_the_longest() -> None:
    assert bucket_of(600, 700) == 700
    assert (bucket_of(16, 128), bucket_of(17, 128), bucket_of(128, 128), bucket_of(3, 10)) == (16, 24, 128, 10)
