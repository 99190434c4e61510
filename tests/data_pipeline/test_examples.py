"""Rows hold every token once, in order, framed, and never across a break."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_pipeline.contract.records import from_bitmap
from data_pipeline.contract.tokenizer import SpecialIds
from data_pipeline.examples import SMALLEST_ROOM, Packer, Tokens, joined, sentence_pairs

SPECIAL = SpecialIds(pad=0, unk=1, cls=2, sep=3, mask=4)
FIRST_ID = 10
Row = dict[str, np.ndarray]


def numbered(lengths: Sequence[int], word_lengths: Sequence[int] = (1,)) -> list[Tokens]:
    """Runs whose tokens all differ, so that each can be told by its id."""
    runs, next_id, pattern = [], FIRST_ID, np.concatenate([[True] + [False] * (length - 1) for length in word_lengths])
    for length in lengths:
        starts = np.resize(pattern, length)
        runs.append(Tokens(np.arange(next_id, next_id + length, dtype=np.uint32), starts))
        next_id += length
    return runs


def segments(row: Row) -> list[tuple[np.ndarray, np.ndarray]]:
    """Tokens and word starts of each segment by the bitmap, [CLS] and [SEP] included."""
    starts = np.flatnonzero(from_bitmap(row["segment_starts"]))
    words = from_bitmap(row["word_starts"])
    ends = [*starts[1:], len(row["tokens"])]
    return [(row["tokens"][start:end], words[start:end]) for start, end in zip(starts, ends, strict=True)]


def packed(runs: Sequence[Tokens], length: int, closing: np.ndarray | None = None) -> tuple[list[Row], Packer]:
    packer = Packer(length, SPECIAL, closing)
    rows = [row for run in runs for row in packer.add(run)]
    return [*rows, *packer.finish()], packer


LENGTHS = st.sampled_from([16, 24, 64])


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
    packer = Packer(64, SPECIAL)
    [almost_full] = packer.add(numbered([64 - 2 - SMALLEST_ROOM + 1])[0])
    assert np.count_nonzero(almost_full["tokens"]) == 64 - SMALLEST_ROOM + 1
    assert list(packer.finish()) == []


@st.composite
def document_sets(draw: st.DrawFn) -> list[list[list[Tokens]]]:
    shapes = draw(
        st.lists(st.lists(st.lists(st.integers(1, 40), min_size=1, max_size=12), min_size=1, max_size=3), max_size=6)
    )
    sentences = iter(numbered([n for document in shapes for run in document for n in run], [1, 2, 3]))
    return [[[next(sentences) for _ in run] for run in document] for document in shapes]


@given(document_sets(), LENGTHS, st.floats(0, 1), st.floats(0, 1), st.integers(0, 99))
@settings(max_examples=80, deadline=None)
def test_pairs_are_what_their_label_says(
    documents: list[list[list[Tokens]]], length: int, random_next: float, short_share: float, seed: int
) -> None:
    rows = list(sentence_pairs(documents, length, SPECIAL, random_next, short_share, str(seed)))
    document_of, run_of, sentence_of = {}, {}, {}
    starts_of: dict[int, bool] = {}
    for number, document in enumerate(documents):
        for run in document:
            for sentence in run:
                for token, start in zip(sentence.ids.tolist(), sentence.starts.tolist(), strict=True):
                    document_of[token], run_of[token], sentence_of[token] = number, id(run), id(sentence)
                    starts_of[token] = start
    for row in rows:
        tokens = row["tokens"].tolist()
        middle = tokens.index(SPECIAL.sep)
        end = tokens.index(SPECIAL.sep, middle + 1)
        first, second = tokens[1:middle], tokens[middle + 1 : end]
        assert tokens[0] == SPECIAL.cls
        assert set(tokens[end + 1 :]) <= {SPECIAL.pad}
        assert first
        assert second
        assert np.flatnonzero(from_bitmap(row["segment_starts"])).tolist() == [0, middle + 1]
        words = from_bitmap(row["word_starts"]).tolist()
        assert words == [starts_of.get(token, False) for token in tokens]
        for side in (first, second):
            assert len({run_of[token] for token in side}) == 1
            assert side == list(range(side[0], side[-1] + 1))
        if row["label"] == 0:
            assert run_of[first[0]] == run_of[second[0]]
            assert first[-1] < second[0]
            assert sentence_of[first[-1]] != sentence_of[second[0]]
            if len(first) + len(second) < length - 3:  # nothing was cut away, so they stand side by side
                assert first[-1] + 1 == second[0]
        else:
            assert document_of[first[0]] != document_of[second[0]]
    if len(documents) < 2:
        assert all(row["label"] == 0 for row in rows)


def plain_documents(number: int, length: int = 10) -> list[list[list[Tokens]]]:
    sentences = iter(numbered([12] * number * length))
    return [[[next(sentences) for _ in range(length)]] for _ in range(number)]


def test_every_sentence_of_a_document_is_used() -> None:
    """Without a second document as well, and where a sentence alone fills a row."""
    [sentences] = plain_documents(1)[0]
    for first in (12, 200):
        documents = [[[*numbered([first]), *(Tokens(s.ids + 1000, s.starts) for s in sentences)]]]
        rows = list(sentence_pairs(documents, 64, SPECIAL, 0.5, 0.0, "seed"))
        used = {int(token) for row in rows for token in row["tokens"]}
        for sentence in documents[0][0][1:]:
            assert used & set(sentence.ids.tolist())
        assert all(row["label"] == 0 for row in rows)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_the_share_of_random_pairs_is_the_recipes(share: float) -> None:
    """In long documents; a single sentence left at the end of a run can only be half of a random pair."""
    rows = list(sentence_pairs(plain_documents(50, 100), 64, SPECIAL, share, 0.0, "seed"))
    assert np.mean([row["label"] for row in rows]) == pytest.approx(share, abs=0.08)


def test_the_seed_decides() -> None:
    def rows(seed: str) -> bytes:
        return b"".join(r["tokens"].tobytes() for r in sentence_pairs(plain_documents(20), 64, SPECIAL, 0.5, 0.1, seed))

    assert rows("a") == rows("a")
    assert rows("a") != rows("b")


def test_joined_sentences_keep_their_word_starts() -> None:
    run = joined(numbered([3, 4], [3]))
    assert run.starts.tolist() == [True, False, False, True, False, False, True]
