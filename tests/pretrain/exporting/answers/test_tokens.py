"""The tokens of a text come with their words and eojeols, and rows are padded to few lengths without any other answer."""

from pathlib import Path

import numpy as np
import pytest
from families import FAMILIES, drawn, stored

from data_pipeline.contract.tokenizer import Tokenizer, hugging_face_files
from pretrain.exporting.answers import tokens
from pretrain.exporting.answers.lengths import padded_length
from pretrain.exporting.answers.tokens import quoted, suspicions, tokens_of
from pretrain.exporting.continuation import _continued, continuations
from pretrain.models.bert.config import BertConfig
from pretrain.models.registry import family_of
from pretrain.subject import Subject, load_subject

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "공", "##을", "차", "##며", "."]


@pytest.mark.parametrize(
    ("count", "longest", "length"), [(1, None, 32), (32, 512, 32), (33, 512, 64), (200, 512, 256), (300, 384, 384)]
)
def test_rows_have_one_of_few_lengths_that_the_model_reads(count: int, longest: int | None, length: int) -> None:
    assert padded_length(count, longest) == length


def test_tokens_tell_where_words_and_eojeols_start(tmp_path: Path) -> None:
    for name, content in hugging_face_files(WORDS, lowercase=False).items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    tokenizer = Tokenizer(tmp_path)
    tokenizer.backend.encode_special_tokens = False
    config = BertConfig(vocab_size=len(WORDS))
    subject = Subject(family_of(config), config, frozenset(), {}, tokenizer, "model")
    found = tokens_of(subject, "공을 [MASK] 힣며.")
    told = [(t.piece, t.text, t.starts_word, t.starts_eojeol, t.unknown) for t in found if not t.special]
    assert told == [
        ("공", "공", True, True, False),
        ("##을", "을", False, False, False),
        ("[MASK]", "[MASK]", True, True, False),
        ("[UNK]", "힣며", True, True, True),
        (".", ".", True, False, False),
    ]
    assert [(t.id, t.piece) for t in found if t.special] == [(2, "[CLS]"), (3, "[SEP]")]


def test_padding_changes_no_answer_and_texts_of_like_lengths_share_a_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = load_subject(stored(tmp_path / "model", *drawn(FAMILIES["electra"].config, frozenset({"replaced"}))))
    texts = ["가 각", "갂 " * 20]
    padded = [[each.probability for each in suspicions(subject, text)] for text in texts]
    assert subject._forward._cache_size() == 1  # type: ignore[attr-defined]
    monkeypatch.setattr(tokens, "padded_length", lambda count, longest: count)
    for text, ours in zip(texts, padded, strict=True):
        np.testing.assert_allclose([each.probability for each in suspicions(subject, text)], ours, atol=1e-6)


def test_prompts_tokens_and_temperatures_share_a_program(tmp_path: Path) -> None:
    subject = load_subject(stored(tmp_path / "model", *drawn(FAMILIES["gpt2"].config, frozenset({"next_token"}))))
    settings = {"count": 2, "top_k": 5, "seed": 0}
    first = continuations(subject, "가 각 갂", tokens=8, temperature=1.0, **settings)
    compiled = _continued._cache_size()
    for text, tokens_, temperature in (("가", 3, 0.5), ("가 각 갂 갃 간", 20, 2.0)):
        continuations(subject, text, tokens=tokens_, temperature=temperature, **settings)
    again = continuations(subject, "가 각 갂", tokens=4, temperature=1.0, **settings)
    assert _continued._cache_size() == compiled
    assert [one.startswith(other) for one, other in zip(first, again, strict=True)] == [True, True]


def test_errors_quote_the_beginning_of_a_text() -> None:
    assert quoted("가" * 60) == repr("가" * 60)
    assert quoted("가" * 61) == repr("가" * 60 + "...")
