"""Wikipedia: of an article its prose stays, and of its markup nothing."""

import html
import re
from collections import Counter
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_pipeline.corpus.document import HOLE, Document
from data_pipeline.corpus.sources.lines import Skipped, Unreadable
from data_pipeline.corpus.sources.wikipedia import read_wikipedia
from data_pipeline.corpus.sources.wikitext import wikitext_converter
from data_pipeline.recipe import Source
from data_pipeline.source_formats import reader_of

DUMP = (Path(__file__).parent / "kowiki.xml").read_bytes()
PROSE = """달빛섬(Moonlight Island, 月光島)은 남해에 있는 작은 섬이다. 넓이는 3 km2이다.
역사
근대
1905년에 첫 등대가 섰다.
섬은 늘 그 자리에 있다.
동쪽 마을: 주민 40명
서쪽 마을
배로 간다.
걸어서 간다.
뒷이야기
섬들의 이야기이다."""


def read(dump: bytes) -> list[Document | Unreadable]:
    return list(reader_of("wikipedia")(BytesIO(dump), "kowiki.xml", Source("wikipedia", "", name="source")))


def test_articles_are_read_and_redirects_and_other_name_spaces_are_not() -> None:
    assert [each for each in read(DUMP) if not isinstance(each, Skipped)][:2] == [
        Document("kowiki.xml:record 1", "source", PROSE),
        Document("kowiki.xml:record 5", "source", ""),  # the cleaner drops it with its reason
    ]


def test_what_is_left_out_is_told_with_its_bytes() -> None:
    table = "{| class=x\n| 가 || 나\n|}"
    template = "{{정보|이름=달빛섬|넓이={{단위|3}}}}"
    reference = "<ref>책</ref>"
    pages = [
        ("0", "", f"{template}달빛섬은 섬이다.{reference}\n{table}\n[[분류:섬]] [[동해|바다]] {{{{lang|en|sea}}}}"),
        ("0", "<redirect title='섬'/>", "#넘겨주기 [[섬]]"),
        ("10", "", "틀의 글"),
        ("1", "", "토론"),
    ]
    dump = "".join(
        f"<page><title>a</title><ns>{ns}</ns>{redirect}<revision><text>{html.escape(text)}</text></revision></page>"
        for ns, redirect, text in pages
    )
    found = list(
        read_wikipedia(BytesIO(f"<mediawiki>{dump}</mediawiki>".encode()), "a.xml", Source("wikipedia", "", name="s"))
    )
    [article] = [each for each in found if isinstance(each, Document)]
    assert article.text == "달빛섬은 섬이다.\n바다 sea"
    skipped: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for each in found:
        if isinstance(each, Skipped):
            skipped[each.count] += each.number
            sizes[each.count] += each.size
    assert skipped == {
        "redirects": 1,
        "pages of other name spaces": 2,
        "templates": 1,  # with the one inside; lang is shown
        "tables": 1,
        "references": 1,
        "links to files and categories": 1,
    }
    assert sizes["pages of other name spaces"] == len("틀의 글토론".encode())
    for what, text in (
        ("templates", template),
        ("references", reference),
        ("links to files and categories", "[[분류:섬]]"),
    ):
        assert abs(sizes[what] - len(text.encode())) <= 0.2 * len(text.encode()), (what, sizes[what])
    assert 0.6 * len(table) < sizes["tables"] <= len(table.encode())


def test_broken_markup_loses_no_prose() -> None:
    *_, last = (each for each in read(DUMP) if isinstance(each, Document))
    assert last.text.startswith("별빛섬은")
    assert last.text.endswith("섬이다.")
    assert "{{" not in last.text


def test_a_dump_that_breaks_off_says_where() -> None:
    found = [each for each in read(DUMP[: DUMP.index("틀의 글".encode())]) if not isinstance(each, Skipped)]
    assert isinstance(found[0], Document)
    [bad] = found[1:]
    assert isinstance(bad, Unreadable)
    assert bad.location == "kowiki.xml:record 3"
    assert bad.problem == "cut off in this record, and the file cannot be read on from here"
    assert bad.ends


