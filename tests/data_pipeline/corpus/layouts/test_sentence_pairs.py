"""Pairs are what their label says, and what they leave out, cut or use again is counted."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numbered import (
    LENGTHS,
    SPECIAL,
    Document,
    Origin,
    consecutive,
    document_sets,
    made,
    numbered,
    plain_documents,
    real,
    texts,
)

from data_pipeline.contract.records import Row, from_bitmap
from data_pipeline.corpus.layouts.rows import RowMaker, Tokens
from data_pipeline.corpus.layouts.sentence_pairs import NextSentenceRows, SentenceOrderRows

SHARES = st.floats(0, 1)


def check_frame(row: Row, origin: Origin) -> tuple[list[int], list[int]]:
    """`[CLS] A [SEP] B [SEP]` with its segments and words; returns A and B, each a stretch of one run."""
    tokens = row["tokens"].tolist()
    middle = tokens.index(SPECIAL.sep)
    end = tokens.index(SPECIAL.sep, middle + 1)
    first, second = tokens[1:middle], tokens[middle + 1 : end]
    assert tokens[0] == SPECIAL.cls
    assert set(tokens[end + 1 :]) <= {SPECIAL.pad}
    assert np.flatnonzero(from_bitmap(row["segment_starts"])).tolist() == [0, middle + 1]
    origin.check_word_starts(row)
    for side in (first, second):
        assert side
        assert consecutive(side)
        assert len({origin.run[token] for token in side}) == 1
    return first, second


@given(document_sets(), LENGTHS, SHARES, SHARES, st.integers(0, 99))
@settings(max_examples=80, deadline=None)
def test_next_sentence_pairs_are_what_their_label_says(
    documents: list[Document], length: int, random_next: float, short_share: float, seed: int
) -> None:
    maker = NextSentenceRows(length, SPECIAL, random_next, short_share, str(seed))
    rows, origin = made(maker, documents), Origin(documents)
    for row in rows:
        first, second = check_frame(row, origin)
        if row["label"] == 0:
            assert origin.run[first[0]] == origin.run[second[0]]
            assert first[-1] < second[0]
            assert origin.sentence[first[-1]] != origin.sentence[second[0]]
            if len(first) + len(second) < length - 3:  # nothing was cut away, so they stand side by side
                assert first[-1] + 1 == second[0]
        else:
            assert origin.document[first[0]] != origin.document[second[0]]
    if len(documents) < 2:
        assert all(row["label"] == 0 for row in rows)
    assert maker.counts["labelled_1"] == sum(int(row["label"]) for row in rows)
    in_rows, counts = sum(len(real(row)) for row in rows), maker.counts
    assert in_rows == len(origin.run) - counts["tokens_left_out"] - counts["tokens_cut"] + counts["tokens_again"]


@given(document_sets(), LENGTHS, SHARES, SHARES, st.integers(0, 99))
@settings(max_examples=80, deadline=None)
def test_sentence_order_pairs_are_neighbours_in_the_order_of_their_label(
    documents: list[Document], length: int, swapped: float, short_share: float, seed: int
) -> None:
    maker = SentenceOrderRows(length, SPECIAL, swapped, short_share, str(seed))
    rows, origin = made(maker, documents), Origin(documents)
    for row in rows:
        first, second = check_frame(row, origin)
        before, after = (second, first) if row["label"] else (first, second)
        assert origin.run[before[0]] == origin.run[after[0]]
        assert before[-1] < after[0]
        assert origin.sentence[before[-1]] != origin.sentence[after[0]]
        if len(first) + len(second) < length - 3:
            assert before[-1] + 1 == after[0]
    found = [token for row in rows for token in real(row)]
    assert len(found) == len(set(found))
    alone = sum(len(run[0]) for document in documents for run in document if len(run) == 1)
    assert maker.counts["tokens_left_out"] == alone
    assert len(found) == len(origin.run) - alone - maker.counts["tokens_cut"]
    assert maker.counts["labelled_1"] == sum(int(row["label"]) for row in rows)


def test_every_sentence_of_a_document_is_used() -> None:
    """Without a second document as well, and where a sentence alone fills a row."""
    [sentences] = plain_documents(1)[0]
    for first in (12, 200):
        documents = [[[*numbered([first]), *(Tokens(s.ids + 1000, s.starts) for s in sentences)]]]
        for maker in (
            NextSentenceRows(64, SPECIAL, 0.5, 0.0, "seed"),
            SentenceOrderRows(64, SPECIAL, 0.0, 0.0, "seed"),
        ):
            rows = made(maker, documents)
            used = {token for row in rows for token in real(row)}
            for sentence in documents[0][0][1:]:
                assert used & set(sentence.ids.tolist())
            assert all(row["label"] == 0 for row in rows)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_the_share_of_label_1_is_the_recipes(share: float) -> None:
    """In long documents; for the next sentence, one left at the end of a run can only be half of a random pair."""
    documents = plain_documents(50, 100)
    rows = made(NextSentenceRows(64, SPECIAL, share, 0.0, "seed"), documents)
    assert np.mean([row["label"] for row in rows]) == pytest.approx(share, abs=0.08)
    rows = made(SentenceOrderRows(64, SPECIAL, share, 0.0, "seed"), documents)
    assert np.mean([row["label"] for row in rows]) == pytest.approx(share, abs=0.05)


def test_short_rows_are_as_many_as_the_recipe_says() -> None:
    """Of runs of five sentences, the first row of those that aim at a shorter length is shorter than all the others'."""
    documents = plain_documents(400, 5)
    rows = made(SentenceOrderRows(64, SPECIAL, 0.0, 0.3, "seed"), documents)
    first_of = {origin: row for row in reversed(rows) for origin in [(texts(row)[0][0] - 10) // 60]}
    short = [len(real(row)) < 60 for row in first_of.values()]
    # A target of at most 48 tokens of the 61 that fit makes a row of fewer than five sentences: 47 of 60 lengths.
    assert np.mean(short) == pytest.approx(0.3 * 47 / 60, abs=0.06)


@pytest.mark.parametrize("kind", [NextSentenceRows, SentenceOrderRows])
def test_the_seed_decides(kind: type[NextSentenceRows] | type[SentenceOrderRows]) -> None:
    def rows(seed: str) -> bytes:
        maker: RowMaker = kind(64, SPECIAL, 0.5, 0.1, seed)
        return b"".join(row["tokens"].tobytes() for row in made(maker, plain_documents(20)))

    assert rows("a") == rows("a")
    assert rows("a") != rows("b")
