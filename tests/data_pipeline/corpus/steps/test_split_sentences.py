"""Splitting with KSS loses nothing, cuts no word, and survives what KSS alone does not."""

import gzip
import json
import time
import unicodedata
from dataclasses import replace
from importlib import metadata
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_pipeline.contract.errors import InputError, WorkError
from data_pipeline.corpus.document import Document, Dropped, Sentence
from data_pipeline.corpus.steps.clean import cleaner
from data_pipeline.corpus.steps.split_sentences import sentence_splitter
from data_pipeline.recipe import Clean, SentenceSplit

kss = pytest.importorskip("kss", reason="KSS 1.3.1 is not installed: run_tests.sh installs it")
KSS = SentenceSplit(splitter="kss")
DATA = Path(__file__).resolve().parents[4] / "../shared/data/corpus"


def split(text: str, max_chars: int = 1000) -> tuple[Sentence, ...]:
    result = sentence_splitter(replace(KSS, max_chars=max_chars))(Document("a:1", "s", text))
    assert isinstance(result, Document)
    assert result.sentences is not None
    check(text.strip(), result.sentences)
    return result.sentences


def check(text: str, sentences: tuple[Sentence, ...]) -> None:
    """The promises that hold for every text."""
    assert "".join(sentence.text + sentence.blanks for sentence in sentences) == text
    assert all(sentence.text and sentence.text == sentence.text.strip() for sentence in sentences)
    assert all(sentence.blanks.strip() == "" and not sentence.after_break for sentence in sentences)
    for left, right in pairwise(sentences):
        cut_inside_word = not left.blanks and "가" <= left.text[-1] <= "힣" and "가" <= right.text[0] <= "힣"
        assert not cut_inside_word, (left, right)


def texts(text: str, max_chars: int = 1000) -> list[str]:
    return [sentence.text for sentence in split(text, max_chars)]


def test_blanks_between_sentences_are_stored():
    assert split("좋았습니다.  또 갑니다.\n정말요?그렇습니다.") == (
        Sentence("좋았습니다.", "  "),
        Sentence("또 갑니다.", "\n"),
        Sentence("정말요?"),
        Sentence("그렇습니다."),
    )


@pytest.mark.parametrize("text", ["열심히 하다보니 늦었습니다", "이런 일이 있다니 놀랍다", "그는 간다하니 기다려 보자"])
def test_word_is_not_cut_where_kss_cuts_it(text):
    assert len(kss.split_sentences(text)) > 1, "KSS no longer makes the mistake that this test is about"
    assert texts(text) == [text]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("[관리자에 의해 수정되었습니다] 다음 글입니다.", ["[관리자에 의해 수정되었습니다]", "다음 글입니다."]),
        ("《평화가 가능합니다》 그는 말했다.", ["《평화가 가능합니다》", "그는 말했다."]),
        ("영화 재미있어요♥♥ 또 볼게요.", ["영화 재미있어요♥♥", "또 볼게요."]),
        ("정말 감사합니다😀 또 봅시다.", ["정말 감사합니다😀", "또 봅시다."]),
        ("너무 재미있다ㄷㄷ 정말 좋다.", ["너무 재미있다ㄷㄷ", "정말 좋다."]),
        ("너무 좋았습니다。 강력추천", ["너무 좋았습니다。", "강력추천"]),
        ("잘 봤습니다. :) 또 올게요.", ["잘 봤습니다.", ":) 또 올게요."]),
    ],
)
def test_what_closes_a_sentence_stays_with_it(text, sentences):
    assert texts(text) == sentences


@pytest.mark.parametrize(
    "text", ["정말 합니다■ 다음은 이것이다.", "거부합니다ㆍ언론에서 나왔다.", "그는 갔다. (웃음) 또 왔다."]
)
def test_what_may_open_a_sentence_stays_where_kss_put_it(text):
    assert texts(text) == [sentence for sentence in kss.split_sentences(text) if sentence]


