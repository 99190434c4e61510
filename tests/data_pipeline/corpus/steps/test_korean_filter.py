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
        ("문의 This is an English sentence of some length, with one word of Korean.", "not Korean"),
        ("국회 第二百六十九回國會本會議會議錄", "not Korean"),
        ("Привет всем", "not Korean"),
        ("국회 본회의 회의록이 여기 있으니 모두 읽어 보십시오 第二百六十九回國會本會議會議錄", "Han or Kana"),
        ("데이터베이스는 결론을 내릴 수 없다 データベースは結論を出せない", "Han or Kana"),
        ("이 글자들은 희귀한 한자이다 " + "𠀀" * 11, "Han or Kana"),
    ],
)
def test_foreign_sentences_go_with_their_reason(text, reason):
    assert reasons("한국어 문장이다.", text) == [(text, reason)]


ALL = KoreanFilter(letters="all")
GLOSSES = "가학적(加虐的)이고 피학적(被虐的)인 성향(性向)과 변태적(變態的) 심리"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("자세한 내용은 https://www.law.go.kr/LSW/lsInfoP.do?lsiSeq=188&efYd=20200101 를 참고하세요.", "not Korean"),
        ("https://www.example.com/watch?v=abc 영상", "not Korean"),
        ("youtu.be/aBcDeFgHiJkLmNoP에서 보세요", "not Korean"),
        ("문의는 minji.kim.office@department.example.co.kr 로", "not Korean"),
        ("CRISPR-Cas9 ribonucleoprotein 유전자 가위", "not Korean"),
        (GLOSSES, "Han or Kana"),
    ],
)
def test_addresses_and_glosses_do_not_count_unless_all_letters_do(text, reason):
    assert reasons("한국어 문장이다.", text) == []
    assert reasons("한국어 문장이다.", text, recipe=ALL) == [(text, reason)]


@given(st.text(st.sampled_from("가나ㅋ 漢カabZ1./@:()[]-,한 글"), max_size=40))
@settings(max_examples=200)
def test_what_stays_by_all_letters_stays_by_those_of_the_text(text):
    kept = "한국어 문장이다."
    assert not reasons(kept, text) or reasons(kept, text, recipe=ALL)


def test_thresholds_come_from_the_recipe_and_are_inclusive():
    half = KoreanFilter(min_hangul_share=0.5, letters="all")
    assert reasons("가나다 abc", recipe=half) == []
    assert reasons("가나다 abcd", recipe=half) == [("가나다 abcd", "not Korean")]
    half = KoreanFilter(min_hangul_share=0.5)
    assert reasons("가나 abcde", recipe=half) == []
    assert reasons("가나 abcdef", recipe=half) == [("가나 abcdef", "not Korean")]
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
    result = korean_filter(ALL)(document(*texts))
    after = result.document if isinstance(result, Dropped) else result
    assert after.sentences is not None
    assert sorted([s.text for s in after.sentences] + [r.text for r in after.removed]) == sorted(texts)
    for sentence in after.sentences:
        letters = [letter for letter in sentence.text if letter.isalpha()]
        assert sum(letter in "가나ㅋ" for letter in letters) >= 0.3 * len(letters)
