"""NamuWiki: of an article its prose stays, and of its markup nothing."""

import io
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_pipeline.contract.storage import open_input
from data_pipeline.corpus.document import HOLE, Document
from data_pipeline.corpus.sources.lines import Remark, Skipped, Unreadable
from data_pipeline.corpus.sources.namumark import namumark_to_text
from data_pipeline.corpus.sources.namuwiki import read_namuwiki
from data_pipeline.recipe import Source
from data_pipeline.source_formats import reader_of

SAMPLES = Path(__file__).parents[5] / "shared/data/corpus_samples"
DUMP = (Path(__file__).parent / "namuwiki.json").read_bytes()
PROSE = """개요
달빛섬(月光島)은 남해에 있는 작은 섬이다. 배로 간다.
문화
"섬은 늘 그 자리에 있다."
- 어부
동쪽 마을: 40명
서쪽 마을
배를 탄다.
그대로 쓴 글 [괄호] [집단] 4--5"""


def read(dump: bytes) -> list[Document | Unreadable | Remark]:
    return list(reader_of("namuwiki")(io.BytesIO(dump), "namu.json", Source("namuwiki", "", name="source")))


def test_articles_are_read_and_redirects_and_other_name_spaces_are_not() -> None:
    assert [each for each in read(DUMP) if not isinstance(each, Skipped)] == [
        Document("namu.json:record 1", "source", PROSE),
        Document("namu.json:record 4", "source", "[[별빛섬]은 {{{섬이다."),  # brackets without a partner are text
    ]


def test_redirects_and_other_name_spaces_are_told() -> None:
    pages = [
        {"namespace": "0", "text": "#redirect 섬"},
        {"namespace": "6", "text": "파일"},
        {"namespace": "0", "text": "글이다."},
    ]
    found = list(read_namuwiki(io.BytesIO(json.dumps(pages).encode()), "a.json", Source("namuwiki", "", name="s")))
    assert found == [
        Skipped("redirects", size=len("#redirect 섬".encode())),
        Skipped("pages of other name spaces", size=len("파일".encode())),
        Document("a.json:record 3", "s", "글이다."),
    ]


@pytest.mark.parametrize(
    ("page", "problem"),
    [
        ({"namespace": "0", "title": "섬"}, 'field "text" is missing (found: namespace, title)'),
        ({"title": "섬", "text": "글"}, 'field "namespace" is missing (found: title, text)'),
        ({"namespace": "0", "text": None}, 'field "text" is not text but NoneType'),
        ("섬", "not a JSON object but str"),
    ],
)
def test_a_page_that_lacks_something_is_named(page: object, problem: str) -> None:
    good = {"namespace": 0, "text": "글"}
    found = read(json.dumps([page, good]).encode())
    assert found == [Unreadable("namu.json:record 1", problem), Document("namu.json:record 2", "source", "글")]


WORDS = st.sampled_from(
    ["달빛섬은", "남해에 있는", "3.5%", "(작은)", '"섬"이다.', "A-B", "1 + 1 = 2,", "[집단]", "10~20", "*별"]
)
PLAIN = st.lists(WORDS, min_size=1).map(" ".join)
LEAVES = st.sampled_from(
    [
        "달빛섬",
        "[[남해]]",
        "[[남해|바다]]",
        "[[파일:a.jpg|width=20]]",
        "[[분류:섬]]",
        "[[https://example.org|[[파일:a.png]]]]",
        "[include(틀:섬, 이름=섬)]",
        "[youtube(abc)]",
        "[각주]",
        "[math(x^2)]",
        "<math>x</math>",
        "~~등대~~",
        "--등대--",
        "__섬__",
    ]
)


def nested(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        inner.map("'''{}'''".format),
        inner.map("[* 각주 {}]".format),
        inner.map("{{{{{{#red {}}}}}}}".format),
        inner.map("{{{{{{+1 {}}}}}}}".format),
        inner.map('{{{{{{#!wiki style="a"\n{}}}}}}}'.format),
        st.tuples(inner, inner).map(" ".join),
    )


@given(PLAIN)
def test_text_without_markup_stays_as_it_is(text: str) -> None:
    assert namumark_to_text(text) == text


@given(st.recursive(LEAVES, nested, max_leaves=8), PLAIN, PLAIN)
def test_well_formed_markup_goes_and_the_text_around_it_stays(markup: str, before: str, after: str) -> None:
    text = namumark_to_text(f"{before} {markup} {after}")
    assert text.startswith(before)
    assert text.endswith(after)
    assert not re.search(
        r"\[|\]|\{|\}|'''|<|>|__|~~|--|등대|파일|분류|각주", text.removeprefix(before).removesuffix(after)
    )


@given(st.lists(PLAIN, min_size=1), PLAIN, PLAIN)
def test_tables_go_and_lines_around_them_stay(cells: list[str], before: str, after: str) -> None:
    table = "".join(f"||<bgcolor=#fff> {cell} || {{{{{{#!folding 펼치기\n{cell}}}}}}} ||\n" for cell in cells)
    assert namumark_to_text(f"{before}\n{table}{after}") == f"{before}\n{after}"


