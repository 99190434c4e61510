"""What cleaning takes away, what it must leave, and that it is stable and linear."""

import time
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_pipeline.corpus.document import Document, Dropped
from data_pipeline.corpus.steps.clean import cleaner
from data_pipeline.recipe import Clean

DEFAULT = Clean()


def cleaned(text: str, recipe: Clean = DEFAULT) -> str:
    result = cleaner(recipe)(Document("a:1", "s", text))
    assert isinstance(result, Document), result
    return result.text


def reason(text: str) -> str:
    result = cleaner(DEFAULT)(Document("a:1", "s", text))
    assert isinstance(result, Dropped), result
    assert result.document.text == text
    return result.reason


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("가&nbsp;나&amp;nbsp;다", "가 나 다"),
        ("&amp;lt;그것이 알고싶다&amp;gt;", "<그것이 알고싶다>"),
        ("10 &lt 20, &gt과", "10 < 20, >과"),
        ("http://a.kr/?x=1&lt=2&copy=3&sid1=102 R&D", "http://a.kr/?x=1&lt=2&copy=3&sid1=102 R&D"),
        ("&#44032;&#xAC01;", "가각"),
        ("&#0;가&#xD800;", "가"),
        ("&없음; &nosuchname;", "&없음; &nosuchname;"),
    ],
)
def test_entities_are_unescaped_whatever_their_depth_and_urls_stay(raw, clean):
    assert cleaned(raw) == clean


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("첫째<br>둘째<BR/>셋째<br />넷째", "첫째\n둘째\n셋째\n넷째"),
        ('<div class="x">가</div><p>나</p>', "가\n나"),
        ("<b>굵</b>게 <font color=red size='3'>빨강</font>", "굵게 빨강"),
        ('<img src=a.png alt="a > b" />그림', "그림"),
        ("<input disabled><o:p></o:p><td nowrap>칸", "칸"),
        ("가<!-- <b>주석</b> -->나<script src='x'>if (a < b) c();</script>다<STYLE>p {}</STYLE>라", "가나다라"),
        ("가<br\xa0>나", "가\n나"),
        ("<!DOCTYPE html><html><title>제목</title>", "제목"),
    ],
)
def test_tags_with_an_html_name_go(raw, clean):
    assert cleaned(raw) == clean


@pytest.mark.parametrize(
    "text",
    [
        "<그것이 알고싶다>를 봤다",
        "<개정 2013. 3. 23.>",
        "<The Thing>과 <Time Machine>, <A beautiful mind>",
        "x < b and c > d",
        "<b라고 쓴 것>",
        "<p",
        "a <!-- 끝나지 않은 주석",
    ],
)
def test_angle_brackets_that_are_no_html_tag_stay(text):
    assert cleaned(text) == text


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("#맛집 #맛집#서울 다녀왔다 #JMT_2019", "다녀왔다"),
        ("#1 #1위 C# F# ##이가 #. a#b", "#1 #1위 C# F# ##이가 #. a#b"),
        (
            "http://a.kr/page#top http://a.kr/#/home http://a.kr/?q=#x",
            "http://a.kr/page#top http://a.kr/#/home http://a.kr/?q=#x",
        ),
        ("좋다!(#맛집)", "좋다!"),
    ],
)
def test_hashtags_go_and_other_number_signs_stay(raw, clean):
    assert cleaned(raw) == clean


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("오늘은 #서울에 갔다.", "오늘은 서울에 갔다."),
        ("우리는 #서울 #부산 에서 #동시상영 합니다. #영화 #개봉", "우리는 서울 부산 에서 동시상영 합니다."),
        ("#미투 운동을 지지합니다. #WithYou", "미투 운동을 지지합니다."),
        ("나도 #서울#부산 둘 다 좋다", "나도 서울 부산 둘 다 좋다"),
        ("맛있었다. #맛집 #서울, #먹방 다음에 또 갈게요.", "맛있었다. 다음에 또 갈게요."),
        (
            "맛있었다! #맛집 #서울 다음에 또 갈게요.\n#첫줄\n둘째 #줄이 있다",
            "맛있었다! 다음에 또 갈게요.\n둘째 줄이 있다",
        ),
        ("즐거웠다 #일상 ❤ #데일리 😀", "즐거웠다 ❤ 😀"),
        ("즐거웠다 #일상, #데일리", "즐거웠다"),
        ("나는 #me_too 를 쓴다", "나는 me_too 를 쓴다"),
    ],
)
def test_hashtags_inside_a_sentence_stay_as_words(raw, clean):
    assert cleaned(raw) == clean
    assert cleaned(clean) == clean


def test_empty_brackets_go_with_those_that_hold_only_them():
    assert cleaned("가() [ ( 〈\u3000〉 ) ]【】 나(1) (] 《\n》다") == "가 나(1) (] 다"


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        (
            "가\u200b나\ufeff다\u2060라\xad마\u202e바\x00사\x9f아\ud800자\ufffd차\ufdd0카\U0001ffff타",
            "가나다라마바사아자차카타",
        ),
        ("👨\u200d👩\u200d👧 \u2764\ufe0f", "👨👩👧 \u2764\ufe0f"),
        ("<b\u200br>#맛\u200b집", ""),
        ("가\u3164나\u2800다", "가 나 다"),
        ("😀𠀀\U0001f1f0", "😀𠀀\U0001f1f0"),
    ],
)
def test_characters_that_break_later_tools_go(raw, clean):
    assert (cleaned(raw) if clean else reason(raw)) == (clean or "empty after cleaning")


