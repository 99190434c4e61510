"""What replacing personal data keeps: length, blanks, form, sentences; and what a fake depends on."""

import re
import time
import unicodedata
from dataclasses import fields, replace
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_pipeline.corpus.document import Document, Sentence
from data_pipeline.corpus.steps.pseudonyms.accounts import has_luhn_digit
from data_pipeline.corpus.steps.pseudonyms.line import Kind
from data_pipeline.corpus.steps.pseudonyms.registrations import has_check_digit, is_birth_date
from data_pipeline.corpus.steps.pseudonyms.step import find, pseudonymiser
from data_pipeline.recipe import Pseudonyms

ALL = Pseudonyms()


def document(*sentences: str) -> Document:
    return Document("a:1", "s", " ".join(sentences), tuple(Sentence(text, " ") for text in sentences))


def replaced(*sentences: str, recipe: Pseudonyms = ALL, seed: int = 0) -> list[str]:
    result = pseudonymiser(recipe, seed)(document(*sentences))
    assert isinstance(result, Document)
    return [sentence.text for sentence in result.sentences or ()]


def digits(text: str) -> str:
    return re.sub("[^0-9]", "", text)


VALUES: dict[Kind, str] = {
    "email": "jjang_99@mirae-news.co.kr",
    "url": "https://news.example.com/view?id=%EA%B0&Page=12",
    "ip_address": "203.0.113.77",
    "mention": "@Sky_blue7",
    "messenger": "카톡 아이디 minji_77",
    "mobile": "010-4823-7761",
    "landline": "02)734-5519",
    "resident_number": "850312-1928374",
    "foreigner_number": "890214-5566778",
    "passport": "M123A4567",
    "customs_code": "P123456789012",
    "driver_licence": "서울 04-338271-10",
    "card": "4111-1111-1111-1111",
    "bank_account": "110-382-554417",
    "plate": "12가 3456",
    "address": "새싹로 25-3",
}
LINES = {kind: f"신한은행 여권 주소 {value} 입니다." for kind, value in VALUES.items()}


def shape(text: str) -> str:
    text = re.sub("[0-9]", "0", text)
    return re.sub("[가-힣]", "가", re.sub("[A-Z]", "A", re.sub("[a-z]", "a", text)))


@pytest.mark.parametrize("kind", get_args(Kind))
def test_fake_has_the_form_of_the_value_and_is_another(kind: Kind) -> None:
    assert [value.found.kind for value in find(LINES[kind])] == [kind]
    [fake] = replaced(LINES[kind])
    assert fake != LINES[kind]
    assert fake.startswith("신한은행 여권 주소 ")
    assert fake.endswith(" 입니다.")
    if kind == "url":
        assert re.fullmatch(
            r"https://[a-z]{4}\.[a-z]{6}\.test/[a-z]{4}\?[a-z]{2}=%[0-9A-F]{2}%[0-9A-F]{2}&[A-Z][a-z]{3}=\d\d",
            fake[len("신한은행 여권 주소 ") : -5],
        )
    elif kind == "email":
        assert re.fullmatch(r".* [a-z]{5}_\d\d@[a-z]{5}-[a-z]{5}\.test 입니다\.", fake)
    else:
        assert shape(fake) == shape(LINES[kind])


@pytest.mark.parametrize("kind", get_args(Kind))
def test_type_that_is_off_stays_and_is_not_taken_for_another(kind: Kind) -> None:
    recipe = replace(ALL, **{kind: False})
    assert replaced(LINES[kind], recipe=recipe) == [LINES[kind]]


def test_every_type_has_its_switch() -> None:
    assert {field.name for field in fields(Pseudonyms)} == {*get_args(Kind), "enabled"}


def test_value_has_the_same_fake_everywhere_in_a_document_however_it_is_written() -> None:
    first, second, third, other = replaced(
        "제 번호는 010-4823-7761 입니다.", "01048237761로 전화 주세요.", "＋82-10-4823-7761", "010-4823-7762 아님"
    )
    assert digits(first) == digits(second)[:11] == "0" + digits(third)[2:]
    assert digits(other) != digits(first)