def test_a_page_without_text_is_named() -> None:
    [found] = read(b"<mediawiki><page><title>a</title><ns>0</ns></page></mediawiki>")
    assert found == Unreadable("kowiki.xml:record 1", 'field "text" is missing (found: ns, title)')


PLAIN = st.lists(
    st.sampled_from(["달빛섬은", "남해에 있는", "3.5%", "(작은)", '"섬"이다.', "A-B", "1 + 1 = 2,"]), min_size=1
).map(" ".join)


@given(PLAIN)
def test_text_without_markup_stays_as_it_is(text: str) -> None:
    assert wikitext_converter()(text) == text


def nested(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        inner.map("[[분류:섬|{}]]".format),
        inner.map("'''{}'''".format),
        inner.map("<small>{}</small>".format),
        inner.map("{{{{lang|en|{}}}}}".format),
        inner.map("{{{{섬 정보|이름={}}}}}".format),
        inner.map("[[파일:a.jpg|섬네일|{}]]".format),
        st.tuples(inner, inner).map(" ".join),
    )


LEAVES = st.sampled_from(["달빛섬", "[[남해]]", "<!-- 등대 -->", "<ref>책</ref>", "<br />"])


@given(st.recursive(LEAVES, nested, max_leaves=8), PLAIN, PLAIN)
def test_well_formed_markup_goes_and_the_text_around_it_stays(markup: str, before: str, after: str) -> None:
    text = wikitext_converter()(f"{before} {markup} {after}")
    assert text.startswith(before)
    assert text.endswith(after)
    assert not re.search(r"\[\[|\]\]|\{\{|\}\}|'''|<|>|\|", text.removeprefix(before).removesuffix(after))


@pytest.mark.parametrize(
    ("wikitext", "text"),
    [
        ("({{틀}}) 섬", "섬"),
        ("섬({{틀}}, 1900년 ~ )", "섬(1900년 ~ )"),
        ("섬({{lang|en|Island}}, {{틀}})", "섬(Island)"),
        ("{{lang-en|Island}}", "Island"),
        ("{{색|빨강|붉은 글}}", "붉은 글"),
        ("{{lang|en}}", ""),
        ("&#xac00;&lt;나&gt;", "가<나>"),
        ("http://a.b [http://c.d] [http://c.d 이름]", "http://a.b 이름"),
        ("{|\n| 칸\n글", "글"),
    ],
)
def test_what_markup_leaves_behind_is_tidied(wikitext: str, text: str) -> None:
    assert wikitext_converter()(wikitext) == text


@pytest.mark.parametrize(
    ("wikitext", "text"),
    [
        ("높이는 {{convert|1950|m|ft}}이며,", "높이는 1950 m이며,"),
        ("면적은 {{단위변환|153|km2}}이다.", "면적은 153 km2이다."),
        ("거리는 {{Cvt|10|to|20|km|mi|0}}이다.", "거리는 10~20 km이다."),
        ("키는 {{convert|5|ft|10|in|cm}}이다.", "키는 5 ft 10 in이다."),
        ("인구는 {{formatnum:123456}}명이다.", "인구는 123456명이다."),
        ("그는 {{출생일|1970|3|1}}에 태어났다.", "그는 1970년 3월 1일에 태어났다."),
        ("그는 {{사망일과 나이|2000|1|2|1930|3|4}}에 갔다.", "그는 2000년 1월 2일에 갔다."),
        ("{{임시링크|하이델베르크 성|de|Heidelberger Schloss}}은 성이다.", "하이델베르크 성은 성이다."),
        ("{{ill|성|de|Schloss|lt=큰 성}}은 성이다.", "큰 성은 성이다."),
        ("{{일본어|도쿄 타워|東京タワー}}는 탑이다.", "도쿄 타워는 탑이다."),
        ("{{Nihongo|도쿄 타워|東京タワー|Tōkyō}}는 탑이다.", "도쿄 타워는 탑이다."),
        ("{{틀:lang|en|Island}}는 섬이다.", "Island는 섬이다."),
        ("{{lang|en|2=A=B}}는 식이다.", "A=B는 식이다."),
        ("{{한자|月光島}}는 섬이다.", "月光島는 섬이다."),
        ("그때 {{나이|1970|3|1|2020|2|28}}세였다.", "그때 49세였다."),
        ("값은 {{US$|100}}이다.", "값은 US$100이다."),
        ("{{분수|1|2}}을 더한다.", "1/2을 더한다."),
        ("{{nowrap|{{convert|3|km}}}}를 갔다.", "3 km를 갔다."),
        ("수 <math>n</math>은 크다.", "수 n은 크다."),
    ],
)
def test_templates_whose_value_is_part_of_a_sentence_show_it(wikitext: str, text: str) -> None:
    assert wikitext_converter()(wikitext) == text