@pytest.mark.parametrize(
    "table",
    [
        "||가||{{{#!folding 펼치기\n나\n\n다\n\n * 라}}}||",
        '||{{{#!wiki style="margin:-5px" {{{#!folding [ 펼치기 ]\n나\n\n다}}}}}}||',
        "||{{{#!folding [ {{{#red 펼치기}}} ]\n||나||\n\n||다||\n}}}||",
        "|| 가\n|| {{{#!folding\n나\n\n다}}} ||",
        "||설명||나[br]다 ||",
        "||설명||나\n\n다[br]\n\n라||",
        "||설명||나 {{{#red 다\n\n라}}}\n마||{{{#blue\n\n바}}}||\n||사||",
        "||[[파일:a.png|width=20]]나||{{{#!syntax python\nprint(1)\n\n}}}||",
        "|표 제목|| 가 || 나 ||",
        "##주석 {{{\n||가||",
    ],
)
def test_what_stands_in_the_cells_of_a_table_goes_with_it(table: str) -> None:
    assert namumark_to_text(f"앞이다.\n{table}\n뒤이다.") == "앞이다.\n뒤이다."


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("|| 가\n\n나\n\n|| 다 ||", " 가\n나"),
        ("|| 가\n== 나 ==\n다||", "가\n나\n다||"),
        ("{{{#!folding [ 펼치기 ]\n가\n\n|| 나 ||\n다}}}", "가\n다"),
        ('{{{#!wiki style="a" {{{#!folding [ 펼치기 ]\n가\n\n나}}}}}}', "가\n나"),
        ("가[ytp(abc)]나", "가나"),
        ("[include(틀:섬, 이름=[[섬(지리)]], 설명=[[파일:a.png]])]가", "가"),
        ("{{{#!folding 펼치기}}} 가 {{{나 } 다}}}", "가 나 } 다"),
        ('{{{#!wiki style="a"\n{{{#!folding [펼치기]\n가}}}{{{+1 나}}}\n}}}다', "가나\n다"),
        ("올해 [age(1990-01-01)]세이다.", f"올해 {HOLE}세이다."),
        ("함수 [math(\\\\frac{x}{2})]는 <math>x^2</math>이고 [math(n)]은 수다.", f"함수 {HOLE}는 {HOLE}이고 n은 수다."),
        ("가\n[math(x^2)]\n나", "가\n나"),
        ("{{{#!style\n.a { color: red }\n}}}가", "가"),
    ],
)
def test_blocks_outside_of_tables_and_rows_without_an_end_are_text(markup: str, text: str) -> None:
    assert namumark_to_text(markup) == text.strip()


def test_a_page_that_is_a_file_of_its_own_is_read() -> None:
    [found] = read(json.dumps({"namespace": 0, "title": "섬", "text": "글"}).encode())
    assert found == Document("namu.json:record 1", "source", "글")


@pytest.mark.skipif(not SAMPLES.exists(), reason="../shared/data/corpus_samples is not here")
@pytest.mark.parametrize("name", ["namuwiki-test1.json", "namuwiki-test6.json.gz"])
def test_of_real_pages_as_much_comes_out_as_people_kept(name: str) -> None:
    with open_input(str(SAMPLES / name)) as stream:
        found, *skipped = reader_of("namuwiki")(stream, name, Source("namuwiki", "", name="source"))
    assert all(isinstance(each, Skipped) for each in skipped)
    assert isinstance(found, Document)
    gold = (SAMPLES / f"{name.partition('.')[0]}.gold.txt").read_text(encoding="utf-8")
    assert abs(len(found.text.split()) - len(gold.split())) <= 0.02 * len(gold.split())
    assert not re.search(r"\|\||\{\{\{|\}\}\}|\[\[|\]\]|#!", found.text)


@given(st.text(st.sampled_from("[]{}|*'~-=<># \n\\글가"), max_size=40))
def test_broken_markup_never_fails_and_loses_no_letter_outside_brackets(text: str) -> None:
    assert "끝이다." in namumark_to_text(f"{text}\n\n끝이다.")


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("[[남해#s-2.1]]", "남해"),
        ("[[:파일:a.jpg]]", "파일:a.jpg"),
        ("[[/역사]]", "역사"),
        ("[[https://example.org]]", ""),
        ("[*A 각주 [[가]]]글", "글"),
        ("|| 칸\n글", "칸\n글"),
        ("그래요~ 좋아요~", "그래요~ 좋아요~"),
        ("\\[목차\\]", "[목차]"),
        ("== 가 ==\n=== 나 ===\n== 다 ==\n글", "다\n글"),
    ],
)
def test_markup_is_shown_as_a_reader_sees_it(markup: str, text: str) -> None:
    assert namumark_to_text(markup) == text


def test_a_page_of_rows_without_an_end_takes_no_longer_than_another() -> None:
    """It was quadratic: 200 seconds for this one."""
    assert namumark_to_text("|| 가\n" * 20_000).split() == ["가"] * 20_000


def test_what_is_left_out_of_articles_is_counted_by_kind_in_bytes_of_the_file() -> None:
    tables = ["||가||{{{나}}}||\n||다||\n", "||라\n\n마||\n"]
    texts = [
        f"[include(틀:섬)]앞이다.[* 각주이다.]\n{tables[0]}뒤이다.[[파일:a.png]]\n{tables[1]}끝이다.",
        "올해 [age(1990-01-01)]세이다.[br]{{{#!syntax c\nint}}}[ruby(가, ruby=나)] [math(n)]",
    ]
    pages = [{"namespace": 0, "title": "섬", "text": text} for text in texts]
    found = read_namuwiki(io.BytesIO(json.dumps(pages).encode()), "a.json", Source("namuwiki", "", name="s"))
    skipped = [each for each in found if isinstance(each, Skipped)]
    assert {each.count: (each.number, each.size) for each in skipped} == {
        "code and styles": (1, len("{{{#!syntax c\nint}}}")),
        "footnotes": (1, len("[* 각주이다.]".encode())),
        "links to files and categories": (1, len("[[파일:a.png]]".encode())),
        "macros": (1, len("[age(1990-01-01)]")),
        "tables": (2, len("".join(tables).encode()) - len("{{{}}}")),
        "templates": (1, len("[include(틀:섬)]".encode())),
    }
