"""KLUE-MRC and KorQuAD: two normalisations, and the oddities of both scores."""

import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_pipeline.contract.errors import InputError
from pretrain.evaluate.metrics import golden_value
from pretrain.evaluate.metrics.answers import (
    klue_exact_match,
    klue_rouge_w,
    korquad_character_f1,
    normalize_klue,
    normalize_korquad,
)


@pytest.mark.parametrize(
    ("text", "klue", "korquad"),
    [
        ("《해리 포터》", "《해리 포터》", "해리 포터"),
        ("A'B", "ab", "a b"),
        ("(주)카카오", "주카카오", "주 카카오"),
        ("<무한도전>", "무한도전", "무한도전"),
        ("‘봄날’ “봄날” 「봄날」", "‘봄날’ “봄날” 「봄날」", "봄날 “봄날” 「봄날」"),
        ("3.1\u3000운동!\n", "31 운동", "31 운동"),
        ("１８：００", "１８：００", "１８：００"),
        ("한\u200b강", "한\u200b강", "한\u200b강"),
        ("가'()‘’나", "가 나", "가 나"),  # the one thing that KLUE's pattern matches
    ],
)
def test_texts_are_normalised_as_each_benchmark_does(text: str, klue: str, korquad: str) -> None:
    assert (normalize_klue(text), normalize_korquad(text)) == (klue, korquad)


def test_nfd_is_another_text() -> None:
    assert klue_exact_match(unicodedata.normalize("NFD", "한강"), ["한강"]) == 0
    assert korquad_character_f1(unicodedata.normalize("NFD", "한강"), ["한강"]) == 0


def test_without_answers_an_empty_prediction_is_right() -> None:
    assert klue_exact_match("...", []) == klue_rouge_w("", []) == 1
    assert klue_exact_match("한강", []) == klue_rouge_w("한강", []) == 0


@given(st.text("가나 a'", max_size=12), st.lists(st.text("가나 a'", max_size=12), min_size=1, max_size=3))
def test_rouge_w_is_the_best_f1_of_the_longest_common_run(prediction: str, answers: list[str]) -> None:
    def score(given: str, answer: str) -> float:
        if not answer:
            return float(not given)
        runs = {given[i:j] for i in range(len(given)) for j in range(i + 1, len(given) + 1)}
        return 2 * max((len(run) for run in runs if run in answer), default=0) / (len(given) + len(answer))

    expected = max(score(normalize_klue(prediction), normalize_klue(answer)) for answer in answers)
    assert klue_rouge_w(prediction, answers) == pytest.approx(expected)


def test_frequent_characters_of_a_long_answer_start_no_run_officially() -> None:
    answer = "가나다라마" * 40
    assert klue_rouge_w("다라마가", [answer], autojunk=False) == pytest.approx(2 * 4 / 204)
    assert klue_rouge_w("다라마가", [answer]) == 0
    assert klue_rouge_w("다라마가", [answer[:199]]) == pytest.approx(2 * 4 / 203)


def dataset(**answers: list[str]) -> list[dict[str, Any]]:
    questions = [{"id": name, "answers": [{"text": text} for text in texts]} for name, texts in answers.items()]
    return [{"paragraphs": [{"qas": questions}]}]


def test_a_question_of_korquad_without_a_prediction_counts_with_0() -> None:
    inputs = {"dataset": dataset(a=["한강"], b=["한강", "강의 한"]), "predictions": {"b": "한 강의"}}
    assert golden_value("korquad_f1", inputs) == 50
    assert golden_value("korquad_em", inputs) == 0


def test_two_empty_texts_are_an_exact_match_without_f1() -> None:
    inputs = {"dataset": dataset(a=["()"]), "predictions": {"a": "!"}}
    assert (golden_value("korquad_em", inputs), golden_value("korquad_f1", inputs)) == (100, 0)


def test_a_question_that_cannot_be_scored_is_named() -> None:
    with pytest.raises(InputError, match="question q7 has no prediction"):
        golden_value("klue_mrc_em", {"predictions": {}, "examples": [{"qas_id": "q7", "answers": []}]})
    with pytest.raises(InputError, match="question q8 has no gold answer"):
        golden_value("korquad_em", {"dataset": dataset(q8=[]), "predictions": {"q8": ""}})
