"""MODU files: what is damaged is named by the number of its document."""

import io
import json
from typing import Any

import pytest

from data_pipeline.corpus.document import Document
from data_pipeline.corpus.sources.lines import Unreadable
from data_pipeline.recipe import Source
from data_pipeline.source_formats import reader_of


def read(content: bytes) -> list[Document | Unreadable]:
    return list(reader_of("modu")(io.BytesIO(content), "a.json", Source("modu", "", name="source")))


GOOD = {"paragraph": [{"form": "글"}]}


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ({"id": "a", "sentence": []}, 'neither "paragraph" nor "utterance" (found: id, sentence)'),
        ({"paragraph": {"form": "글"}}, 'field "paragraph" is not a list but dict'),
        ({"paragraph": [{"id": "1"}]}, 'field "form" is missing (found: id)'),
        ({"paragraph": ["글"]}, "not a JSON object but str"),
        ({"utterance": [{"speaker_id": "1"}]}, 'field "form" is missing (found: speaker_id)'),
        ({"utterance": ["글"]}, "not a JSON object but str"),
        (["글"], "not a JSON object but list"),
        (None, "not a JSON object but NoneType"),
    ],
)
def test_a_damaged_document_is_named_and_the_next_is_read(document: Any, problem: str) -> None:
    found = read(json.dumps({"document": [document, GOOD]}).encode())
    assert found == [Unreadable("a.json:record 1", problem), Document("a.json:record 2", "source", "글")]


@pytest.mark.parametrize("rest", [b', {"paragraph": [', b", oops]}", b', {"paragraph": [{"form": "\xff"}]}]}'])
def test_a_file_that_is_no_json_from_somewhere_on_says_where(rest: bytes) -> None:
    found = read(b'{"document": [' + json.dumps(GOOD).encode() + rest)
    assert found[0] == Document("a.json:record 1", "source", "글")
    [bad] = found[1:]
    assert isinstance(bad, Unreadable)
    assert bad.location == "a.json:record 2"
    assert bad.problem.startswith("not JSON, and the file cannot be read on from here (")


def test_a_file_of_another_shape_is_named() -> None:
    assert read(b'{"data": [1]}') == [Unreadable("a.json:record 1", "no list and no object at document")]
    assert read(b'{"document": "a"}') == [Unreadable("a.json:record 1", "no list and no object at document")]
