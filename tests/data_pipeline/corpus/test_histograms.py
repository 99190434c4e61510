"""Histograms count what a plain loop would, whatever portions the text comes in."""

import unicodedata
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_pipeline.corpus import histograms
from data_pipeline.corpus.document import Document, Dropped, Removed, Sentence
from data_pipeline.corpus.histogram_bins import LENGTH_EDGES, SHARE_BINS
from data_pipeline.corpus.histograms import TextHistograms
from data_pipeline.corpus.steps.scripts import HANGUL

TEXT = st.text(
    alphabet=st.one_of(st.sampled_from("가각힣ㄱㅋᄀabcé漢あ 1.!\n😀\U00020000\U000323af"), st.characters()),
    max_size=30,
)


def document(source: str, *texts: str) -> Document:
    return Document("a:1", source, " ".join(texts), tuple(Sentence(text, " ") for text in texts))


def share(text: str) -> float | None:
    letters = sum(unicodedata.category(character)[0] == "L" for character in text)
    return len(HANGUL.findall(text)) / letters if letters else None


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(TEXT, max_size=4), max_size=4), st.sampled_from([1, 20, 10_000]))
def test_bins_hold_what_a_loop_counts(documents: list[list[str]], at_once: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(histograms, "CHARACTERS_AT_ONCE", at_once)
        counted = TextHistograms()
        for texts in documents:
            counted.add(document("s", *texts))
        counts = counted.counts()
    sentences = [text for texts in documents for text in texts]
    expected = [0] * len(LENGTH_EDGES)
    for text in sentences:
        expected[max(0, sum(edge <= len(text) for edge in LENGTH_EDGES) - 1)] += 1
    if sentences:
        assert counts["sentence_characters"]["s"]["in"] == expected
        shares = [each for each in map(share, sentences) if each is not None]
        bins = [min(SHARE_BINS - 1, int(each * SHARE_BINS)) for each in shares]
        assert counts["hangul_share"]["s"]["in"] == [bins.count(number) for number in range(SHARE_BINS)]
    if documents:
        assert sum(counts["document_characters"]["s"]["in"]) == len(documents)


def test_what_is_lost_is_counted_by_source_and_moment() -> None:
    counted = TextHistograms()
    for source in ("a", "b"):
        counted.add(document(source, "안녕하세요.", "네."))
    short = Removed("네.", "too short")
    whole, rest = document("a", "안녕하세요.", "네."), document("a", "안녕하세요.")
    counted.lose(whole, whole)
    assert sum_of(counted)["a"] == {"in": 2}
    counted.lose(whole, replace(rest, removed=(short,)))
    counted.lose(document("b", "안녕하세요.", "네."), Dropped(replace(rest, source="b", removed=(short,)), "gone"))
    assert sum_of(counted) == {"a": {"in": 2, "lost": 1}, "b": {"in": 2, "lost": 2}}
    documents = counted.counts()["document_characters"]
    assert (sum(documents["a"]["lost"]), min(documents["a"]["lost"])) == (0, -1)  # it moved to a shorter bin
    assert sum(documents["b"]["lost"]) == 1


def sum_of(counted: TextHistograms) -> dict[str, dict[str, int]]:
    counts = counted.counts()["sentence_characters"]
    return {source: {moment: sum(of) for moment, of in moments.items()} for source, moments in counts.items()}
