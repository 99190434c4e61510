"""Masked text shows no personal data and nothing else less."""

import pytest

from data_pipeline.corpus.document import Document, Sentence
from data_pipeline.corpus.steps.pseudonyms.masked import MASK, masked, replacements
from data_pipeline.corpus.steps.pseudonyms.step import pseudonymiser
from data_pipeline.recipe import Pseudonyms

NUMBER, MAIL = "010-4823-7761", "jjang_99@naver.com"


def document(*sentences: str) -> Document:
    return Document("a:1", "s", " ".join(sentences), tuple(Sentence(text, " ") for text in sentences))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"번호는 {NUMBER} 입니다.", "번호는 010-••••-•••• 입니다."),
        (f"1 번호\n번호는 {NUMBER}\n2 번호", "1 번호\n번호는 010-••••-••••\n2 번호"),
        ("2019년 4월 3일에 1,200명이 왔다.", "2019년 4월 3일에 1,200명이 왔다."),
    ],
)
def test_letters_and_digits_of_values_are_masked(text: str, shown: str) -> None:
    assert masked(text) == shown


def test_what_is_not_replaced_is_masked_beside_the_pseudonyms() -> None:
    before = document("안녕하세요.", f"번호는 {NUMBER}, 메일은 {MAIL} 입니다.", "끝입니다.")
    after = pseudonymiser(Pseudonyms(email=False), seed=0)(before)
    assert isinstance(after, Document)
    [(kinds, hidden, shown)] = replacements(before, after)
    assert kinds == {"mobile"}
    for text in (hidden, shown):
        assert NUMBER not in text
        assert MAIL not in text
    assert MASK in hidden
    assert shown.startswith("번호는 010-")
    assert MASK not in shown.split(",")[0]
