"""The category of a document: its source's, or what a field of the record says."""

import io
import json

import pyarrow
import pyarrow.parquet
import pytest

from data_pipeline.corpus.document import Document
from data_pipeline.corpus.sources.lines import Unreadable
from data_pipeline.recipe import Source
from data_pipeline.source_formats import reader_of


def read(name: str, content: bytes, **fields: str) -> list[Document | Unreadable]:
    return list(reader_of(name)(io.BytesIO(content), "corpus", Source(name, "", name="source", **fields)))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["text", "lines", "jsonl"])
def test_a_source_of_one_category_gives_it_to_every_document(name: str) -> None:
    [found] = read(name, b'{"text": "a"}\n', category="news")
    assert isinstance(found, Document)
    assert found.category == "news"


@pytest.mark.parametrize(("value", "category"), [("food", "food"), (3, "3"), (None, "")])
def test_a_field_tells_the_category_of_each_record(value: object, category: str) -> None:
    [found] = read(
        "lm_dataformat", json.dumps({"text": "a", "meta": {"kind": value}}).encode(), category_field="meta.kind"
    )
    assert isinstance(found, Document)
    assert found.category == category


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        ({"text": "a"}, 'field "kind" is missing (found: text)'),
        ({"text": "a", "kind": ["food"]}, 'field "kind" is no category but list'),
        ({"text": "a", "kind": True}, 'field "kind" is no category but bool'),
    ],
)
def test_a_record_without_its_category_is_named(record: object, problem: str) -> None:
    assert read("jsonl", json.dumps(record).encode(), category_field="kind") == [Unreadable("corpus:1", problem)]


def test_the_topic_of_modu_newspapers_is_a_category() -> None:
    document = {"metadata": {"topic": "경제"}, "paragraph": [{"form": "글"}]}
    [found] = read("modu", json.dumps({"document": [document]}).encode(), category_field="metadata.topic")
    assert isinstance(found, Document)
    assert found.category == "경제"


def test_a_column_tells_the_category_of_each_row() -> None:
    stream = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"text": ["가", "나"], "kind": ["food", None], "other": [1, 2]}), stream)
    found = read("parquet", stream.getvalue(), category_field="kind")
    assert [each.category for each in found if isinstance(each, Document)] == ["food", ""]
