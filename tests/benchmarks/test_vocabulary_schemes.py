"""The comparison of schemes hides the same eojeols from all, judges cuts by hand-made boundaries, and leaks no review."""

import gzip
import json
import math
from pathlib import Path

import jax
import numpy as np
import pytest

from benchmarks.vocabulary_schemes.boundaries import Eojeol, agreement, gold
from benchmarks.vocabulary_schemes.hidden_eojeols import Question, bits_per_character, questions, rows_of
from benchmarks.vocabulary_schemes.sentiment import sentiment_task
from data_pipeline.contract.tokenizer import SPECIAL_TOKENS, Tokenizer, hugging_face_files
from pretrain.models.bert.config import BertConfig
from pretrain.models.bert.model import Bert
from pretrain.models.protocols import Compute

LETTERS = "가나다라마바사학교에서는"


def tokenizer_of(folder: Path, *merges: str) -> Tokenizer:
    folder.mkdir()
    rows = [*SPECIAL_TOKENS, *LETTERS, *(f"##{letter}" for letter in LETTERS), *merges]
    for name, content in hugging_face_files(rows, lowercase=False).items():
        (folder / name).write_text(content, encoding="utf-8")
    return Tokenizer(folder)


@pytest.fixture
def letters(tmp_path: Path) -> Tokenizer:
    return tokenizer_of(tmp_path / "letters")


@pytest.fixture
def merged(tmp_path: Path) -> Tokenizer:
    return tokenizer_of(tmp_path / "merged", "학교", "##에서")


def test_gold_leaves_out_eojeols_whose_lemmas_are_not_the_eojeol(tmp_path: Path, merged: Tokenizer) -> None:
    lines = [
        "# text = x",
        "1\t학교에서는\t학교+에서+는\tNOUN",
        "2\t했다\t하+었+다\tVERB",
        "3\t가나\t가나\tADV",
        "4\t+\t+\tPUNCT",
    ]
    (tmp_path / "ko.conllu").write_text("\n".join(lines), encoding="utf-8")
    treebank = gold(tmp_path)
    assert treebank.of == 4
    assert treebank.eojeols == (Eojeol("학교에서는", frozenset({2, 4})), Eojeol("가나", frozenset()))
    found = agreement(merged, treebank.eojeols)  # 학교 ##에서 ##는, 가 ##나
    assert (found.precision, found.recall) == (2 / 3, 1.0)
    assert found.f1 == pytest.approx(0.8)


def test_all_vocabularies_are_asked_for_the_same_eojeols(letters: Tokenizer, merged: Tokenizer) -> None:
    texts = [
        "학교에서는 가 나 다 라 마 바",
        "가 나",
        "가 없음 나 다 라",
        "가나 다라 마바 사",
        " ".join(["가나다라마바사학교"] * 9),
    ]
    asked = questions(texts, [letters, merged], most=10, seed=0)
    assert {question.text for question in asked} == {texts[0], texts[3]}  # too short, [UNK], too long by letters
    assert asked == questions(texts, [letters, merged], most=10, seed=0)
    assert all(len(question.hidden) == 1 for question in asked)


def test_pieces_of_an_eojeol_are_asked_from_left_to_right(merged: Tokenizer) -> None:
    rows = rows_of(Question("가 학교에서는 나 다라", (1, 3)), merged)
    shown = [
        " ".join(merged.pieces[token] for token in line if token != merged.special.pad) for line in rows.tokens.tolist()
    ]
    assert shown == [
        "[CLS] 가 [MASK] [MASK] [MASK] 나 [MASK] [MASK] [SEP]",
        "[CLS] 가 학교 [MASK] [MASK] 나 [MASK] [MASK] [SEP]",
        "[CLS] 가 학교 ##에서 [MASK] 나 [MASK] [MASK] [SEP]",
        "[CLS] 가 [MASK] [MASK] [MASK] 나 [MASK] [MASK] [SEP]",
        "[CLS] 가 [MASK] [MASK] [MASK] 나 다 [MASK] [SEP]",
    ]
    assert [merged.pieces[piece] for piece in rows.pieces] == ["학교", "##에서", "##는", "다", "##라"]
    assert rows.positions.tolist() == [2, 3, 4, 6, 7]


def test_a_model_that_knows_nothing_needs_the_logarithm_of_the_rows_for_each_piece(
    letters: Tokenizer, merged: Tokenizer
) -> None:
    asked = [Question("가 학교에서는 나 다라", (1, 3))] * 20  # more rows than the model sees at once
    for tokenizer, pieces in ((letters, 7), (merged, 5)):
        config = BertConfig(1, 8, 1, 8, max_position_embeddings=64)
        model = Bert(config, tokenizer.size, frozenset({"vocabulary"}), Compute())
        params = jax.tree.map(np.zeros_like, jax.device_get(model.init(jax.random.key(0))))
        bits = bits_per_character(model, params, tokenizer, asked)
        assert bits == pytest.approx(pieces * math.log2(tokenizer.size) / 7, rel=1e-5)


def test_no_movie_and_no_text_is_in_both_halves_of_the_sentiment_task(tmp_path: Path) -> None:
    rows = [
        {"text": f"감상 {number % 900}", "rating": 1 + number % 10, "movie_id": str(number // 10)}
        for number in range(2000)
    ]
    path = tmp_path / "reviews.jsonl.gz"
    path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
    task = sentiment_task(path, skip=100, train=100, test=40, seed=0)
    train, test = ({review.text for review in reviews} for reviews in (task.train, task.test))
    assert (len(task.train), len(task.test)) == (100, 40)
    assert not train & test
    assert not (train | test) & {row["text"] for row in rows[:100]}
    assert sum(review.positive for review in task.train) == 50
    assert sum(review.positive for review in task.test) == 20
    movies = {row["text"]: row["movie_id"] for row in reversed(rows[100:])}
    assert not {movies[text] for text in train} & {movies[text] for text in test}
