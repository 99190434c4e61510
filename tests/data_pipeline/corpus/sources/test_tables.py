"""Tables keep their rows whole: what is damaged is named by line and takes no neighbour with it."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_pipeline.corpus.document import Document
from data_pipeline.corpus.sources.lines import Unreadable
from data_pipeline.recipe import Source
from data_pipeline.source_formats import reader_of


def read(name: str, content: bytes) -> list[Document | Unreadable]:
    return list(reader_of(name)(io.BytesIO(content), "corpus", Source(name, "", name="source")))


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\0"), min_size=1)


@given(st.lists(TEXT))
def test_csv_gives_back_every_text(texts: list[str]) -> None:
    rows = "".join('"{}"\n'.format(text.replace('"', '""')) for text in texts)
    found = read("csv", f"text\n{rows}".encode())
    assert [item.text for item in found if isinstance(item, Document)] == texts


def test_a_row_with_another_number_of_fields_is_named() -> None:
    found = read("csv", "id,text\n1,하나\n2,둘,셋\n3,넷\n".encode())
    assert found == [
        Document("corpus:2", "source", "하나"),
        Unreadable("corpus:3", "3 fields, but 2 column names in the first line"),
        Document("corpus:4", "source", "넷"),
    ]


def test_a_bad_byte_costs_its_row_and_no_other() -> None:
    found = read("csv", 'text\n하나\n"둘\n'.encode() + b"\xff\n" + '셋"\n넷\n'.encode())
    assert found == [
        Document("corpus:2", "source", "하나"),
        Unreadable("corpus:4", "not UTF-8 (byte 0xff at column 1)"),
        Document("corpus:6", "source", "넷"),
    ]


def test_an_unclosed_quotation_mark_is_named_where_it_opens() -> None:
    assert read("csv", 'text\n하나\n"둘\n셋\n'.encode()) == [
        Document("corpus:2", "source", "하나"),
        Unreadable(
            "corpus:3",
            "a quotation mark opens here and is never closed, and the file cannot be read on from here",
            ends=True,
            unread=len('"둘\n셋\n'.encode()),
        ),
    ]


@pytest.mark.parametrize("name", ["csv", "tsv"])
def test_a_missing_column_says_which_there_are(name: str) -> None:
    [found] = read(name, "body\n글\n".encode())
    assert found == Unreadable("corpus:2", 'field "text" is missing (found: body)')


def test_long_fields_are_read() -> None:
    [found] = read("csv", f"text\n{'가' * 200_000}\n".encode())
    assert isinstance(found, Document)
