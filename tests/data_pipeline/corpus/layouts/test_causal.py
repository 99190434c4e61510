"""One stream of text, cut anywhere, in which every token stands once and texts never touch."""

import numpy as np
from hypothesis import given, settings
from numbered import LENGTHS, SPECIAL, Document, Origin, document_sets, made

from data_pipeline.contract.records import from_bitmap
from data_pipeline.corpus.layouts.causal import CausalRows


@given(document_sets(), LENGTHS)
@settings(max_examples=80, deadline=None)
def test_causal_rows_are_one_stream_without_padding(documents: list[Document], length: int) -> None:
    maker = CausalRows(length, SPECIAL)
    rows, origin = made(maker, documents), Origin(documents)
    stream = np.concatenate([np.empty(0, np.uint32), *(row["tokens"] for row in rows)])
    expected = [
        token for document in documents for run in document for token in [*(int(i) for s in run for i in s.ids), 3]
    ]
    assert stream[: len(expected)].tolist() == expected
    assert len(stream) - len(expected) < length
    assert not stream[len(expected) :].any()
    assert maker.counts.total() == 0
    for row in rows:
        origin.check_word_starts(row)
        after_end = [int(place) + 1 for place in np.flatnonzero(row["tokens"] == SPECIAL.sep)]
        within = [place for place in after_end if place < length and row["tokens"][place] != SPECIAL.pad]
        assert np.flatnonzero(from_bitmap(row["segment_starts"])).tolist() == sorted({0, *within})