@pytest.mark.parametrize(
    ("wikitext", "text"),
    [
        ("산의 높이는 {{모름|1950}}이며, 넓다.", f"산의 높이는 {HOLE}이며, 넓다."),
        ("산의 높이는 {{모름}} 이다.", f"산의 높이는 {HOLE} 이다."),
        ("{{모름}}은 탑이다.", f"{HOLE}은 탑이다."),
        ("'''{{모름}}'''은 탑이다.", f"{HOLE}은 탑이다."),
        ("탑이다. {{모름}}은 산이다.", f"탑이다. {HOLE}은 산이다."),
        ('"{{모름}}"은 책이다. 또 《{{모름}}》은 책이다.', f'"{HOLE}"은 책이다. 또 《{HOLE}》은 책이다.'),
        ("이름: {{모름}}은 탑이다.", f"이름: {HOLE}은 탑이다."),
        ("올해 {{나이|1970|3|1}}세이다.", f"올해 {HOLE}세이다."),
        ("높이는 {{convert|{{모름}}|m}}이다.", f"높이는 {HOLE}이다."),
        ("높이는 {{convert}}이다.", f"높이는 {HOLE}이다."),
        (r"값은 <math>\frac{1}{2}</math>이다.", f"값은 {HOLE}이다."),
    ],
)
def test_what_a_template_leaves_open_in_a_sentence_is_a_hole(wikitext: str, text: str) -> None:
    assert wikitext_converter()(wikitext) == text


@pytest.mark.parametrize(
    ("wikitext", "text"),
    [
        ("그는 갔다.{{출처 필요|날짜=2020}} 또 왔다.", "그는 갔다. 또 왔다."),
        ("그는 홍길동{{모름}}은 아니다.", "그는 홍길동은 아니다."),
        ("{{국기그림|KOR}}김연아", "김연아"),
        ("{{모름}}김연아", "김연아"),
        ("{{모름}} 홍길동은 갔다.", "홍길동은 갔다."),
        ("갔다. {{모름}} 또 갔다.", "갔다. 또 갔다."),
        ("섬({{모름}}, {{모름}})은 작다.", "섬은 작다."),
        ("섬(Island {{모름}})은 작다 {{모름}}.", "섬(Island)은 작다."),
        ("섬({{모름}} Island)은 작다.", "섬(Island)은 작다."),
        ("홍길동({{나이|1970|3|1}}세)은 배우다.", "홍길동은 배우다."),
        ("섬(독일어: {{모름}})은 작다.", "섬(독일어)은 작다."),
        ("서울{{·}}부산{{ndash}}대구는 5{{nbsp}}km이다.", "서울 · 부산–대구는 5 km이다."),
        ("{{섬 정보|이름=섬}}\n섬은 작다.\n{{토막글}}", "섬은 작다."),
        (r"셈은 이렇다." + "\n" + r"<math>\frac{1}{2}</math>", "셈은 이렇다."),
    ],
)
def test_templates_beside_a_sentence_leave_none(wikitext: str, text: str) -> None:
    assert wikitext_converter()(wikitext) == text
