"""The metrics of tasks of one's own."""

import pytest

from pretrain.evaluate.metrics import golden_value

GOLD = [["B-LC", "I-LC", "O"], ["O", "B-PS"]]
SAID = [["B-LC", "I-LC", "O"], ["B-PS", "B-PS"]]


def reversed_tags(sentences: list[list[str]]) -> list[list[str]]:
    return [["-".join(reversed(tag.split("-"))) for tag in tags] for tags in sentences]


def test_entity_f1_reads_both_ways_of_writing_tags() -> None:
    expected = 2 * 2 / (3 + 2)
    assert golden_value("entity_f1", {"preds": SAID, "labels": GOLD}) == pytest.approx(expected)
    assert golden_value("entity_f1", {"preds": reversed_tags(SAID), "labels": reversed_tags(GOLD)}) == pytest.approx(
        expected
    )


def test_tag_accuracy_counts_words() -> None:
    assert golden_value("tag_accuracy", {"preds": SAID, "labels": GOLD}) == pytest.approx(4 / 5)


def test_no_answer_is_right_where_there_is_none() -> None:
    examples = [{"qas_id": "1", "answers": [{"text": "서울 시"}, {"text": "서울"}]}, {"qas_id": "2", "answers": []}]
    for texts, exact, f1 in ((("'서울'", ""), 1.0, 1.0), (("서울역", "서울"), 0.0, 0.4), (("", ""), 0.5, 0.5)):
        inputs = {"predictions": dict(zip("12", texts, strict=True)), "examples": examples}
        assert golden_value("exact_match", inputs) == exact
        assert golden_value("character_f1", inputs) == pytest.approx(f1)
