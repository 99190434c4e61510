"""A dotted path leads to text in nested records, through lists, and an error says where it ends; `FORMAT.FIELD` in recipes too."""

import io
import json
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from data_pipeline.contract.errors import InputError
from data_pipeline.corpus.document import HOLE, Document
from data_pipeline.corpus.sources import json_places
from data_pipeline.corpus.sources.lines import Unreadable
from data_pipeline.recipe import DataRecipe, Source
from data_pipeline.recipe_checks import check
from data_pipeline.source_formats import WITH_TEXT_FIELD, reader_of


def read(name: str, content: bytes, **fields: str) -> list[Document | Unreadable]:
    source = Source(name, "", name="source", **fields)  # type: ignore[arg-type]
    return list(reader_of(source.format)(io.BytesIO(content), "corpus", source))


def texts(name: str, value: Any, **fields: str) -> list[str]:
    content = value if isinstance(value, bytes) else json.dumps(value, ensure_ascii=False).encode()
    found = read(name, content, **fields)
    assert all(isinstance(each, Document) for each in found), found
    return [each.text for each in found if isinstance(each, Document)]


@pytest.mark.parametrize(
    ("path", "value", "text"),
    [
        ("data.text", {"data": {"text": "가"}}, "가"),
        ("data.text", {"data.text": "점", "data": {"text": "가"}}, "점"),
        ("data.a.b", {"data": {"a.b": "점"}}, "점"),
        ("paragraphs.sentences", {"paragraphs": [{"sentences": ["가", "나"]}, {"sentences": ["다"]}]}, "가\n나\n다"),
        ("a.b", {"a": [[{"b": "가"}], [{"b": "나"}]]}, "가\n나"),
        ("a", {"a": []}, ""),
    ],
)
def test_a_path_goes_through_objects_and_lists(path: str, value: Any, text: str) -> None:
    assert texts(f"jsonl.{path}", value) == [text]


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        ("data.text", {"date": 1}, 'field "data.text" is missing (found: date)'),
        ("data.text", {"data": {"body": "가"}}, 'field "data.text" is missing (found below data: body)'),
        ("a.b.c", {"a": [{"b": {"d": 1}}]}, 'field "a.b.c" is missing (found below a.b: d)'),
        ("a.b", {"a": "글"}, 'field "a.b": a is not a JSON object but str'),
        ("a.b", {"a": {"b": ["가", 1]}}, 'field "a.b" is not text but int'),
        ("a", {"a": {"b": "가"}}, 'field "a" is not text but dict'),
    ],
)
def test_a_path_that_leads_nowhere_says_where_it_ends(path: str, value: Any, problem: str) -> None:
    assert read(f"jsonl.{path}", json.dumps(value).encode()) == [Unreadable("corpus:1", problem)]


def test_paths_hold_for_every_format_that_names_its_field() -> None:
    stream = io.BytesIO()
    rows = [{"body": [{"text": "가"}, {"text": "나"}], "kind": {"name": "news"}, "other": 1}]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), stream)
    [found] = read("parquet.body.text", stream.getvalue(), category_field="kind.name")
    assert isinstance(found, Document)
    assert (found.text, found.category) == ("가\n나", "news")
    assert texts("csv.a.b", "a.b,c\n가,나\n".encode()) == ["가"]
    assert texts("lm_dataformat.d.t", {"d": {"t": [["가.", "나."], ["다."]]}}) == ["가. 나.\n다."]
    pair = json.dumps({"a": {"b": "글"}, "c": {"d": "제목"}}).encode()
    assert read("pairs.a.b", pair, summary_field="c.d") == [Document("corpus:1", "source", "글", summary="제목")]


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("text", [{"text": "가"}, {"text": "나"}], ["가", "나"]),
        ("data.text", {"info": [1, 2], "data": [{"text": "가"}, {"text": "나"}]}, ["가", "나"]),
        ("data.p.s.t", {"data": [{"p": [{"s": [{"t": "가"}, {"t": "나"}]}, {"s": [{"t": "다"}]}]}]}, ["가\n나\n다"]),
        ("SJML.text.content", {"SJML": {"text": [{"content": "가"}, {"content": "나"}]}}, ["가", "나"]),
        (
            "documents.text.sentence",
            {"documents": [{"text": [[{"sentence": "가"}], [{"sentence": "나"}]]}]},
            ["가\n나"],
        ),
        (
            "named_entity.content.sentence",
            {
                "header": {},
                "named_entity": [
                    {"title": [{"sentence": "제목"}], "content": [{"sentence": "가"}, {"sentence": "나"}]}
                ],
            },
            ["가\n나"],
        ),
        ("facts.form", {"info": {}, "facts": {"form": ["가", "나"]}}, ["가\n나"]),
        ("a.text", {"a": {"text": "가"}}, ["가"]),
        ("data.text", {"data": []}, []),
    ],
)
def test_the_first_list_of_a_json_file_holds_its_documents(path: str, value: Any, expected: list[str]) -> None:
    assert texts(f"json.{path}", value) == expected