def test_neighbours_on_a_street_stay_neighbours() -> None:
    first, second = replaced("부산광역시 서구 노을고개로208번길 17", "부산광역시 서구 노을고개로208번길 19")
    assert first[:-2] == second[:-2] != "부산광역시 서구 노을고개로208번길 "
    assert first != second


def test_fake_depends_on_seed_and_document() -> None:
    line = "제 번호는 010-4823-7761 입니다."
    assert replaced(line) == replaced(line)
    assert len({replaced(line)[0], replaced(line, seed=1)[0], replaced(line, "다른 글입니다.")[0]}) == 3


def test_fakes_do_not_change_between_releases() -> None:
    """A run that goes on after an update must not mix two fakes of one value."""
    assert replaced("010-4823-7761", "메일 minji@naver.com") == PINNED


PINNED = ["010-8575-3416", "메일 mgdxc@naver.com"]


@pytest.mark.parametrize("kind", get_args(Kind))
def test_full_width_value_has_the_fake_of_the_plain_one_in_full_width(kind: Kind) -> None:
    value = VALUES[kind]
    wide = value.translate({code: code + 0xFEE0 for code in range(0x21, 0x7F)})
    plain_fake, wide_fake = replaced(LINES[kind], LINES[kind].replace(value, wide))
    assert wide_fake != LINES[kind].replace(value, wide)
    assert unicodedata.normalize("NFKC", wide_fake) == plain_fake
    assert len(wide_fake) == len(plain_fake)


def test_internet_address_of_version_6_keeps_its_groups() -> None:
    [fake] = replaced("주소 2001:db8:85a3:0:0:8a2e:370:7334 를")
    assert re.fullmatch(
        "주소 [0-9a-f]{4}:[0-9a-f]{3}:[0-9a-f]{4}:[0-9a-f]:[0-9a-f]:[0-9a-f]{4}:[0-9a-f]{3}:[0-9a-f]{4} 를", fake
    )


@pytest.mark.parametrize("way", ["{} 골뱅이 {}", "{}(at){}", "{} @ {}", "{}@{}"])
def test_way_of_writing_an_e_mail_address_stays(way: str) -> None:
    [fake] = replaced(f"메일 {way.format('minji_7', 'naver.com')}")
    assert re.fullmatch(re.escape("메일 " + way.format("LOCAL", "naver.com")).replace("LOCAL", r"[a-z]{5}_\d"), fake)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("minji77(at)naver(dot)com", r"[a-z]{5}\d\d\(at\)naver\(dot\)com"),
        ("minji77골뱅이네이버점컴", r"[a-z]{5}\d\d골뱅이네이버점컴"),
        ("hong at haneul dot com", r"[a-z]{4} at [a-z]{6} dot com"),
        ("민지@naver.com", r"[가-힣]{2}@naver\.com"),
        ("hong@molit.go.kr", r"[a-z]{4}@molit\.go\.kr"),
    ],
)
def test_spelled_addresses_keep_their_spelling(before: str, after: str) -> None:
    [fake] = replaced(f"메일 {before} 입니다")
    assert re.fullmatch(f"메일 {after} 입니다", fake)
    assert fake != f"메일 {before} 입니다"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("https://www.naver.com/minji77", r"https://www\.naver\.com/[a-z]{5}\d\d"),
        ("http://m.blog.naver.com/minji", r"http://m\.blog\.naver\.com/[a-z]{5}"),
        ("https://youtu.be/Qm3xT8", r"https://youtu\.be/[A-Z][a-z]\d[a-z][A-Z]\d"),
        ("http://www.molit.go.kr/news/12", r"http://www\.molit\.go\.kr/[a-z]{4}/\d\d"),
        ("http://minji.tistory.com/12", r"http://[a-z]{5}\.[a-z]{6}\.test/\d\d"),
        ("http://ilovekimchi.co.kr/", r"http://[a-z]{12}\.test/"),
        ("www.minji77.com", r"www\.[a-z]{4}[a-z0-9]{2}\.test"),
        ("http://naver.com.evil.kr/abc", r"http://[a-z]{5}\.[a-z]{3}\.[a-z]{2}\.test/[a-z]{3}"),
        ("http://mygo.kr/abc", r"http://[a-z]{2}\.test/[a-z]{3}"),
    ],
)
def test_hosts_are_well_known_the_governments_or_reserved(before: str, after: str) -> None:
    [fake] = replaced(f"보세요 {before} 입니다")
    assert re.fullmatch(f"보세요 {after} 입니다", fake), fake
    assert len(fake) == len(f"보세요 {before} 입니다")


