"""Rows hold every token once, in order, framed, and never across a break."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numbered import FIRST_ID, LENGTHS, SPECIAL, made, numbered, segments

from data_pipeline.contract.records import Row
from data_pipeline.corpus.layouts.packed import SMALLEST_ROOM, PackedRows
from data_pipeline.corpus.layouts.rows import Tokens, joined


def packed(runs: Sequence[Tokens], length: int, closing: np.ndarray | None = None) -> tuple[list[Row], PackedRows]:
    packer = PackedRows(length, SPECIAL, closing)
    return made(packer, [[[run]] for run in runs]), packer


@given(st.lists(st.integers(1, 200), max_size=40), st.lists(st.integers(1, 40), min_size=1, max_size=8), LENGTHS)
@settings(max_examples=60, deadline=None)
def test_packing_keeps_every_token_once_in_order_and_framed(
    run_lengths: list[int], words: list[int], length: int
) -> None:
    runs = numbered(run_lengths, words)
    rows, packer = packed(runs, length)
    starts_of = {int(token): bool(flag) for run in runs for token, flag in zip(run.ids, run.starts, strict=True)}
    run_of = {int(token): number for number, run in enumerate(runs) for token in run.ids}
    pieces, lengths = [], Counter[int]()
    for row in rows:
        assert row["tokens"].shape == (length,)
        found = segments(row)
        if row["tokens"][-1] == SPECIAL.pad:
            padding, flags = found.pop()
            assert not padding.any()
            assert not flags.any()
        for tokens, flags in found:
            assert tokens[0] == SPECIAL.cls
            assert tokens[-1] == SPECIAL.sep
            assert not flags[0]
            assert not flags[-1]
            inside = tokens[1:-1].tolist()
            assert len(inside) > 0
            assert len({run_of[token] for token in inside}) == 1
            assert inside == list(range(inside[0], inside[-1] + 1))
            assert flags[1:-1].tolist() == [starts_of[token] for token in inside]
            lengths[len(tokens)] += 1
            pieces.append(inside)
    everything = sorted(token for piece in pieces for token in piece)
    assert everything == sorted(starts_of)
    assert [lengths[n] for n in range(length + 1)] == packer.segment_lengths


@given(st.lists(st.integers(1, 300), min_size=1, max_size=300), st.integers(1, 9), LENGTHS)
@settings(max_examples=40, deadline=None)
def test_only_words_longer_than_a_row_are_cut(run_lengths: list[int], word: int, length: int) -> None:
    rows, _ = packed(numbered(run_lengths, [word]), length)
    for row in rows:
        for tokens, flags in segments(row):
            if tokens[0] == SPECIAL.cls:
                assert flags[1]


@given(st.lists(st.integers(1, 300), min_size=1, max_size=60), st.integers(2, 6), LENGTHS)
@settings(max_examples=40, deadline=None)
def test_marks_stay_with_what_they_close(run_lengths: list[int], every: int, length: int) -> None:
    """Every few tokens one closes the one before; runs may begin with one, and no row does otherwise."""
    runs = numbered(run_lengths)
    closing = np.arange(FIRST_ID + sum(run_lengths)) % every == 0
    rows, _ = packed(runs, length, closing)
    begin_runs = {int(run.ids[0]) for run in runs}
    found = [tokens[1:-1].tolist() for row in rows for tokens, _ in segments(row) if tokens[0] == SPECIAL.cls]
    assert all(piece[0] in begin_runs or not closing[piece[0]] for piece in found)
    assert sorted(token for piece in found for token in piece) == [token for run in runs for token in run.ids]


def test_a_row_of_nothing_but_marks_is_cut_all_the_same() -> None:
    [run] = numbered([100])
    rows, _ = packed([run], 16, np.ones(200, bool))
    found = [tokens[1:-1] for row in rows for tokens, _ in segments(row) if tokens[0] == SPECIAL.cls]
    assert np.array_equal(np.sort(np.concatenate(found)), run.ids)
    assert len(found) == 8


def test_an_overlong_word_is_cut_and_nothing_else() -> None:
    run = Tokens(np.arange(10, 60, dtype=np.uint16), np.arange(10, 60) % 50 == 10)
    rows, _ = packed([run], 16)
    pieces = [tokens[1:-1] for row in rows for tokens, _ in segments(row) if tokens[0] == SPECIAL.cls]
    assert [len(piece) for piece in pieces] == [14, 14, 14, 8]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("mean", "length"), [(4.6, 128), (5.5, 512), (4.4, 128)])
def test_padding_stays_small(seed: int, mean: float, length: int) -> None:
    """Documents of about 100 to 250 tokens (log-normal, as web text is), words of one to four pieces."""
    random = np.random.default_rng(seed)
    lengths = np.clip(random.lognormal(mean, 0.8, 4000), 3, 5000).astype(int)
    rows, _ = packed(numbered(lengths.tolist(), random.integers(1, 5, 50).tolist()), length)
    tokens = np.stack([row["tokens"] for row in rows])
    assert (tokens == SPECIAL.pad).mean() < 0.03


def test_lengths_that_never_fit_each_other_are_poured() -> None:
    rows, _ = packed(numbered([80] * 3000, [2]), 128)
    tokens = np.stack([row["tokens"] for row in rows])
    assert (tokens == SPECIAL.pad).mean() < 0.03


def test_rows_with_little_room_are_closed() -> None:
    packer = PackedRows(64, SPECIAL)
    [almost_full] = packer.add([numbered([64 - 2 - SMALLEST_ROOM + 1])])
    assert np.count_nonzero(almost_full["tokens"]) == 64 - SMALLEST_ROOM + 1
    assert list(packer.finish()) == []


def test_joined_sentences_keep_their_word_starts() -> None:
    run = joined(numbered([3, 4], [3]))
    assert run.starts.tolist() == [True, False, False, True, False, False, True]
