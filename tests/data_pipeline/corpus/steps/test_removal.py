"""Removing sentences leaves breaks, paragraphs and bookkeeping as the rest of the pipeline relies on them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_pipeline.corpus.document import Document, Dropped, Removed, Sentence
from data_pipeline.corpus.steps.removal import paragraphs, remove_sentences, survivor

SENTENCES = st.lists(
    st.builds(
        Sentence,
        text=st.sampled_from(["가.", "나.", "다."]),
        blanks=st.sampled_from(["", " ", "\n"]),
        after_break=st.booleans(),
    ),
    max_size=8,
).map(tuple)


def document(*sentences: Sentence) -> Document:
    return Document("a:1", "s", "".join(s.text + s.blanks for s in sentences), sentences)


def gone(text: str, reason: str = "why") -> Removed:
    return Removed(text, reason)


def test_next_kept_sentence_carries_the_break_and_the_others_none():
    before = document(Sentence("가.", " "), Sentence("나.", " "), Sentence("다.", " "), Sentence("라."))
    after = remove_sentences(before, {1: gone("나.")})
    assert after.sentences == (Sentence("가.", " "), Sentence("다.", " ", after_break=True), Sentence("라."))
    assert after.removed == (gone("나."),)
    assert after.text == before.text


def test_break_of_a_removed_sentence_passes_on():
    once = remove_sentences(
        document(Sentence("가.", " "), Sentence("나.", " "), Sentence("다.", " "), Sentence("라.")), {1: gone("나.")}
    )
    twice = remove_sentences(once, {1: gone("다.", "later")})
    assert twice.sentences == (Sentence("가.", " "), Sentence("라.", after_break=True))
    assert twice.removed == (gone("나."), gone("다.", "later"))


def test_paragraphs_do_not_merge_when_the_last_sentence_of_one_goes():
    before = document(Sentence("가.", " "), Sentence("나.", "\n"), Sentence("다."))
    after = remove_sentences(before, {1: gone("나.")})
    assert after.sentences == (Sentence("가.", "\n"), Sentence("다.", after_break=True))


def test_removals_are_written_in_the_order_of_the_text():
    after = remove_sentences(
        document(*(Sentence(text, " ") for text in "가나다라")), {3: gone("라"), 0: gone("가"), 2: gone("다")}
    )
    assert [removed.text for removed in after.removed] == ["가", "다", "라"]


def test_nothing_to_remove_is_the_same_document():
    before = document(Sentence("가.", "", after_break=True))
    assert remove_sentences(before, {}) is before


def test_document_without_sentences_left_ends_with_the_reason_of_the_last_removal():
    empty = remove_sentences(
        document(Sentence("가.", " "), Sentence("나.")), {0: gone("가.", "first"), 1: gone("나.", "last")}
    )
    assert survivor(empty) == Dropped(empty, reason="last")
    assert survivor(document(Sentence("가."))) == document(Sentence("가."))


@pytest.mark.parametrize("index", [-1, 2])
def test_index_of_no_sentence_is_refused(index):
    with pytest.raises(ValueError, match="a:1"):
        remove_sentences(document(Sentence("가.", " "), Sentence("나.")), {index: gone("?")})


def test_document_that_was_not_split_is_refused():
    with pytest.raises(ValueError, match="not split"):
        remove_sentences(Document("a:1", "s", "가."), {})


@settings(max_examples=100)
@given(SENTENCES, st.data())
def test_every_sentence_is_kept_or_removed_once(sentences, data):
    indices = data.draw(st.sets(st.sampled_from(range(len(sentences))))) if sentences else set()
    after = remove_sentences(document(*sentences), {i: gone(sentences[i].text) for i in indices})
    kept = [i for i in range(len(sentences)) if i not in indices]
    assert [s.text for s in after.sentences] == [sentences[i].text for i in kept]
    assert len(after.sentences) + len(after.removed) == len(sentences)
    for position, index in enumerate(kept):
        since = kept[position - 1] + 1 if position else 0
        broken = any(sentences[i].after_break for i in range(since, index + 1)) or since < index
        # The first kept sentence has no sentence before it, but a break before it stays visible.
        assert after.sentences[position].after_break == broken


@settings(max_examples=100)
@given(SENTENCES, st.data())
def test_kept_sentences_stay_in_their_own_paragraphs(sentences, data):
    indices = data.draw(st.sets(st.sampled_from(range(len(sentences))))) if sentences else set()
    after = remove_sentences(document(*sentences), {i: gone("") for i in indices})
    kept = [i for i in range(len(sentences)) if i not in indices]

    def same_paragraph(of, one, other):
        return any(one in paragraph and other in paragraph for paragraph in paragraphs(of))

    for position in range(1, len(kept)):
        assert same_paragraph(after.sentences, position - 1, position) == same_paragraph(
            sentences, kept[position - 1], kept[position]
        )


@settings(max_examples=100)
@given(SENTENCES)
def test_paragraphs_cover_all_sentences_and_end_at_line_breaks(sentences):
    ranges = paragraphs(sentences)
    assert [i for paragraph in ranges for i in paragraph] == list(range(len(sentences)))
    for paragraph in ranges:
        assert len(paragraph) > 0
        assert all("\n" not in sentences[i].blanks for i in paragraph[:-1])
    for paragraph in ranges[:-1]:
        assert "\n" in sentences[paragraph[-1]].blanks
