"""Rows are counted as the records use them; specials and [unusedN] are no part of it."""

from pathlib import Path

import numpy as np

from data_pipeline.contract.tokenizer import Tokenizer, hugging_face_files
from data_pipeline.corpus.vocabulary.report import unknown_characters
from data_pipeline.corpus.vocabulary.usage import token_usage

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[unused0]", "가", "##가", "나", "##나", "다"]


def test_rows_are_sorted_by_use(tmp_path: Path) -> None:
    for name, content in hugging_face_files(PIECES, False).items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    counts = np.array([900, 7, 900, 900, 0, 0, 1, 9, 10, 0, 123])
    assert token_usage(Tokenizer(tmp_path), counts) == {
        "rarest_pieces": [["가", 1], ["##가", 9], ["나", 10], ["다", 123]],
        "most_frequent_pieces": [["다", 123], ["나", 10], ["##가", 9], ["가", 1]],
        "never_used": 1,
        "used_by_power_of_ten": [2, 1, 1],
    }


def test_what_is_unknown_is_counted_in_characters_of_the_words_that_are_lost(tmp_path: Path) -> None:
    for name, content in hugging_face_files(PIECES, False).items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    tokenizer = Tokenizer(tmp_path)
    assert unknown_characters(tokenizer, ["가나 다", "가나힣 다", "힣" * 30 + ". 가"]) == 3 + 30 + 1
    assert unknown_characters(tokenizer, ["가" * 101 + " 가"]) == 101
    assert unknown_characters(tokenizer, []) == 0
