"""kss_repaired: sentences end where people end them, with a mark or without; nothing is lost, and no word is cut."""

import hashlib
import time
import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_pipeline.contract.errors import WorkError
from data_pipeline.corpus.document import Document, Sentence
from data_pipeline.corpus.steps.kss_repaired import scanner
from data_pipeline.corpus.steps.kss_repaired.scanner import repaired_starts
from data_pipeline.corpus.steps.split_sentences import sentence_splitter
from data_pipeline.recipe import SentenceSplit


def split(text: str, max_chars: int = 1000) -> tuple[Sentence, ...]:
    step = sentence_splitter(SentenceSplit(splitter="kss_repaired", max_chars=max_chars))
    result = step(Document("a:1", "s", text))
    assert isinstance(result, Document)
    assert result.sentences is not None
    return result.sentences


def texts(text: str, max_chars: int = 1000) -> list[str]:
    return [sentence.text for sentence in split(text, max_chars)]


KINDS = {
    "before 고 만 가 면 라 는 며 게": [
        "샀습니다. | 고객센터에 전화했습니다.",
        "바랍니다. | 만약 안 되면 말씀해 주세요.",
        "잘 먹었다. | 가게도 깨끗했다.",
        "좋았어요. | 면도 쫄깃했어요.",
        "다녀왔습니다. | 라면을 먹었습니다.",
        "했습니다. | 게임도 했습니다.",
    ],
    "noun and stop": ["이유는? | 바로 이것이다.", "수도는 서울. | 인구는 천만 명이다."],
    "lists": [
        "가. 신청 자격은 다음과 같다. | 나. 제출 서류는 없다. | 마. 강제집행은 하지 않는다.",
        "1. 이 법은 목적이 있다. | 2. 내용은 다음과 같다.",
        "하지 마. | 그만해.",
    ],
    "inside a predicate": ["하다 보니 늦었다.", "못해주겠다 하였습니다.", "레이다, AIS 등을 쓴다."],
    "dates and initials": [
        "2020. 3. 1. 시행한다.",
        "J. K. 롤링이 썼다. | 다들 읽었다.",
        "Dr. Kim은 의사다. | 환자가 많다.",
        "6. 25 전쟁에 참전했다. | 훈장을 받았다.",
    ],
    "tails": [
        "맛있어요ㅋㅋ | 또 갈게요~ | 친구랑 갔는데 넘 좋았어요^^ | 사장님도 친절하세요 😊 | 다음에 또 와야지!",
        "정말 감사합니다 ㅠㅠ | 또 뵙겠습니다 :) | 안녕히 계세요.",
        "영화 재미있어요♥♥ | 또 볼게요.",
    ],
    "without marks": [
        "오늘 날씨 진짜 좋다 | 집에 가고 싶다 | 근데 일이 많네",
        "어제 그 식당에 다녀왔습니다 | 음식도 맛있고 친절했어요 | 다음에 또 가려고 합니다",
    ],
    "stops inside numbers and names": ["점유율은 3.5%이다. | 네이버.com 에서 샀다."],
    "footnotes": ["서울은 대한민국의 수도이다.[1] | 인구는 천만 명이다.[2][3] | 강이 흐른다."],
    "brackets": [
        "면적은 605km²이다 (2019년 기준). | 강이 흐른다.",
        "그는 갔다(정말로 갔다. 웃으면서). | 또 왔다.",
        "《평화가 가능합니다》 《전쟁은 없습니다》 등의 책을 썼다.",
    ],
    "quotations": [
        '그는 "갔습니다." 라고 말했다. | 모두 놀랐다.',
        "'왜 그랬어?'라며 물었다. | 답은 없었다.",
        "“비가 왔습니다. 눈도 왔습니다.”고 그는 전했다. | 그뿐이었다.",
    ],
    "URLs": [
        "첫 문장은 보통 문장입니다. | 자세한 내용은 https://www.law.go.kr/LSW/lsInfoP.do?lsiSeq=188&efYd=20200101 를 참고하세요. | "
        "마지막 문장도 보통 문장입니다."
    ],
    "quotes and apostrophes without a partner": [
        f"{first} | 행사는 저녁까지 이어졌다. | 많은 사람이 찾아왔다. | 모두 즐거워했다."
        for first in (
            "가을 S'데이 축제가 시작됐다.",
            "‘멈추지 마라’(Don’t stop)라는 노래가 나왔다.",
            '55" 화면이 놓였다.',
            "북위 37°33'에 있다.",
            "'19년부터 열린 축제다.",
            "’80년대 노래가 나왔다.",
            "12 o'clock 공연이 있었다.",
            "맥도날드(McDonald's)가 문을 열었다.",
            '그는 "갔습니다.',
        )
    ],
}


@pytest.mark.parametrize("marked", [text for kind in KINDS.values() for text in kind])
def test_sentences_end_where_people_end_them(marked: str) -> None:
    assert texts(marked.replace(" | ", " ")) == marked.split(" | ")


