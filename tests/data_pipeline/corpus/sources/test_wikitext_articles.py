"""kowikitext and namuwikitext: an article is a document, and its headings are lines without marks."""

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_pipeline.corpus.document import Document
from data_pipeline.corpus.sources.lines import Unreadable
from data_pipeline.dry_run.sample import draw
from data_pipeline.recipe import Source
from data_pipeline.source_formats import reader_of


def read(content: bytes) -> list[Document | Unreadable]:
    return list(reader_of("kowikitext")(io.BytesIO(content), "corpus", Source("kowikitext", "", name="source")))


def texts(content: str) -> list[str]:
    return [each.text for each in read(content.encode()) if isinstance(each, Document)]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (" = 가 = \n 나다.\n", ["가\n나다."]),
        ("= 가 =\n나다.", ["가\n나다."]),
        (" = A = B = \n 나다.", ["A = B\n나다."]),
        (" = 가 = \n\n = = 나 = = \n\n = = = 다 = = = \n 라다.", ["가\n나\n다\n라다."]),
        (" = 가 = \n 나다.\n = = 빈 절 = = \n", ["가\n나다."]),
        (" = 가 = \n 나다.\n = = 외부 링크 = = \n 누리집\n = = 다 = =\n 라다.", ["가\n나다.\n다\n라다."]),
        (" = 가 = \n\n = = 나 = = \n", [""]),
        (" = 가 = \n: 나''''다''''.\n'라'마", ["가\n나다.\n'라'마"]),
        ("제목이 없다.\n = 가 = \n나다.", ["제목이 없다.", "가\n나다."]),
        (" = 가 = \n x = 1 이다.\n = = 나 = \n", ["가\nx = 1 이다.\n= = 나 ="]),
    ],
)
def test_an_article_is_a_document(content: str, expected: list[str]) -> None:
    assert texts(content) == expected


def test_an_unreadable_line_costs_itself_alone() -> None:
    assert read(" = 가 = \n 나다.\n".encode() + b"\xff\n" + " 다다.\n = 라 = \n 마다.".encode()) == [
        Unreadable("corpus:3", "not UTF-8 (byte 0xff at column 1)"),
        Document("corpus:1-4", "source", "가\n나다.\n다다."),
        Document("corpus:5-6", "source", "라\n마다."),
    ]


WORDS = st.sampled_from(["세종", "한글", "생애", "A=B", "1 = 1", "임금이다."])


@given(st.lists(st.tuples(WORDS, st.lists(st.tuples(st.integers(0, 4), WORDS)))))
def test_no_line_of_text_is_lost(articles: list[tuple[str, list[tuple[int, str]]]]) -> None:
    lines = []
    for title, body in articles:
        lines.append(f" = {title} = ")
        lines += [
            "",
            *(f" {'= ' * (level + 1)}{text}{' =' * (level + 1)}" if level else f" {text}" for level, text in body),
        ]
    found = texts("\n".join(lines))
    kept = [[text for level, text in body if not level] for _, body in articles]
    assert len(found) == len(articles)
    assert all(set(text) <= set(document.split("\n")) for text, document in zip(kept, found, strict=True))


def test_a_sample_begins_with_an_article_wherever_it_is_taken(tmp_path: Path) -> None:
    article = " = 제목 {0} = \n\n = = 절 = = \n\n" + " 글이 있다.\n" * 200 + "\n"
    (tmp_path / "kowiki.txt").write_text("".join(map(article.format, range(200))), encoding="utf-8")
    [sample] = draw([Source("kowikitext", str(tmp_path / "kowiki.txt"), name="kowikitext")], 20)
    assert len(sample.documents) >= 10
    assert all(each.text.startswith("제목 ") for each in sample.documents)