def test_the_category_is_a_path_from_the_top_as_well() -> None:
    [found] = read("json.data.text", b'{"data": [{"text": "a", "kind": "news"}]}', category_field="data.kind")
    assert isinstance(found, Document)
    assert found.category == "news"


@pytest.mark.parametrize(
    ("path", "content", "problem"),
    [
        ("date.text", '{"info": 1, "data": [{"text": "가"}]}', 'field "date.text" is missing (found: info, data)'),
        ("data.b.c", '{"data": {"text": "가"}}', 'field "data.b.c" is missing (found below data: text)'),
        ("data.body", '{"data": [{"text": "가"}]}', 'field "data.body" is missing (found below data: text)'),
        ("text", '["가"]', "not a JSON object but str"),
    ],
)
def test_a_json_file_without_its_path_is_named(path: str, content: str, problem: str) -> None:
    assert read(f"json.{path}", content.encode()) == [Unreadable("corpus:record 1", problem)]


def test_masks_of_ai_hub_are_holes_and_its_events_nothing() -> None:
    said = [
        "#@이름#아 뭐해?",
        "#@시스템#사진#",
        "이거 봐 #@이모티콘#",
        "#@URL#",
        "#@시스템#",
        "주소는 #@주소@ #야",
        "#태그 C#@a",
    ]
    dialogue = {"data": [{"body": {"dialogue": [{"utterance": each} for each in said]}}]}
    [found] = texts("json.data.body.dialogue.utterance", dialogue)
    assert found.split("\n") == [f"{HOLE}아 뭐해?", "", "이거 봐", "", "", f"주소는 {HOLE}야", "#태그 C#@a"]


def test_json_lines_given_as_one_json_file_say_so() -> None:
    [first, second] = read("json", b'{"text": "a"}\n{"text": "b"}\n')
    assert isinstance(first, Document)
    assert isinstance(second, Unreadable)
    assert second.mend == "read a file of one object a line as jsonl.FIELD:GLOB"


def test_a_path_is_looked_for_in_a_part_of_a_file_that_has_it_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_places, "SEARCHED_BYTES", 100_000)
    content = io.BytesIO(b'{"data": [' + b'{"text": "a"},' * 500_000)
    [found] = reader_of("json")(content, "corpus", Source("json.b.text", ""))
    assert found == Unreadable("corpus:record 1", 'field "b.text" is missing (found: data)')
    assert content.tell() < 300_000


@pytest.mark.parametrize("name", WITH_TEXT_FIELD)
def test_a_recipe_names_the_field_as_the_command_line_does(name: str) -> None:
    assert Source(f"{name}.data.text", "a") == Source(name, "a", text_field="data.text")
    assert Source(f"{name}.body", "a", text_field="body") == Source(name, "a", text_field="body")
    with pytest.raises(InputError, match=r"source .*\.body: text_field 'content' names another field; keep one"):
        Source(f"{name}.body", "a", text_field="content")


def test_a_field_for_a_format_without_fields_is_refused() -> None:
    with pytest.raises(InputError, match=r"source modu: text_field 'body': format modu has no field to choose"):
        check(DataRecipe(sources=(Source("modu.body", "a"),)))
