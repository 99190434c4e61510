"""Tags of characters and words become tags of tokens, and come back."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from data_pipeline.contract.tokenizer import Tokenizer
from pretrain.evaluate.kinds.official_characters import official_characters
from pretrain.evaluate.kinds.tags import encode_tags, gold_tags, predicted_tags
from pretrain.evaluate.tasks.examples import TagExample

LABELS = ("B-LC", "I-LC", "B-PS", "I-PS", "O")
NAVER = ("O", "LOC-B", "LOC-I")


def characters(text: str, tags: str) -> TagExample:
    """`tags` has a digit for each character, the id of its tag."""
    return TagExample("one", tuple(text), tuple(LABELS[int(tag)] for tag in tags), "")


def pieces(tokenizer: Tokenizer, ids: np.ndarray) -> list[str]:
    return [tokenizer.pieces[number] for number in ids]


def test_a_token_is_labelled_by_its_first_character_and_special_tokens_are_outside(small: Tokenizer) -> None:
    example = characters("서울에서 가나.", "01444234")
    [row] = encode_tags(small, [example], LABELS, 20)
    assert pieces(small, row.tokens) == ["[CLS]", "서울", "##에서", "가", "##나", ".", "[SEP]"]
    assert row.label.tolist() == [4, 0, 4, 2, 3, 4, 4]
    found = predicted_tags(small, example, row, row.label, LABELS)
    assert found.units == found.official == gold_tags(example, 9)
    assert found.units == ("O", "B-LC", "I-LC", "O", "O", "B-PS", "I-PS", "O", "O")


def test_special_tokens_are_scored_as_predicted(small: Tokenizer) -> None:
    example = characters("서울", "01")
    [row] = encode_tags(small, [example], LABELS, 20)
    found = predicted_tags(small, example, row, np.array([2, 0, 1]), LABELS)
    assert found.units == found.official == ("B-PS", "B-LC", "I-LC", "I-LC")


def test_what_is_cut_off_is_not_scored(small: Tokenizer) -> None:
    example = characters("가나 다라마", "01 234".replace(" ", "4"))
    [row] = encode_tags(small, [example], LABELS, 5)
    assert pieces(small, row.tokens) == ["[CLS]", "가", "##나", "다", "[SEP]"]
    found = predicted_tags(small, example, row, row.label, LABELS)
    assert found.units == found.official == gold_tags(example, len(found.units)) == ("O", "B-LC", "I-LC", "B-PS", "O")


def test_a_character_that_the_tokenizer_drops_belongs_to_the_token_before(small: Tokenizer) -> None:
    example = characters("가\u200b나 \u200b다", "014423")
    [row] = encode_tags(small, [example], LABELS, 20)
    assert row.places.tolist() == [1, 1, 2, 3, 3]
    assert row.label.tolist() == [4, 0, 4, 2, 4]


def test_the_baseline_loses_count_behind_an_unknown_eojeol(small: Tokenizer) -> None:
    example = characters("한한 서울 가나", "01423401")
    [row] = encode_tags(small, [example], LABELS, 20)
    assert pieces(small, row.tokens) == ["[CLS]", "[UNK]", "서울", "가", "##나", "[SEP]"]
    found = predicted_tags(small, example, row, row.label, LABELS)
    assert found.units == gold_tags(example, 8)
    # 서울 has the prediction of [UNK], 가 that of 서울, 나 that of 가.
    assert found.official == ("O", "B-LC", "I-LC", "B-LC", "I-LC", "B-PS", "B-LC", "O")


def test_the_baseline_takes_a_token_behind_an_unknown_one_for_a_character() -> None:
    tags = ["O", "B-PS", "O", "B-LC", "I-LC", "I-PS"]
    # Its own example: 베쏭이,제5원소 -> [UNK] , 제 ##5 ##원소, written with fewer tokens.
    found = official_characters(["베쏭이,제5"], [["[UNK]", ",", "제", "##5"]], tags, "[UNK]")
    assert found == ["O", "B-PS", "I-PS", "I-PS", "O", "O", "B-LC", "I-PS"]
    assert len(official_characters(["한,서울"], [["[UNK]", ",", "서울"]], tags, "[UNK]")) == 1 + 3 + 1


ODD = st.sampled_from([*"가나다서한", "😀", "\u200b", " ", "\u1100\u1161", "서울", "."])


@given(st.lists(ODD, min_size=1, max_size=15).map("".join), st.integers(4, 20), st.data())
def test_gold_tags_come_back_where_each_character_has_a_token(
    small: Tokenizer, text: str, max_length: int, data: st.DataObject
) -> None:
    text = text.strip(" ") or "가"
    tags = data.draw(st.text("0123", min_size=len(text), max_size=len(text)))
    example = characters(text, tags)
    [row] = encode_tags(small, [example], LABELS, max_length)
    found = predicted_tags(small, example, row, row.label, LABELS).units
    gold = gold_tags(example, len(found))
    first = [True, *(one != other for one, other in pairwise(row.places)), True, True]
    assert len(row.tokens) <= max_length
    assert len(found) == len(gold) == len(first)
    assert all(one == other for one, other, alone in zip(found, gold, [True, *first], strict=False) if alone)
    assert len(row.tokens) == max_length or len(found) - 2 == len(text) - text.count(" ")


def test_the_first_token_of_a_word_is_labelled_and_nothing_else(small: Tokenizer) -> None:
    example = TagExample("one", ("서울에서", "\u200b", "가나", "다"), ("LOC-B", "O", "LOC-I", "O"), " ")
    [row, short] = [encode_tags(small, [example], NAVER, length)[0] for length in (20, 5)]
    assert pieces(small, row.tokens) == ["[CLS]", "서울", "##에서", "[UNK]", "가", "##나", "다", "[SEP]"]
    assert row.label.tolist() == [-1, 1, -1, 0, 2, -1, 0, -1]
    assert predicted_tags(small, example, row, row.label, NAVER) == (("LOC-B", "O", "LOC-I", "O"), ())
    assert pieces(small, short.tokens) == ["[CLS]", "서울", "##에서", "[UNK]", "[SEP]"]
    assert predicted_tags(small, example, short, short.label, NAVER).units == gold_tags(example, 2)
