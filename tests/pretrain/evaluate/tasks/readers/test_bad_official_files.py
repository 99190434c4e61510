"""Damaged official files: one sentence that names file, row and field. Fixtures have the official schemas."""

import json
from pathlib import Path
from typing import Any

import pytest

from data_pipeline.contract.errors import InputError
from pretrain.evaluate.tasks.klue import SLOTS
from pretrain.evaluate.tasks.registry import TASKS

NLI = {"guid": "nli_0", "premise": "비가 온다.", "hypothesis": "날이 맑다.", "gold_label": "contradiction"}
STS = {
    "guid": "sts_0",
    "sentence1": "비가 온다.",
    "sentence2": "비 온다.",
    "labels": {"label": 4.1, "real-label": 4.14},
}
RE = {
    "guid": "re_0",
    "sentence": "홍길동은 서울에서 태어났다.",
    "subject_entity": {"word": "홍길동", "start_idx": 0, "end_idx": 2, "type": "PER"},
    "object_entity": {"word": "서울", "start_idx": 5, "end_idx": 6, "type": "LOC"},
    "label": "per:place_of_birth",
}
QUESTION = {"id": "q1", "question": "한강은 어디를 지나나?", "answers": [{"text": "서울", "answer_start": 8}]}
USER = {"role": "user", "text": "종로에서 먹을래요.", "state": ["식당-지역-서울 중앙"]}
NER = "## ner_0\t<서울:LC> 간다\n서\tB-LC\n울\tI-LC\n \tO\n간\tO\n다\tO\n"
DP = "## dp_0\t비가 온다.\n1\t비가\t비 가\tNNG+JKS\t2\tNP_SBJ\n2\t온다.\t오 ㄴ다 .\tVV+EF+SF\t0\tVP\n"


def entity(**changes: Any) -> dict[str, Any]:
    return {**RE, "object_entity": {"word": "서울", "start_idx": 5, "end_idx": 6, "type": "LOC", **changes}}


def squad(**changes: Any) -> str:
    paragraph = {"context": "한강은 길다. 서울을 지난다.", "qas": [{**QUESTION, **changes}]}
    return json.dumps({"data": [{"title": "한강", "paragraphs": [paragraph]}]})


def wos(**changes: Any) -> str:
    return json.dumps([{"guid": "wos_0", "dialogue": [{**USER, **changes}]}])


def rows(*fields: dict[str, Any]) -> str:
    return json.dumps(fields, ensure_ascii=False)