def test_text_is_nfc_and_never_compatibility_composed():
    assert cleaned(unicodedata.normalize("NFD", "한국어 각하")) == "한국어 각하"
    assert cleaned("ㅋㅋㅋ ㅠㅠ ① ㎞ ２ ﬁ ｱ") == "ㅋㅋㅋ ㅠㅠ ① ㎞ ２ ﬁ ｱ"


def test_blanks_become_one_space_or_one_line_break():
    assert cleaned(" 가 \t나\xa0\u3000다 \r\n \n\r라\x0b마\u2028바\n") == "가 나 다\n라\n마\n바"


@pytest.mark.parametrize("text", ["", " \n\u3000", "<br><p></p>", "( [ ] )", "#맛집", "\u200b&nbsp;"])
def test_document_with_nothing_left_is_dropped(text):
    assert reason(text) == "empty after cleaning"


def test_switches_leave_what_they_name():
    off = Clean(html_tags=False, hashtags=False, empty_brackets=False)
    assert cleaned("<br>#맛집 ()&amp;\u200b", off) == "<br>#맛집 ()&"


MARKUP = """< > / b br <br> <b a=1 " ' <!-- --> <script> </script> & amp; lt; &lt; # #35; x3c; 38 ; = ? 맛집 가. 1 _ 😀 ( ) [ ] 《 》"""
INVISIBLE = (" ", "\n", "\r", "\xa0", "\u3164", "\u200b", "\ud800", "\u0338", "e\u0301", "\u1100\u1161", "\u11a8", "ſ")
FRAGMENTS = st.sampled_from((*MARKUP.split(), *INVISIBLE))


@settings(max_examples=200, deadline=None)
@given(st.lists(FRAGMENTS, max_size=14).map("".join))
def test_cleaning_twice_changes_nothing_more(text):
    once = cleaner(DEFAULT)(Document("a:1", "s", text))
    if isinstance(once, Document):
        assert cleaner(DEFAULT)(once) == once
        assert unicodedata.is_normalized("NFC", once.text)
    else:
        assert once.reason == "empty after cleaning"


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="가나다abc123.,!? \n<>&#()\"'", max_size=60))
def test_cleaning_twice_changes_nothing_more_in_plain_text(text):
    once = cleaner(DEFAULT)(Document("a:1", "s", text))
    if isinstance(once, Document):
        assert cleaner(DEFAULT)(once) == once


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="가힣ㅋㅠa1.,!?…“”'\"-~ \t\n\u3000<>", max_size=60))
def test_text_without_markup_loses_blanks_only(text):
    characters = "".join(text.split())
    result = cleaner(Clean(html_tags=False))(Document("a:1", "s", text))
    assert "".join(result.document.text.split() if isinstance(result, Dropped) else result.text.split()) == characters


HOSTILE = {
    "less-than signs": "<" * 100_000,
    "open brackets": "(" * 100_000,
    "open brackets with blanks": "( " * 100_000,
    "nested brackets": "(" * 100_000 + ")" * 100_000,
    "comb of brackets": "(()" * 60_000 + ")" * 60_000,
    "unclosed comments": "<!--" * 50_000,
    "unclosed scripts": "<script x='" * 20_000,
    "unclosed tags": "<b " * 60_000,
    "unclosed quotes": "<b a=\"'" * 30_000,
    "endless attributes": "<b " + "a=1 " * 50_000,
    "endless slashes": "<br " + "/ " * 100_000,
    "nested tags": "<" * 10_000 + "b>" * 10_000,
    "nested ampersands": "&" + "amp;" * 50_000,
    "hidden number signs": "&" + "&#35;38;" * 25_000,
    "number signs": "#" * 200_000,
    "hashtags": "#a" * 100_000,
    "blanks": " " * 200_000 + "x",
    "bracket before blanks": "( " + " " * 200_000 + "x",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_takes_linear_time(text):
    start = time.process_time()
    cleaner(DEFAULT)(Document("a:1", "s", text))
    assert time.process_time() - start < 20  # half a second when idle; a quadratic search takes minutes


def test_markup_nested_deeper_than_any_text_is_dropped_and_said_so():
    assert reason("<" * 100 + "b>" * 100) == "nested markup"
    assert cleaned("<" * 5 + "b>" * 5 + "가") == "가"


def test_a_target_is_cleaned_apart_and_becomes_the_first_paragraph():
    clean = cleaner(DEFAULT, targets=True)
    pair = Document("a:1", "s", "<p>본문</p>\n둘째 줄", summary="<b>요약</b>\n또")
    once = clean(pair)
    assert once == Document("a:1", "s", "요약 또\n본문\n둘째 줄")
    assert clean(once) == once
    for summary in ("<br>", ""):
        nothing = clean(Document("a:1", "s", "첫 단락\n본문", summary=summary))
        assert isinstance(nothing, Dropped)
        assert (nothing.reason, nothing.detail) == ("no summary", "empty after cleaning")
    empty = clean(Document("a:1", "s", "<br>", summary="요약"))
    assert isinstance(empty, Dropped)
    assert empty.reason == "empty after cleaning"


def test_a_summary_that_is_no_target_is_text_like_any_other():
    clean = cleaner(DEFAULT)
    assert clean(Document("a:1", "s", "본문", summary="<b>제목</b>\n또")) == Document("a:1", "s", "제목\n또\n본문")
    assert clean(Document("a:1", "s", "본문", summary="<br>")) == Document("a:1", "s", "본문")
    assert clean(Document("a:1", "s", "", summary="제목")) == Document("a:1", "s", "제목")