def test_stops_without_a_blank_cut_only_between_sentences() -> None:
    assert texts("영화 재미있었다.그리고 배우 연기도 좋았다.정말 추천한다") == [
        "영화 재미있었다.",
        "그리고 배우 연기도 좋았다.",
        "정말 추천한다",
    ]


def test_a_long_quotation_is_cut_inside() -> None:
    text = "그는 (" + "비가 많이 왔습니다. " * 60 + ") 말했다."
    assert len(texts(text)) > 10, "longer than a pair may be"
    short = "그는 (" + "비가 많이 왔습니다. " * 10 + ") 말했다."
    assert len(texts(short)) == 1
    assert len(texts(short, max_chars=50)) > 8


FRAGMENTS = [
    *(["합니다", "했다", "하다", "보니", "네요", "요", "고", "면", "하", "라고", "니", "가", "나", "1", "2020", "a", "Dr", "U", "그리고", "영화", "것", "음", "함"]),
    *([".", "?", "!", ",", "…", "..", "~", '"', "'", "“", "”", "‘", "’", "(", ")", "[", "]", ">", "<", "《", "》", "「", "」", "■", "※", "①", "-", "*", ":", ";", "ㅋㅋ", "ㅠ", "♥", "😀", "^^", ":)", "[1]", "1)", "�", "ᄀ", "é"]),
]  # fmt: skip
BLANKS = (" ", " ", "  ", "\n", "\t", "\xa0", "\r\n", "\r", "\u3000", "\u2028", "\x85")
TEXTS = st.lists(st.sampled_from((*FRAGMENTS, *BLANKS)), min_size=1, max_size=40).map("".join)


@settings(max_examples=500, deadline=None)
@given(TEXTS, st.sampled_from([1, 8, 1000]))
def test_joined_sentences_give_the_text_back_and_no_word_is_cut(text: str, max_chars: int) -> None:
    if not text.strip():
        return
    sentences = split(text, max_chars)
    assert "".join(sentence.text + sentence.blanks for sentence in sentences) == text.strip()
    assert all(sentence.text and sentence.text == sentence.text.strip() for sentence in sentences)
    for left, right in pairwise(sentences):
        if not left.blanks:
            assert not left.text[-1].isalnum() or "ㄱ" <= left.text[-1] <= "ㅣ" or left.text[-1] == "\u1100", (
                left,
                right,
            )


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.integers(0, 0x2FFF) | st.integers(0, 0x10FFFF), max_size=60).map(lambda codes: "".join(map(chr, codes)))
)
def test_any_characters_come_back(text: str) -> None:
    starts = repaired_starts(text)
    assert starts == sorted(set(starts))
    assert "".join("".join(text[a:b].split()) for a, b in pairwise([*starts, len(text)])) == "".join(text.split())
    assert all(not text[start].isspace() for start in starts)


@settings(max_examples=200, deadline=None)
@given(st.lists(TEXTS.map(lambda text: text.replace("\n", " ")), min_size=1, max_size=5))
def test_each_line_is_split_on_its_own(lines: list[str]) -> None:
    together: list[int] = []
    position = 0
    for line in lines:
        together += [position + start for start in repaired_starts(line)]
        position += len(line) + 1
    assert repaired_starts("\n".join(lines)) == together


def test_text_that_is_composed_first_is_split_alike() -> None:
    text = "비가 왔습니다. 눈도 왔습니다."
    assert texts(unicodedata.normalize("NFC", unicodedata.normalize("NFD", text))) == texts(text)


LINE = "비가 많이 왔습니다. 그는 “또 왔어요?”라고 물었다. 정말 좋네요😀 다음에 봐요~ "


@pytest.mark.parametrize("opening", ["", '"', "“", "'", "‘", "( ", "(" * 50_000])
def test_a_line_of_a_megabyte_takes_no_longer_than_its_length_asks_for(opening: str) -> None:
    repaired_starts(LINE)
    text = opening + LINE * (1_000_000 // len(LINE.encode()))
    start = time.process_time()
    found = repaired_starts(text)
    assert time.process_time() - start < 1  # 0.03 s when idle
    assert len(found) > 3 * text.count("비가")


@pytest.mark.parametrize("text", ["가" * 300_000, "ㅋ " * 100_000, "." * 300_000, "! 가" * 100_000, ") " * 100_000, "()" * 100_000])  # fmt: skip
def test_monotonous_text_takes_linear_time(text: str) -> None:
    repaired_starts(LINE)
    start = time.process_time()
    repaired_starts(text)
    assert time.process_time() - start < 2


def test_weights_are_those_of_the_code(tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    assert hashlib.sha256(scanner.WEIGHTS.read_bytes()).hexdigest() == scanner.WEIGHTS_SHA256
    other = tmp_path / "weights.npy"
    other.write_bytes(scanner.WEIGHTS.read_bytes()[:-1])
    monkeypatch.setattr(scanner, "WEIGHTS", other)
    scanner.load_weights.cache_clear()
    try:
        with pytest.raises(WorkError, match="weights"):
            repaired_starts("비가 온다.")
    finally:
        scanner.load_weights.cache_clear()
