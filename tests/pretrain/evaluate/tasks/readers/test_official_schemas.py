"""MRC and WoS, whose official files are not at hand, and quirks of the others, on fixtures of the official schemas."""

import json
from pathlib import Path
from typing import Any

from pretrain.evaluate.tasks.examples import (
    DialogueExample,
    Entity,
    GoldAnswer,
    RelationExample,
    SpanExample,
    TextExample,
    Turn,
)
from pretrain.evaluate.tasks.files import read_split
from pretrain.evaluate.tasks.registry import TASKS

CONTEXT = "한강은 길다. 서울을 지난다."


def question(guid: str, kind: int, **more: Any) -> dict[str, Any]:
    return {"guid": guid, "question": "어디를 지나나?", "question_type": kind, "is_impossible": kind == 3, **more}


MRC = {
    "version": "v1.1",
    "data": [
        {
            "title": "한강",
            "news_category": None,
            "source": "wikipedia",
            "paragraphs": [
                {
                    "context": CONTEXT,
                    "qas": [
                        question(
                            "mrc_0",
                            1,
                            answers=[{"text": "서울", "answer_start": 8}, {"text": "서울을", "answer_start": 8}],
                        ),
                        question("mrc_1", 3, answers=[], plausible_answers=[{"text": "길다", "answer_start": 4}]),
                    ],
                }
            ],
        }
    ],
}

WOS = [
    {
        "guid": "wos_0",
        "domains": ["식당", "택시"],
        "dialogue": [
            {"role": "user", "text": "종로 식당이요.", "state": ["식당-지역-서울 중앙"]},
            {"role": "sys", "text": "몇 시요?"},
            {
                "role": "user",
                "text": "택시도요.",
                "state": ["식당-지역-서울 중앙", "택시-종류-dontcare", "식당-이름-A-1"],
            },
            {"role": "sys", "text": "네."},
        ],
    }
]


def write(path: Path, value: object) -> Path:
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
    return path


def test_mrc_has_all_answers_and_questions_without_one(tmp_path: Path) -> None:
    path = write(tmp_path / "klue-mrc-v1.1_dev.json", MRC)
    found = read_split(TASKS["klue_mrc"], tmp_path, "dev")
    assert found.examples == [
        SpanExample(
            "mrc_0", "어디를 지나나?", CONTEXT, (GoldAnswer("서울", 8), GoldAnswer("서울을", 8)), False, "한강"
        ),
        SpanExample("mrc_1", "어디를 지나나?", CONTEXT, (), True, "한강"),
    ]
    assert (found.path, found.part) == (path, "2 rows (the official dev file has 5,841)")


def test_a_dialogue_is_an_example_for_each_turn_of_the_user(tmp_path: Path) -> None:
    write(tmp_path / "wos-v1.1_dev.json", WOS)
    found = read_split(TASKS["klue_wos"], tmp_path, "dev")
    first = (Turn("user", "종로 식당이요."),)
    assert found.examples == [
        DialogueExample("wos_0-0", "wos_0", first, ("식당-지역-서울 중앙",)),
        DialogueExample(
            "wos_0-1",
            "wos_0",
            (*first, Turn("sys", "몇 시요?"), Turn("user", "택시도요.")),
            ("식당-지역-서울 중앙", "택시-종류-dontcare", "식당-이름-A-1"),
        ),
    ]
    assert found.part == "1 rows (the official dev file has 1,000)"


def test_repeated_guids_of_relations_are_numbered(tmp_path: Path) -> None:
    row = {
        "guid": "re_0",
        "sentence": " 홍길동은 서울에서 태어났다.",
        "subject_entity": {"word": "홍길동", "start_idx": 1, "end_idx": 3, "type": "PER"},
        "object_entity": {"word": "서울", "start_idx": 6, "end_idx": 7, "type": "LOC"},
        "label": "per:place_of_birth",
    }
    path = write(tmp_path / "file", [row, row, row])
    examples = TASKS["klue_re"].read(path)
    assert [example.name for example in examples] == ["re_0", "re_0#2", "re_0#3"]
    # Blanks at the ends stay, since positions count them.
    assert examples[0] == RelationExample(
        "re_0", " 홍길동은 서울에서 태어났다.", Entity(1, 4, "PER"), Entity(6, 8, "LOC"), "per:place_of_birth"
    )


def test_pairs_that_a_translation_left_half_empty_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "dev_2k.tsv"
    path.write_text("id\tsentence1\tsentence2\tlabel\n1\t가\t\t0\n2\t가 \t나\t1\n", encoding="utf-8")
    assert TASKS["pawsx"].read(path) == [TextExample("dev_2k.tsv:3", "가", "나", "1")]


def test_quotation_marks_of_tables_are_text(tmp_path: Path) -> None:
    path = tmp_path / "ratings_test.txt"
    path.write_text('id\tdocument\tlabel\n1\t"좋다\t1\n2\t나쁘다"\t0\n', encoding="utf-8")
    assert [example.group for example in TASKS["nsmc"].read(path)] == ['"좋다', '나쁘다"']
