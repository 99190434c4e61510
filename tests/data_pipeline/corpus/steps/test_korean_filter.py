"""Which sentences count as Korean, and what is left of their documents."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_pipeline.corpus.document import Document, Dropped, Sentence
from data_pipeline.corpus.steps.korean_filter import korean_filter
from data_pipeline.recipe import KoreanFilter


def document(*texts: str) -> Document:
    return Document("a:1", "s", " ".join(texts), tuple(Sentence(text, " ") for text in texts))


def reasons(*texts: str, recipe: KoreanFilter | None = None) -> list[tuple[str, str]]:
    result = korean_filter(recipe or KoreanFilter())(document(*texts))
    return [
        (removed.text, removed.reason)
        for removed in (result.document if isinstance(result, Dropped) else result).removed
    ]


@pytest.mark.parametrize(
    "text",
    [
        "오늘은 비가 왔다.",
        "ㅋㅋㅋㅋ ㅠㅠ",
        "\u1112\u119e\u11ab글",  # an old syllable in jamo, which NFC cannot compose
        "iPhone과 Android 앱을 만든다",
        "국회(國會) 본회의(本會議) 회의록",
        "1,234 - 5678 (2019)",
        "자세한 내용은 https://www.law.go.kr/LSW/lsInfoP.do?lsiSeq=188&efYd=20200101 를 참고하세요.",
        "주소는 www.hagerkorea.co.kr/branches/gangnam/introduction 이다",
        "문의는 hong.gildong.longaddress@mail.example.co.kr 로 주세요",
        "https://ko.wikipedia.org/w/index.php?title=대한민국&action=edit&section=1&editintro=longword 참고",
        "시대・문화・역사・정치・경제・사회・예술・과학・종교・철학・문학・음악",
    ],
)
def test_korean_sentences_and_those_without_letters_stay(text):
    assert reasons("한국어 문장이다.", text) == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("This is an English sentence.", "not Korean"),
        ("好きです。", "not Korean"),
        ("https://www.example.com/watch?v=abc", "not Korean"),
        ("https://www.example.com/watch?v=abc 를 see and share with everybody", "not Korean"),
        ("minji@example.com", "not Korean"),
        ("Привет всем", "not Korean"),
        ("국회 본회의 회의록이 여기 있으니 모두 읽어 보십시오 第二百六十九回國會本會議會議錄", "Han or Kana"),
        ("데이터베이스는 결론을 내릴 수 없다 データベースは結論を出せない", "Han or Kana"),
        ("이 글자들은 희귀한 한자이다 " + "𠀀" * 11, "Han or Kana"),
    ],
)
def test_foreign_sentences_go_with_their_reason(text, reason):
    assert reasons("한국어 문장이다.", text) == [(text, reason)]


def test_thresholds_come_from_the_recipe_and_are_inclusive():
    assert reasons("가나다 abc", recipe=KoreanFilter(min_hangul_share=0.5)) == []
    assert reasons("가나다 abcd", recipe=KoreanFilter(min_hangul_share=0.5)) == [("가나다 abcd", "not Korean")]
    assert reasons("가나다 漢字", recipe=KoreanFilter(max_han_kana=2)) == []
    assert reasons("가나다 漢字", recipe=KoreanFilter(max_han_kana=1)) == [("가나다 漢字", "Han or Kana")]


def test_removed_sentence_leaves_a_break_before_the_next_one():
    result = korean_filter(KoreanFilter())(document("첫째다.", "Second.", "셋째다.", "넷째다."))
    assert isinstance(result, Document)
    assert result.sentences == (
        Sentence("첫째다.", " "),
        Sentence("셋째다.", " ", after_break=True),
        Sentence("넷째다.", " "),
    )


def test_document_without_hangul_is_dropped_and_keeps_the_sentences_that_it_still_had():
    result = korean_filter(KoreanFilter())(document("1.", "English only.", "2."))
    assert isinstance(result, Dropped)
    assert result.reason == "no Korean"
    assert [sentence.text for sentence in result.document.sentences or ()] == ["1.", "2."]
    assert [removed.text for removed in result.document.removed] == ["English only."]


def test_document_without_sentences_left_ends_with_the_reason_of_the_last_removal():
    result = korean_filter(KoreanFilter())(document("English only.", "가 漢字假名交文書第一回國會"))
    assert isinstance(result, Dropped)
    assert (result.reason, result.document.sentences) == ("not Korean", ())
    assert [removed.reason for removed in result.document.removed] == ["not Korean", "not Korean"]


@settings(max_examples=100)
@given(st.lists(st.text(alphabet="가나ㅋab漢字かな 1.", min_size=1, max_size=25), max_size=6))
def test_every_sentence_is_kept_or_removed_once(texts):
    result = korean_filter(KoreanFilter())(document(*texts))
    after = result.document if isinstance(result, Dropped) else result
    assert after.sentences is not None
    assert sorted([s.text for s in after.sentences] + [r.text for r in after.removed]) == sorted(texts)
    for sentence in after.sentences:
        letters = [letter for letter in sentence.text if letter.isalpha()]
        assert sum(letter in "가나ㅋ" for letter in letters) >= 0.3 * len(letters)