@pytest.mark.parametrize("url", ["https://www.naver.com", "http://www.president.go.kr/", "https://youtube.com/"])
def test_a_host_that_names_nobody_and_nothing_more_stays(url: str) -> None:
    assert replaced(f"{url} 에서 봤다") == [f"{url} 에서 봤다"]


@pytest.mark.parametrize(
    "url",
    [
        "http://www.facebook.com/people/이동호/100012345678901",
        "https://www.facebook.com/이동호/posts/123",
        "https://ko.wikipedia.org/wiki/이순신",
        "https://ko.wikipedia.org/wiki/이순신_(장군)",
        "https://blog.example.com/글/2019년_행사-안내/12?writer=이동호&id=77",
        "https://search.naver.com/search.naver?query=이동호",
        "www.example.com/people/이동호77/about",
    ],
)
def test_hangul_in_the_path_of_a_url_goes_with_it(url: str) -> None:
    [fake] = replaced(f"보세요 {url} 입니다")
    assert [(value.found.kind, value.start, value.end) for value in find(f"보세요 {url} 입니다")] == [
        ("url", 4, 4 + len(url))
    ]
    assert len(fake) == len(f"보세요 {url} 입니다")
    assert not {*re.findall("이동호|이순신|장군|행사|[0-9]{4,}", url)} & {
        *re.findall("이동호|이순신|장군|행사|[0-9]{4,}", fake)
    }


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://example.com/abc", "를 참고하세요"),
        ("http://example.com/abc/", "에서 봤다"),
        ("http://example.com/abc/", "참고하세요"),
        ("http://example.com/", "이동호 기자의 글"),
        ("http://example.com", "이나/다른 곳"),
        ("www.example.com", "/우리의 누리집"),
        ("http://example.com/a?b=1", "입니다"),
        ("http://example.com/abc", "(출처)"),
    ],
)
def test_words_behind_a_url_without_a_blank_stay(url: str, words: str) -> None:
    [fake] = replaced(f"보세요 {url}{words}")
    assert fake.endswith(words)


def test_court_cases_stay_with_or_without_a_word_that_names_them() -> None:
    """As of shared cases: 누, 두, 다 are codes of cases, and letters of plates."""
    lines = ["이 쟁점은 95누1234에서 처음 다루어졌다.", "그 뒤 99두1234와 01다1234에서도 같은 결론이 나왔다."]
    assert replaced(*lines) == lines
    assert replaced("차량번호 12다3456 차주분") != ["차량번호 12다3456 차주분"]
    assert replaced("12다 3456 차주분") != ["12다 3456 차주분"]


def test_digits_keep_their_script() -> None:
    full_width, spelled = replaced("０１０－８８２３－４４１２", "번호 공일공-사팔이삼-칠칠육일 입니다")
    assert re.fullmatch("０１０－[０-９]{4}－[０-９]{4}", full_width)
    assert re.fullmatch("번호 공일공-[공일이삼사오육칠팔구]{4}-[공일이삼사오육칠팔구]{4} 입니다", spelled)