BAD = {
    "missing field": ("klue_nli", rows({"guid": "nli_0", "premise": "비"}), ': row 1 (nli_0): field "hypothesis" is missing (found: guid, premise)'),
    "null": ("klue_nli", rows({**NLI, "premise": None}), ': row 1 (nli_0): field "premise" is missing (found: guid, premise, hypothesis, gold_label)'),
    "no text": ("klue_nli", rows({**NLI, "premise": 3}), ': row 1 (nli_0): field "premise" must be text, found 3; correct the row'),
    "unknown label": ("klue_nli", rows(NLI, {**NLI, "guid": "nli_1", "gold_label": "entailed"}), ': row 2 (nli_1): field "gold_label" is "entailed", not one of entailment, contradiction, neutral (did you mean entailment?); correct the row'),
    "no label yet": ("klue_nli", rows({**NLI, "gold_label": "-"}), ': row 1 (nli_0): field "gold_label" is "-", not one of entailment, contradiction, neutral; correct the row'),
    "empty text": ("klue_nli", rows({**NLI, "hypothesis": " "}), ': row 1 (nli_0): field "hypothesis" is empty; fill it or remove the row'),
    "duplicate names": ("klue_nli", rows(NLI, NLI), ': 2 rows have the name "nli_0", and predictions are kept by name; rename them'),
    "NUL": ("klue_nli", rows({**NLI, "premise": "비\0가"}), ': row 1 (nli_0): field "premise" holds a NUL byte; correct the row'),
    "half a character": ("klue_nli", rows(NLI).replace("비가", "\\ud83d"), ': row 1 (nli_0): field "premise" holds half a character (a lone surrogate); correct the row'),
    "NUL in a context": ("korquad", squad(question="\0"), ': question q1: field "question" holds a NUL byte; correct the row'),
    "NUL among words": ("naver_ner", "가 \0\tO O\n", ":1: unit 2 holds a NUL byte; correct the row"),
    "truncated JSON": ("klue_nli", '[\n{"guid": "nli_0",', ":2: not readable as JSON (Expecting property name enclosed in double quotes); restore the file"),
    "no list": ("klue_nli", '"text"', ": not a list of rows but str; restore the file"),
    "no rows": ("klue_nli", "[]", ": the file has no rows; restore it"),
    "empty file": ("nsmc", "", ": the file has no rows; restore it"),
    "only a header": ("nsmc", "id\tdocument\tlabel\n", ": the file has no rows; restore it"),
    "score out of range": ("klue_sts", rows({**STS, "labels": {"real-label": 7}}), ': row 1 (sts_0): field "labels.real-label" must be 0 to 5, found 7; correct the row'),
    "score missing": ("klue_sts", rows({**STS, "labels": {"label": 4.1}}), ': row 1 (sts_0): field "labels.real-label" is missing (found: label)'),
    "scores that are no object": ("klue_sts", rows({**STS, "labels": 4.1}), ': row 1 (sts_0): field "labels" must be a JSON object, found 4.1; correct the row'),
    "missing column": ("nsmc", "id\treview\tlabel\n1\t좋다\t1\n", ':2: field "document" is missing (found: id, review, label)'),
    "cut row": ("nsmc", "id\tdocument\tlabel\n1\t좋다\n", ":2: 2 columns where the header has 3 (id, document, label); restore the line"),
    "score that is no number": ("korsts", "score\tsentence1\tsentence2\nnan\t가\t나\n", ':2: field "score" must be a number, found "nan"; correct the row'),
    "entity outside": ("klue_re", rows(entity(end_idx=60)), ': row 1 (re_0): field "object_entity.start_idx" and end_idx are 5 and 60, outside the sentence of 15 characters; correct the row'),
    "entity elsewhere": ("klue_re", rows(entity(start_idx=6, end_idx=7)), ': row 1 (re_0): field "object_entity.word" is "서울", but the sentence has "울에" there; correct the row'),
    "entities overlap": ("klue_re", rows(entity(word="동은", start_idx=2, end_idx=3)), ': row 1 (re_0): field "object_entity" overlaps subject_entity; correct the row'),
    "index that is no whole number": ("klue_re", rows(entity(start_idx=5.5)), ': row 1 (re_0): field "object_entity.start_idx" must be a whole number, found 5.5; correct the row'),
    "unknown relation": ("klue_re", rows({**RE, "label": "per:place_of_brith"}), ': row 1 (re_0): field "label" is "per:place_of_brith", not one of no_relation, org:dissolved, org:founded, org:place_of_headquarters, org:alternate_names, org:member_of, org:members, org:political/religious_affiliation, org:product, org:founded_by, org:top_members/employees, org:number_of_employees/members, ... (did you mean per:place_of_birth?); correct the row'),
    "unknown tag": ("klue_ner", NER.replace("I-LC", "I-LOC"), ": sentence ner_0: tag 2 is \"I-LOC\", not one of B-PS, I-PS, B-LC, I-LC, B-OG, I-OG, B-DT, I-DT, B-TI, I-TI, B-QT, I-QT, ... (did you mean I-LC?); correct the row"),
    "a line without a tag": ("klue_ner", NER.replace("울\tI-LC", "울"), ":3: 1 columns instead of 2; restore the line"),
    "words and tags": ("naver_ner", "가 나 다\tO O O\n라 마\tO\n", ":2: 2 words and 1 tags; restore the line"),
    "tag of another set": ("naver_ner", "가 나\tO B-PER\n", ':1: tag 2 is "B-PER", not one of O, PER-B, PER-I, FLD-B, FLD-I, AFW-B, AFW-I, ORG-B, ORG-I, LOC-B, LOC-I, CVL-B, ...; correct the row'),
    "no word": ("naver_ner", "가  나\tO O O\n", ":1: unit 2 is empty; correct the row"),
    "head outside": ("klue_dp", DP.replace("\t2\t", "\t3\t"), ': sentence dp_0: HEAD 1 is "3", not 0 to 2 or the eojeol itself; restore the line'),
    "head that is itself": ("klue_dp", DP.replace("\t2\t", "\t1\t"), ': sentence dp_0: HEAD 1 is "1", not 0 to 2 or the eojeol itself; restore the line'),
    "unknown dependency": ("klue_dp", DP.replace("NP_SBJ", "SBJ"), ': sentence dp_0: DEPREL 1 is "SBJ", not one of NP, NP_AJT, VP, NP_SBJ, VP_MOD, NP_OBJ, AP, NP_CNJ, NP_MOD, VNP, DP, VP_AJT, ...; correct the row'),
    "unknown part of speech": ("klue_dp", DP.replace("+JKS", "+JOSA"), ': sentence dp_0: the last POS of eojeol 1 is "JOSA", not one of NNG, NNP, NNB, NP, NR, VV, VA, VX, VCP, VCN, MMA, MMD, ...; correct the row'),
    "answer outside": ("korquad", squad(answers=[{"text": "서울", "answer_start": 80}]), ': question q1: the answer "서울" at 80 is outside its context of 16 characters; correct the row'),
    "answer elsewhere": ("korquad", squad(answers=[{"text": "서울", "answer_start": 9}]), ': question q1: the context has "울을" at 9, not the answer "서울"; correct the row'),
    "negative start": ("korquad", squad(answers=[{"text": "서울", "answer_start": -8}]), ': question q1: the answer "서울" at -8 is outside its context of 16 characters; correct the row'),
    "empty question": ("korquad", squad(question=""), ': question q1: field "question" is empty; fill it or remove the row'),
    "no answer": ("korquad", squad(answers=[]), ': question q1: field "answers" is empty; restore the file'),
    "answer without start": ("korquad", squad(answers=[{"text": "서울"}]), ': data[0].paragraphs[0].qas[0] has no "answer_start" (int) as SQuAD files do; restore the file'),
    "slot unknown": ("klue_wos", wos(state=["식당-위치-서울 중앙"]), ': row 1 (wos_0): field "dialogue[0].state" has the slot "식당-위치"'),
    "state without a value": ("klue_wos", wos(state=["식당-지역"]), ': row 1 (wos_0): field "dialogue[0].state" has "식당-지역", not DOMAIN-SLOT-VALUE; correct the row'),
    "state missing": ("klue_wos", wos(state=None), ': row 1 (wos_0): field "dialogue[0].state" is missing (found: role, text, state)'),
    "unknown role": ("klue_wos", wos(role="usr"), ': row 1 (wos_0): field "dialogue[0].role" is "usr", not one of user, sys (did you mean user?); correct the row'),
    "nobody speaks": ("klue_wos", rows({"guid": "wos_0", "dialogue": []}), ': row 1 (wos_0): field "dialogue" has no turn of the user; restore the file'),
}  # fmt: skip


