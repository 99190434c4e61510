"""Whole sentences in their order: every token once, framed, and never across a break without a [SEP]."""

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numbered import LENGTHS, SPECIAL, Document, Origin, document_sets, made, plain_documents, real, segments, texts

from data_pipeline.corpus.layouts.full_sentences import FullSentenceRows


@given(document_sets(), LENGTHS, st.booleans())
@settings(max_examples=80, deadline=None)
def test_full_sentences_keep_every_token_once_in_order(
    documents: list[Document], length: int, cross_documents: bool
) -> None:
    maker = FullSentenceRows(length, SPECIAL, cross_documents)
    rows, origin = made(maker, documents), Origin(documents)
    assert [token for row in rows for token in real(row)] == list(origin.run)
    assert maker.counts.total() == 0
    for row in rows:
        origin.check_word_starts(row)
        found = segments(row)
        assert row["tokens"][0] == SPECIAL.cls
        assert np.count_nonzero(row["tokens"] == SPECIAL.sep) == len(found)
        for text in texts(row):
            assert len({origin.run[token] for token in text}) == 1
        for before, after in pairwise(texts(row)):
            assert origin.run[before[0]] != origin.run[after[0]]
        for tokens, _ in found:
            ends = tokens[tokens != SPECIAL.pad]
            assert ends[-1] == SPECIAL.sep
        if not cross_documents:
            assert len(found) == 1
    for row, after in pairwise(rows):
        last, first = real(row)[-1], real(after)[0]
        if origin.sentence[last] == origin.sentence[first]:  # only a sentence longer than a row is cut
            assert list(origin.sentence.values()).count(origin.sentence[first]) > length - 2
            assert origin.starts[first]


def test_full_sentences_fill_a_row_as_long_as_the_next_one_fits() -> None:
    """Sentences of 12 and rows of 64: five in a row, with one [SEP] or three; two where a row is never shared."""
    rows = made(FullSentenceRows(64, SPECIAL, True), plain_documents(1, 10))
    assert [len(real(row)) for row in rows] == [60, 60]
    rows = made(FullSentenceRows(64, SPECIAL, True), plain_documents(10, 2))
    assert [len(real(row)) for row in rows] == [60] * 4
    assert [len(texts(row)) for row in rows] == [3] * 4
    rows = made(FullSentenceRows(64, SPECIAL, False), plain_documents(10, 2))
    assert [len(real(row)) for row in rows] == [24] * 10