def test_host_of_a_mail_service_and_area_codes_stay() -> None:
    mail, own, landline = replaced("메일 minji@naver.com", "메일 minji@haneul-lab.co.kr", "031-846-4709")
    assert mail.endswith("@naver.com")
    assert own.endswith(".test")
    assert "haneul" not in own
    assert landline.startswith("031-")


@pytest.mark.parametrize("number", range(30))
def test_fake_registration_and_card_numbers_fail_their_check_digit(number: int) -> None:
    registration, card = replaced("주민번호 850312-1928374", "카드 4111-1111-1111-1111", seed=number)
    fake = digits(registration)
    assert is_birth_date(fake[:6], fake[6])
    assert not has_check_digit(fake)
    assert not has_luhn_digit(digits(card))


def test_check_digits_follow_their_rules() -> None:
    assert has_luhn_digit("79927398713")  # the usual example of ISO/IEC 7812
    assert not has_luhn_digit("79927398710")
    # 2*3 + 3*9 + 5*1 + 7*1 + 8*3 = 69; 11 - 69 % 11 = 8
    assert has_check_digit("3901013000008")
    assert not has_check_digit("3901013000001")
    # With 7 for 3: 45 + 8*7 = 101; 11 - 101 % 11 = 9, and 13 - 101 % 11 = 11
    assert has_check_digit("3901017000009")
    assert has_check_digit("3901017000001")
    assert not has_check_digit("3901017000008")
    assert has_check_digit("8501266401473")  # python-stdnum's example


def test_word_of_the_sentence_before_names_the_number() -> None:
    account = "110-382-554417 홍길동"
    assert [value.found.kind for value in find(account, "계좌번호는 다음과 같습니다.")] == ["bank_account"]
    assert find(account, "제 번호입니다.") == []


def test_document_without_personal_data_is_the_same_object() -> None:
    same = document("2019년 4월 5일 3시에 만났습니다.", "가격은 1,000원")
    assert pseudonymiser(ALL, 0)(same) is same


PIECES = st.sampled_from(
    [
        *VALUES.values(),
        "제",
        "12조 ",
        "2019.04.05",
        " ",
        ".",
        "1,234원",
        "@",
        "계좌 ",
        "서울 ",
        "-",
        "(",
        "공일공",
        "０",
        "가",
        "http",
        "%",
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.lists(PIECES, min_size=1, max_size=6).map("".join), min_size=1, max_size=4))
def test_only_what_was_found_changes_and_no_sentence_or_blank_does(texts: list[str]) -> None:
    before = document(*texts)
    after = pseudonymiser(ALL, 0)(before)
    assert isinstance(after, Document)
    assert after.text == before.text
    number, previous = 0, ""
    for old, new in zip(before.sentences or (), after.sentences or (), strict=True):
        assert (new.blanks, new.after_break, len(new.text)) == (old.blanks, old.after_break, len(old.text))
        inside = set[int]()
        for value in find(old.text, previous):
            number += 1
            inside |= set(range(value.start, value.end))
            assert new.text[value.start : value.end] != old.text[value.start : value.end]
        for position, (a, b) in enumerate(zip(old.text, new.text, strict=True)):
            assert position in inside or a == b
            assert a.isspace() == b.isspace()
        previous = old.text
    assert len(after.replaced) == number


HOSTILE = {
    "digits": "1" * 50_000,
    "digits and blanks": "1 " * 25_000,
    "digits and hyphens": "010-" * 15_000,
    "at signs": "a@" * 25_000,
    "letters before no at sign": "@" + "a" * 50_000,
    "labels": "@a." + "a." * 25_000,
    "slashes": "http://" * 8_000,
    "colons": "a:" * 25_000,
    "roads": "서울 종로구 " + "가로" * 10_000 + "1",
    "regions": "서울 " * 15_000 + "로 1",
    "hangul digits": "공일" * 20_000,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_takes_linear_time(text: str) -> None:
    start = time.process_time()
    find(text)
    assert time.process_time() - start < 10  # some hundredths of a second; a quadratic search takes minutes
