"""Tokens know the characters of the text as it was given, and rows have the special tokens of the tokenizer's template."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import processors

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.tokenizer import Tokenizer
from pretrain.evaluate.kinds.eojeols import eojeol_tokens
from pretrain.evaluate.kinds.pieces import frame_of, pieces_of

KOBERT = Path(__file__).resolve().parents[4] / "../shared/data/vocabularies/kobert_news_wiki_ko_cased.spiece"
NFD = "\u1100\u1161"  # one syllable of two code points
ODD = st.sampled_from(
    ["가", "나", "서울", NFD, "\u200b", "😀", "👨\u200d👩", " ", "  ", "\t", "한", ".", "\ufffd", "美"]
)


def cut(text: str, tokenizer: Tokenizer) -> list[str]:
    pieces = pieces_of(tokenizer, [text])[0]
    return [text[start:end] for start, end in zip(pieces.starts, pieces.ends, strict=True)]


def test_offsets_are_of_the_text_as_given(small: Tokenizer) -> None:
    assert cut("서울에서 가\u200b나", small) == ["서울", "에서", "가", "나"]
    assert cut(f"{NFD}나 👨\u200d👩 서울.", small) == [f"{NFD}나", "👨\u200d👩", "서울", "."]


@given(st.lists(ODD, max_size=12).map("".join))
def test_tokens_are_in_order_and_start_with_a_character(small: Tokenizer, text: str) -> None:
    pieces = pieces_of(small, [text])[0]
    assert list(pieces.starts) == sorted(pieces.starts)
    assert list(pieces.ends) == sorted(pieces.ends)
    assert all(part and not part[0].isspace() for part in cut(text, small))
    assert pieces.tokens.tolist() == small.backend.encode(text, add_special_tokens=False).ids


@pytest.mark.skipif(not KOBERT.exists(), reason="needs ../shared/data/vocabularies, which is absent")
def test_the_blank_before_a_word_of_sentencepiece_is_no_character_of_it() -> None:
    tokenizer = Tokenizer(KOBERT)
    assert cut("안녕 하세요  테스트입니다", tokenizer) == ["안", "녕", "", "하세요", "테스트", "입니다"]
    found = eojeol_tokens(tokenizer, [["안녕", "하세요"]])[0]
    assert [tokenizer.pieces[found.tokens[first]] for first in found.firsts] == ["▁안", "▁"]


def test_every_eojeol_has_a_token_unless_it_is_empty(small: Tokenizer) -> None:
    found = eojeol_tokens(small, [["\u200b", "서울에서", "", "가나", "\u200b"]])[0]
    owned = [
        [small.pieces[token] for token in found.tokens[first:end]]
        for first, end in zip(found.firsts, found.ends, strict=True)
    ]
    assert owned == [["[UNK]"], ["서울", "##에서"], [], ["가", "##나"], ["[UNK]"]]


def test_rows_have_the_template_of_the_tokenizer(small: Tokenizer) -> None:
    first, second = np.array([7, 8], np.int32), np.array([9], np.int32)
    assert [part.tolist() for part in frame_of(small).row(first)[:2]] == [[2, 7, 8, 3], [0, 0, 0, 0]]
    row = frame_of(small, pair=True).row(first, second)
    assert (row.tokens.tolist(), row.token_types.tolist()) == ([2, 7, 8, 3, 9, 3], [0, 0, 0, 0, 1, 1])
    assert (row.first, row.second) == (1, 4)


def test_a_template_may_have_a_token_in_front_only(small: Tokenizer) -> None:
    causal = Tokenizer(small.folder)
    causal.backend.post_processor = processors.TemplateProcessing(single="[SEP] $A", special_tokens=[("[SEP]", 3)])
    assert frame_of(causal).row(np.array([7], np.int32)).tokens.tolist() == [3, 7]


def test_a_row_without_room_is_refused(small: Tokenizer) -> None:
    assert frame_of(small).room(3) == 1
    with pytest.raises(
        InputError, match=r"--settings.max-length .* 2: leaves no room for text beside 2 special tokens"
    ):
        frame_of(small).room(2)
