"""Targets go on where their sources end, and what finds no partner is counted."""

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

from data_pipeline.corpus.layouts.source_target import SourceTargetRows


@given(document_sets(), LENGTHS, LENGTHS, st.integers(0, 99))
@settings(max_examples=100, deadline=None)
def test_targets_go_on_where_their_sources_end(
    documents: list[Document], length: int, target_length: int, seed: int
) -> None:
    maker = SourceTargetRows(length, target_length, SPECIAL, str(seed))
    rows, origin = made(maker, documents), Origin(documents)
    for row in rows:
        for name, size in (("tokens", length), ("target_tokens", target_length)):
            assert row[name].shape == (size,)
            tokens = row[name][row[name] != SPECIAL.pad]
            assert (tokens[0], tokens[-1]) == (SPECIAL.cls, SPECIAL.sep)
            assert len(tokens) > 2
            assert not row[name][len(tokens) :].any()
        both = real(row)
        assert consecutive(both)
        assert len({origin.run[token] for token in both}) == 1
        assert origin.starts[int(row["target_tokens"][1])]
        origin.check_word_starts(row)
    found = [token for row in rows for token in real(row)]
    assert found == sorted(set(found))
    assert len(found) == len(origin.run) - maker.counts["tokens_left_out"]
    left = origin.run.keys() - set(found)
    ends = {run[-1].ids[-1] for document in documents for run in document}
    for run in {origin.run[token] for token in left}:  # of a run only the end can be left, and less than a side
        alone = sorted(token for token in left if origin.run[token] == run)
        assert consecutive(alone)
        assert alone[-1] in ends
        assert len(alone) <= min(length, target_length) - 2


def test_where_a_pair_is_divided_is_drawn_among_the_places_that_fit() -> None:
    """Ten sentences of 12: a source holds up to five of them, a target of 64 as well, so five and five; of six, all places."""
    rows = made(SourceTargetRows(64, 64, SPECIAL, "seed"), plain_documents(50, 10))
    assert {len(texts(row)[0]) for row in rows} == {60}
    rows = made(SourceTargetRows(64, 64, SPECIAL, "seed"), plain_documents(200, 6))
    sources = [len(texts(row)[0]) // 12 for row in rows]
    assert set(sources) == {1, 2, 3, 4, 5}
    assert max(sources.count(number) for number in range(1, 6)) < 70


@pytest.mark.parametrize(("sentences", "left"), [(1, 12), (2, 0), (11, 0), (12, 0), (13, 0)])
def test_a_last_sentence_is_not_left_alone(sentences: int, left: int) -> None:
    maker = SourceTargetRows(64, 64, SPECIAL, "seed")
    made(maker, plain_documents(1, sentences))
    assert maker.counts["tokens_left_out"] == left


def test_a_sentence_longer_than_a_side_is_divided_before_a_word() -> None:
    maker = SourceTargetRows(64, 32, SPECIAL, "seed")
    rows = made(maker, [[numbered([200], [3])]])
    assert [token for row in rows for token in real(row)] == list(range(10, 210))