def test_quotation_inside_a_sentence_is_not_cut_off():
    # The stray quote turns KSS's pairing around, so that it cuts before the closing quote.
    assert texts("3' 뒤에 그는 '모두 들어주겠다'고 전했다. 그리고 '고맙다'는 말을 들었다.")[-1].endswith(
        "'고맙다'는 말을 들었다."
    )
    assert texts('그는 " 그렇게 "지원은 없다"고 밝혔다') == ['그는 " 그렇게 "지원은 없다"고 밝혔다']


def test_unbalanced_quote_swallows_neither_the_next_paragraph_nor_a_long_one():
    swallowed = '그는 "갔습니다. 또 왔습니다.'
    assert texts(swallowed + "\n비가 옵니다. 눈도 옵니다.") == [swallowed, "비가 옵니다.", "눈도 옵니다."]
    long = '그는 "갔습니다. ' + "비가 많이 왔습니다. " * 100
    assert len(kss.split_sentences(long)) == 1
    assert texts(long, max_chars=200) == ['그는 "갔습니다.', *["비가 많이 왔습니다."] * 100]
    assert texts(long, max_chars=len(long)) == [long.strip()]


def test_long_sentence_split_again_keeps_its_quotes_and_quotations():
    text = '그는 \' 왔다. "안녕하세요. 반갑습니다."라고 말했습니다. 그리고 “갔습니다.” ' + "비가 왔습니다. " * 10
    parts = texts(text, max_chars=60)
    assert parts[:4] == ["그는 ' 왔다.", '"안녕하세요.', '반갑습니다."라고 말했습니다.', "그리고 “갔습니다.”"]
    assert parts[4:] == ["비가 왔습니다."] * 10


@pytest.mark.parametrize(
    "text",
    [
        "가나다라 마바사 " * 6000,
        "가" * 100_000,
        "이것은 문장입니다. " * 2800,
        '"' * 5000,
        "합니다\"'“” " * 2000,
        "안녕\x00하세요. 반갑습니다.",
        "hello world. this is english. bye",
    ],
    ids=["no punctuation", "no blanks", "28,000 characters", "quotes only", "quotes after sentences", "NUL", "English"],
)
def test_odd_text_comes_back_whole(text):
    split(text)


FRAGMENTS = [
    "합니다",
    "했다",
    "하다",
    "보니",
    "네요",
    "요",
    "고",
    "면",
    "하",
    "라",
    "니",
    ".",
    "?",
    "!",
    ",",
    "…",
    "~",
    '"',
    "'",
    "“",
    "”",
    "‘",
    "’",
    "(",
    ")",
    "[",
    "]",
    ">",
    "<",
    "ㅋㅋ",
    "ㅠ",
    "♥",
    "😀",
    "^^",
    ":)",
    "1",
    "a",
]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.sampled_from((*FRAGMENTS, " ", "  ", "\n", "\t", "\xa0")), min_size=1, max_size=25).map("".join),
    st.sampled_from([1, 8, 1000]),
)
def test_joined_sentences_give_the_text_back(text, max_chars):
    if text.strip():
        split(text, max_chars)


ROUGH = (
    "\r\n",
    "\r",
    unicodedata.normalize("NFD", "했습니다."),
    unicodedata.normalize("NFD", "각"),
    "\u1100",
    "e\u0301",
    "👨\u200d👩\u200d👧",
    "👍🏽",
    "🇰🇷",
    "❤\ufe0f",
    "「",
    "』",
    "‘",
    "\u3000",
    "\u2028",
    "\x85",
)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.sampled_from((*FRAGMENTS, *ROUGH, " ", "\n")), min_size=1, max_size=25).map("".join),
    st.sampled_from([1, 8, 1000]),
)
def test_no_character_is_lost_of_text_that_was_not_cleaned(text, max_chars):
    """Unbalanced quotes, CRLF, NFD and emoji of several code points, as they stand in a file."""
    if text.strip():
        sentences = split(text, max_chars)
        assert "".join("".join(sentence.text for sentence in sentences).split()) == "".join(text.split())


