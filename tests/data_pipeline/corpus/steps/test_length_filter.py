"""What counts as too short, by sentence, paragraph and document."""

from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_pipeline.corpus.document import Document, Dropped, Sentence
from data_pipeline.corpus.steps.length_filter import length_filter
from data_pipeline.recipe import LengthFilter

Unit = Literal["sentence", "paragraph", "document"]


def document(*sentences: Sentence) -> Document:
    return Document("a:1", "s", "".join(s.text + s.blanks for s in sentences), sentences)


def filtered(min_chars: int, unit: Unit, *sentences: Sentence) -> Document | Dropped:
    return length_filter(LengthFilter(min_chars=min_chars, unit=unit))(document(*sentences))


SENTENCES = Sentence("가나다라.", " "), Sentence("가.", "\n"), Sentence("나.", " "), Sentence("다.")


def test_short_sentences_go_and_leave_a_break():
    result = filtered(
        5, "sentence", Sentence("가.", " "), Sentence("가나다라.", " "), Sentence("나.", " "), Sentence("가나다라!")
    )
    assert isinstance(result, Document)
    assert result.sentences == (Sentence("가나다라.", " ", after_break=True), Sentence("가나다라!", after_break=True))
    assert [(r.text, r.reason, r.detail) for r in result.removed] == [
        ("가.", "too short", "sentence of 2 characters"),
        ("나.", "too short", "sentence of 2 characters"),
    ]


def test_paragraph_is_measured_with_the_blanks_between_its_sentences_only():
    # "가나다라. 가." has 8 characters, "나. 다." has 5.
    assert filtered(5, "paragraph", *SENTENCES) == document(*SENTENCES)
    result = filtered(6, "paragraph", *SENTENCES)
    assert isinstance(result, Document)
    assert result.sentences == SENTENCES[:2]
    assert [r.detail for r in result.removed] == ["paragraph of 5 characters"] * 2


def test_document_is_measured_whole_and_keeps_its_sentences():
    # 8 characters, a line break, 5 characters.
    assert filtered(14, "document", *SENTENCES) == document(*SENTENCES)
    assert filtered(15, "document", *SENTENCES) == Dropped(document(*SENTENCES), "too short", "14 characters")


@pytest.mark.parametrize("unit", ["sentence", "paragraph"])
def test_document_with_nothing_left_is_dropped_with_complete_removals(unit):
    result = filtered(100, unit, *SENTENCES)
    assert isinstance(result, Dropped)
    assert result.reason == "too short"
    assert result.document.sentences == ()
    assert [r.text for r in result.document.removed] == [s.text for s in SENTENCES]


@pytest.mark.parametrize("unit", ["sentence", "paragraph", "document"])
def test_document_that_comes_without_sentences_is_dropped(unit):
    assert isinstance(filtered(0, unit), Dropped)


@settings(max_examples=100)
@given(
    st.lists(
        st.builds(Sentence, text=st.text("가나.", min_size=1, max_size=6), blanks=st.sampled_from(["", " ", "\n"])),
        max_size=6,
    ),
    st.sampled_from(["sentence", "paragraph", "document"]),
    st.integers(0, 12),
)
def test_every_sentence_is_kept_or_removed_once_and_filtering_again_changes_nothing(sentences, unit, min_chars):
    result = filtered(min_chars, unit, *sentences)
    after = result.document if isinstance(result, Dropped) else result
    assert after.sentences is not None
    assert len(after.sentences) + len(after.removed) == len(sentences)
    if isinstance(result, Document):
        assert length_filter(LengthFilter(min_chars=min_chars, unit=unit))(result) == result
