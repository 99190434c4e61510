"""MODU files: what is damaged is named by the number of its document."""

import io
import json
from typing import Any

import pytest

from data_pipeline.corpus.document import HOLE, Document
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


@pytest.mark.parametrize(
    ("rest", "problem"),
    [
        (b', {"paragraph": [', "cut off in this record, and the file cannot be read on from here"),
        (b", oops]}", "not JSON, and the file cannot be read on from here (invalid char in json text)"),
        (b', {"paragraph": [{"form": "\xff"}]}]}', "not UTF-8, and the file cannot be read on from here"),
    ],
)
def test_a_file_that_is_no_json_from_somewhere_on_says_where(rest: bytes, problem: str) -> None:
    found = read(b'{"document": [' + json.dumps(GOOD).encode() + rest)
    assert found[0] == Document("a.json:record 1", "source", "글")
    [bad] = found[1:]
    assert isinstance(bad, Unreadable)
    assert bad.location == "a.json:record 2"
    assert bad.problem == problem
    assert bad.ends


def test_a_file_of_another_shape_is_named() -> None:
    assert read(b'{"data": [1]}') == [Unreadable("a.json:record 1", "no list and no object at document")]
    assert read(b'{"document": "a"}') == [Unreadable("a.json:record 1", "no list and no object at document")]


def test_parliament_minutes_are_one_document_that_is_no_list() -> None:
    utterances = [
        {
            "id": "1",
            "form": "의석을 정돈하여 주시기 바랍니다.",
            "original_form": "의석을 정돈하여 주시기 바랍니다.",
            "speaker_id": "P1",
        },
        {"id": "2", "form": "지금부터 회의를 시작하겠습니다.", "original_form": "", "speaker_id": "P1"},
        {"id": "3", "form": "이의 있습니다.", "original_form": "", "speaker_id": "P2"},
    ]
    minutes = {"id": "SBRW", "metadata": {}, "document": {"id": "SBRW.1", "metadata": {}, "utterance": utterances}}
    [found] = read(json.dumps(minutes).encode())
    text = "의석을 정돈하여 주시기 바랍니다. 지금부터 회의를 시작하겠습니다.\n이의 있습니다."
    assert found == Document("a.json:record 1", "source", text)


def test_an_empty_list_of_documents_holds_none() -> None:
    assert read(b'{"id": "x", "metadata": {"document": [1]}, "document": []}') == []


def of_utterances(*forms: str, identifier: str = "SDRW2000000001.1") -> str:
    document = {"id": identifier, "utterance": [{"form": form, "speaker_id": form} for form in forms]}
    [found] = read(json.dumps({"document": [document]}).encode())
    assert isinstance(found, Document)
    return found.text


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("{laughing} 그래서 갔어요.", "그래서 갔어요."),
        ("그래서 {clearing} 갔어요. {singing}", "그래서 갔어요."),
        ("-그- 그래서 갔어요.", "그래서 갔어요."),
        ("-그-그래서 -갔다 오- 갔어요.", "그래서 갔어요."),
        ("어~ 그~ 갔어요.", "어 그 갔어요."),
        ("((아마)) 갔어요.", "아마 갔어요."),
        ("제가 (()) 갔어요.", f"제가 {HOLE} 갔어요."),
        ("제가 ((xx)) 갔어요.", f"제가 {HOLE} 갔어요."),
        ("제가 ((x 점에)) 갔어요.", f"제가 {HOLE} 점에 갔어요."),
        ("&name1&이가 &company-name3&에 갔어요.", f"{HOLE}이가 {HOLE}에 갔어요."),
        ("주민번호 &social-security-num& 맞죠?", f"주민번호 {HOLE} 맞죠?"),
        ("02-123-4567로 전화하세요. (웃음) 3-4명", "02-123-4567로 전화하세요. (웃음) 3-4명"),
        ("R&D와 A&B&C", "R&D와 A&B&C"),
        ("{1, 2} 집합", "{1, 2} 집합"),
    ],
)
def test_the_marks_of_transcripts_are_no_text(form: str, text: str) -> None:
    assert of_utterances(form) == text


def test_an_utterance_of_marks_alone_is_none() -> None:
    assert of_utterances("{laughing}", "네.", "(()).", "&name&", "-그-") == "네."


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("{emoji}", ""),
        ("{system: call}", ""),
        ("사진이야 {share:photo}", "사진이야"),
        ("&name&아 뭐해~~", f"{HOLE}아 뭐해~~"),
        ("-끝- ((진짜))", "-끝- ((진짜))"),
    ],
)
def test_what_was_typed_keeps_its_signs(form: str, text: str) -> None:
    assert of_utterances(form, identifier="MDRW2000000001.1") == text


def test_masks_of_web_text_are_holes() -> None:
    document = {"id": "ESRW1.1", "paragraph": [{"form": "&name&씨가 -여기- 왔다~"}, {"form": "글"}]}
    [found] = read(json.dumps({"document": [document]}).encode())
    assert isinstance(found, Document)
    assert found.text == f"{HOLE}씨가 -여기- 왔다~\n글"