def test_crlf_ends_a_paragraph():
    assert split('그는 "갔습니다.\r\n비가 옵니다. 눈도 옵니다.') == (
        Sentence('그는 "갔습니다.', "\r\n"),
        Sentence("비가 옵니다.", " "),
        Sentence("눈도 옵니다."),
    )


LINE = "비가 많이 왔습니다. 그는 “또 왔어요?”라고 물었다. 정말 좋네요😀 다음에 봐요~ "


@pytest.mark.parametrize("opening", ["", '"', "“", "'", "‘", "( "])
def test_line_of_100_kilobytes_is_split_whatever_quote_opens_it(opening):
    line = opening + LINE * (100_000 // len(LINE.encode()) + 1)
    assert len(line.encode()) >= 100_000
    start = time.process_time()
    found = texts(line)
    assert time.process_time() - start < 10  # a tenth of a second when idle
    assert len(found) >= 3 * line.count("비가") - 20  # KSS takes "봐요~ 비가" for one sentence
    assert max(map(len, found)) <= 1000


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.integers(0, 0x2FFF) | st.integers(0, 0x10FFFF), max_size=40).map(lambda codes: "".join(map(chr, codes)))
)
def test_cleaned_text_of_any_characters_can_be_split(text):
    clean = cleaner(Clean())(Document("a:1", "s", text))
    if isinstance(clean, Document):
        split(clean.text)


def test_raw_text_is_split_once_it_is_clean():
    raw = unicodedata.normalize("NFD", "첫째입니다.\r\n둘째입니다. 셋째입니다.\ud800\u200b")
    clean = cleaner(Clean())(Document("a:1", "s", raw))
    assert isinstance(clean, Document)
    assert texts(clean.text) == ["첫째입니다.", "둘째입니다.", "셋째입니다."]


def test_blank_document_is_dropped():
    blank = Document("a:1", "s", " \n ")
    assert sentence_splitter(KSS)(blank) == Dropped(blank, reason="no sentence")


def test_lone_surrogate_is_a_clear_error_that_names_the_document():
    with pytest.raises(WorkError, match=r"corpus\.jsonl:7.*surrogate"):
        sentence_splitter(KSS)(Document("corpus.jsonl:7", "s", "가\ud800나"))


@pytest.mark.parametrize("broken", [lambda text: [text[:-1]], lambda text: ["다른 글"], lambda text: []])
def test_splitter_that_changes_the_text_is_an_error_that_names_the_document(monkeypatch, broken):
    monkeypatch.setattr(kss, "split_sentences", broken)
    with pytest.raises(WorkError, match=r"corpus\.jsonl:7"):
        sentence_splitter(KSS)(Document("corpus.jsonl:7", "s", "비가 왔습니다."))


def test_missing_or_wrong_kss_says_how_to_install_the_right_one(monkeypatch):
    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    with pytest.raises(InputError, match=r"not installed.*pip install --no-build-isolation kss==1\.3\.1"):
        sentence_splitter(KSS)
    monkeypatch.setattr(metadata, "version", lambda name: "6.0.6")
    with pytest.raises(InputError, match=r"6\.0\.6 is installed.*kss==1\.3\.1"):
        sentence_splitter(KSS)


@pytest.mark.skipif(not DATA.is_dir(), reason="the petitions are not at ../shared/data/corpus")
def test_real_petitions_come_back_whole_in_sentences_of_readable_length():
    steps = cleaner(Clean()), sentence_splitter(KSS)
    lengths = []
    with gzip.open(DATA / "petitions_2019-05.jsonl.gz", "rt", encoding="utf-8") as lines:
        for number, line in zip(range(1, 301), lines, strict=False):
            document = steps[0](Document(f"petitions:{number}", "petitions", json.loads(line)["content"]))
            if isinstance(document, Document):
                result = steps[1](document)
                assert isinstance(result, Document)
                assert result.sentences
                check(document.text, result.sentences)
                lengths += [len(sentence.text) for sentence in result.sentences]
    assert 40 < sum(lengths) / len(lengths) < 120
    assert sum(length > 1000 for length in lengths) < 0.002 * len(lengths)
