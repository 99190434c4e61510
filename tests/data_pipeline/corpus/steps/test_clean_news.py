"""The frame of news articles goes, their sentences stay; and so for the characters and repeats of comments."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_pipeline.corpus.document import Document, Dropped
from data_pipeline.corpus.steps.clean import cleaner
from data_pipeline.recipe import Clean

OFF = Clean()
NEWS = Clean(bylines=True, bracketed_tags=True, captions=True, copyright_lines=True)
ALL = Clean(
    bylines=True, bracketed_tags=True, captions=True, copyright_lines=True, foreign_characters=True, max_repeats=2
)


def cleaned(text: str, recipe: Clean) -> str:
    result = cleaner(recipe)(Document("a:1", "s", text))
    return "" if isinstance(result, Dropped) else result.text


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("(서울=연합뉴스) 홍길동 기자 = 정부는 대책을 발표했다.", "정부는 대책을 발표했다."),
        ("[서울=뉴시스]김철수 기자 = 코스피가 올랐다.", "코스피가 올랐다."),
        ("(부산=뉴스1) 박영희 기자,이민수 기자 = 태풍이 왔다.", "태풍이 왔다."),
        ("[OSEN=이종서 기자] 두산이 이겼다.", "두산이 이겼다."),
        ("[마이데일리 = 박보영 기자] 25득점을 올렸다.", "25득점을 올렸다."),
        ("[스포츠조선 김민수 기자] 골을 넣었다.", "골을 넣었다."),
        ("홍길동 특파원 = 회담이 열렸다.", "회담이 열렸다."),
        ("끝났다. 홍길동 기자 hong@mydaily.co.kr", "끝났다."),
        ("끝났다.\n/홍길동기자 hong@chosun.com\n다음 글이다.", "끝났다.\n다음 글이다."),
        ("끝났다. (천안=이석무 기자 smlee@mydaily.co.kr)", "끝났다."),
        ("끝났다.\nhong@hani.co.kr 홍길동 기자", "끝났다."),
        ("끝났다.\n디지털뉴스팀 홍길동 선임기자", "끝났다."),
        ("끝났다.\nhong@yna.co.kr", "끝났다."),
    ],
)
def test_bylines_go(raw, clean):
    assert cleaned(raw, Clean(bylines=True)) == clean
    assert cleaned(raw, OFF) == raw


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("[단독] 검찰이 나섰다.", "검찰이 나섰다."),
        ("【속보】 비가 온다. ［종합］ 눈이 온다. 〔사설〕", "비가 온다. 눈이 온다."),
        ("이 영화(사진)는 재미있다.", "이 영화는 재미있다."),
        ("정부(사진=연합뉴스 제공)에 따르면 그렇다.", "정부에 따르면 그렇다."),
        ("운영지침(2015.03.18) 제48조(2019년 5월 3일)", "운영지침 제48조"),
    ],
)
def test_bracketed_tags_go(raw, clean):
    assert cleaned(raw, Clean(bracketed_tags=True)) == clean
    assert cleaned(raw, OFF) == raw


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("{IMG:1}비가 왔다.{IMG:12}", "비가 왔다."),
        ("▲ 홍길동 대표가 인사하고 있다. 사진=연합뉴스\n비가 왔다.", "비가 왔다."),
        ("▲ 서울시청 전경 (사진제공=서울시)\n비가 왔다.", "비가 왔다."),
        ("△ 새 제품의 모습 ⓒ 뉴스1\n비가 왔다.", "비가 왔다."),
        ("사진 제공=SM엔터테인먼트\n자료: 통계청\n비가 왔다.", "비가 왔다."),
        ("그는 무대에 올랐다. /사진=뉴스1", "그는 무대에 올랐다."),
        ("그는 무대에 올랐다. (사진=뉴스1)", "그는 무대에 올랐다."),
    ],
)
def test_captions_go(raw, clean):
    assert cleaned(raw, Clean(captions=True)) == clean
    assert cleaned(raw, OFF) == raw


@pytest.mark.parametrize(
    "tag",
    [
        "<저작권자 ⓒ 한국경제, 무단전재 및 재배포 금지>",
        "ⓒ 한겨레신문사, 무단전재 및 재배포 금지",
        "무단전재 및 재배포 금지",
        "무단 전재-재배포를 금지합니다.",
        "저작권자(c) 연합뉴스, 무단 전재-재배포 금지",
        "Copyright ⓒ 조선일보 & Chosun.com",
        "[ⓒ 매일경제 & mk.co.kr, 무단전재 및 재배포 금지]",
        "- Copyrights ⓒ 헤럴드경제 & heraldbiz.com, 무단 전재 및 재배포 금지 -",
        "All rights reserved.",
    ],
)
def test_copyright_lines_go(tag):
    assert cleaned(f"비가 왔다.\n{tag}\n눈이 왔다.", Clean(copyright_lines=True)) == "비가 왔다.\n눈이 왔다."
    assert cleaned(tag, OFF) == tag


@pytest.mark.parametrize(
    "text",
    [
        '기자가 물었다. "왜 그랬습니까?"',
        "기사를 쓴 홍길동 기자는 현장을 찾았다.",
        "그는 동아일보 기자 출신으로 정치에 입문했다.",
        "▲ 1분기 매출 ▲ 영업이익 등 세 가지를 보고했다.",
        "그는 사진을 찍었다. 사진 속 남자는 웃고 있었다.",
        "저작권법은 무단 복제와 배포를 금지하고 있다.",
        "저작권자의 동의 없이 쓸 수 없다고 판결했다.",
        "회의는 (5월 3일) 열렸다.",
        "식 (x = 3)과 (가 = 나)를 보자.",
        "문의는 help@example.com 으로 해 주세요.",
        "뉴스를 본 사람들은 놀랐다(영상은 사라졌다).",
    ],
)
def test_sentences_that_only_look_like_the_frame_stay(text):
    assert cleaned(text, NEWS) == text


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("大韓民國 만세😀 정말“좋아요”…끝", "만세 정말 좋아요 끝"),
        ("한국어 English 123 ㅋㅋ ㅠ 50％ 가·나 3∼5 ~!@#$%", "한국어 English 123 ㅋㅋ ㅠ 50％ 가·나 3∼5 ~!@#$%"),
        ("한국어", "한국어"),
        ("漢字", ""),
    ],
)
def test_only_korean_characters_are_left(raw, clean):
    assert cleaned(raw, Clean(foreign_characters=True)) == clean


@pytest.mark.parametrize(
    ("longest", "raw", "clean"),
    [
        (2, "ㅋㅋㅋㅋㅋ 웃겨요ㅠㅠㅠ 와아아아아 coooool", "ㅋㅋ 웃겨요ㅠㅠ 와아아 cool"),
        (3, "ㅋㅋㅋㅋㅋ ㅠㅠㅠ", "ㅋㅋㅋ ㅠㅠㅠ"),
        (1, "ㅋㅋㅋ하하", "ㅋ하"),
        (2, "1000000원 http://www.naver.com !!!!! ... ㅋㅋ", "1000000원 http://www.naver.com !!!!! ... ㅋㅋ"),
        (5, "ㅋㅋ", "ㅋㅋ"),
    ],
)
def test_repeats_are_cut_to_the_longest_allowed(longest, raw, clean):
    assert cleaned(raw, Clean(max_repeats=longest)) == clean
    assert cleaned(raw, OFF) == raw


FRAME = [
    "(서울=연합뉴스)",
    "홍길동",
    " 기자",
    " = ",
    "hong@a.kr",
    "[",
    "]",
    "(",
    ")",
    "<",
    ">",
    "사진=",
    "뉴스1",
    "제공",
    "▲",
    "ⓒ",
    "무단전재 및 재배포 금지",
    "저작권자",
    "{IMG:1}",
    "(2019.1.2)",
    "/",
    "-",
    "비가 왔다.",
    "ㅋㅋㅋ",
    "漢",
    "😀",
    "“",
    "\n",
    " ",
    ".",
    ",",
    "=",
    "@",
    "&",
    "amp;",
    "lt;",
    "#맛집",
    "<br>",
    "≮",
    "̸",
]


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(FRAME), max_size=14).map("".join), st.sampled_from((NEWS, ALL)))
def test_cleaning_twice_changes_nothing_more(text, recipe):
    once = cleaned(text, recipe)
    assert cleaned(once, recipe) == once


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="가힣ㅋㅠ기자사진a1.,!?\"'~ \n\t", max_size=80))
def test_text_without_a_mark_of_the_frame_loses_blanks_only(text):
    lines = [line for line in text.split("\n") if not line.rstrip(" \t.").endswith("기자")]
    text = "\n".join(lines)
    assert "".join(cleaned(text, NEWS).split()) == "".join(text.split())


HOSTILE = {
    "names": "홍길동" * 40_000 + "기자=",
    "reporters": "홍길동 기자," * 20_000,
    "reporters without comma": "홍길동 기자=" * 20_000,
    "brackets": "[" * 100_000,
    "brackets and equals": "(가=" * 40_000,
    "addresses": "a@" * 60_000,
    "long address": "a" * 100_000 + "@a.kr",
    "credits": "사진=" * 40_000,
    "triangles": "▲ 사진" * 30_000,
    "copyright": "ⓒ" * 100_000,
    "copyright in brackets": "<ⓒ" * 50_000,
    "dashes": "-" * 100_000 + " 기자=",
    "repeats": "ㅋㅎ" * 60_000,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_takes_linear_time(text):
    start = time.process_time()
    cleaner(ALL)(Document("a:1", "s", text))
    assert time.process_time() - start < 20  # a second or two when idle; a quadratic search takes minutes