@pytest.mark.parametrize(("name", "content", "message"), BAD.values(), ids=list(BAD))
def test_a_damaged_file_is_one_sentence_with_file_row_and_field(
    tmp_path: Path, name: str, content: str, message: str
) -> None:
    path = tmp_path / "file"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError) as error:
        TASKS[name].read(path)
    assert str(error.value).startswith(f"{path}{message}")
    assert "\n" not in str(error.value)


ONTOLOGY: dict[str, Any] = {slot: ["none"] for slot in SLOTS}
BAD_ONTOLOGIES = {
    "slot unknown": ({**ONTOLOGY, "식당-위치": []}, 'has the slot "식당-위치", not one of 관광-경치 좋은,'),
    "slot missing": ({"식당-지역": []}, "has 1 of 45 slots, 관광-경치 좋은 is missing; restore the file"),
    "no object": (["식당-지역"], "must be a JSON object with a list of values for each slot; restore the file"),
}


@pytest.mark.parametrize(("ontology", "message"), BAD_ONTOLOGIES.values(), ids=list(BAD_ONTOLOGIES))
def test_an_ontology_of_other_slots_is_one_sentence(tmp_path: Path, ontology: Any, message: str) -> None:
    path = tmp_path / "wos-v1.1_dev.json"
    path.write_text(wos(), encoding="utf-8")
    (tmp_path / "ontology.json").write_text(json.dumps(ontology), encoding="utf-8")
    with pytest.raises(InputError) as error:
        TASKS["klue_wos"].read(path)
    assert str(error.value).startswith(f"{tmp_path / 'ontology.json'}: {message}")
    (tmp_path / "ontology.json").write_text(json.dumps(ONTOLOGY), encoding="utf-8")
    assert len(TASKS["klue_wos"].read(path)) == 1


@pytest.mark.parametrize("name", ["nsmc", "klue_nli", "klue_ner", "naver_ner"])
def test_cp949_is_told_with_its_line(tmp_path: Path, name: str) -> None:
    text = {"nsmc": "id\tdocument\tlabel\n1\t좋다\t1\n", "klue_nli": rows(NLI).replace("[", "[\n"), "klue_ner": NER}
    path = tmp_path / "file"
    path.write_bytes(text.get(name, "a b\tO O\n가 나\tO O\n").encode("cp949"))
    line = 1 if name == "klue_ner" else 2
    with pytest.raises(InputError, match=rf"file:{line}: not UTF-8 \(.*\); convert the file to UTF-8$"):
        TASKS[name].read(path)


def test_marks_and_line_ends_of_windows_change_nothing(tmp_path: Path) -> None:
    plain, windows = tmp_path / "a" / "file", tmp_path / "b" / "file"
    for name, content in (("nsmc", "id\tdocument\tlabel\n1\t좋다\t1\n"), ("klue_ner", NER), ("klue_sts", rows(STS))):
        for path, end, mark in ((plain, "\n", ""), (windows, "\r\n", "\ufeff")):
            path.parent.mkdir(exist_ok=True)
            path.write_bytes((mark + content.replace("\n", end)).encode())
        assert TASKS[name].read(plain) == TASKS[name].read(windows)
