"""Wikipedia: of an article its prose stays, and of its markup nothing."""

import re
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_pipeline.corpus.document import Document
from data_pipeline.corpus.sources.lines import Unreadable
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
    assert read(DUMP)[:2] == [
        Document("kowiki.xml:record 1", "source", PROSE),
        Document("kowiki.xml:record 5", "source", ""),  # the cleaner drops it with its reason
    ]


def test_broken_markup_loses_no_prose() -> None:
    [*_, last] = read(DUMP)
    assert isinstance(last, Document)
    assert last.text.startswith("별빛섬은")
    assert last.text.endswith("섬이다.")
    assert "{{" not in last.text


def test_a_dump_that_breaks_off_says_where() -> None:
    found = read(DUMP[: DUMP.index("틀의 글".encode())])
    assert isinstance(found[0], Document)
    [bad] = found[1:]
    assert isinstance(bad, Unreadable)
    assert bad.location == "kowiki.xml:record 3"
    assert bad.problem.startswith("not XML, and the file cannot be read on from here (")


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
