"""SentencePiece's model files without SentencePiece: read as it reads them, written as it writes them, and others refused."""

import io
from pathlib import Path
from typing import Any

import pytest

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.sentencepiece_file import NORMAL, Piece, parse_sentencepiece, read_sentencepiece
from data_pipeline.contract.tokenizer import Tokenizer

sentencepiece = pytest.importorskip("sentencepiece")
WORDS = ["도서관에서", "책을", "읽었습니다", "학교에서", "공부를", "한다", "3.5%", "café", "책방"]


def trained(**options: Any) -> bytes:
    model = io.BytesIO()
    usual = {"vocab_size": 48, "model_type": "unigram", "minloglevel": 2, "num_threads": 1, "hard_vocab_limit": False}
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([f"{first} {second}" for first in WORDS for second in WORDS]),
        model_writer=model,
        **{**usual, **options},
    )
    content: bytes = model.getvalue()
    return content


@pytest.mark.parametrize(
    "options", [{}, {"normalization_rule_name": "identity"}, {"user_defined_symbols": ["[MASK]"], "pad_id": 3}]
)
def test_a_model_is_read_as_sentencepiece_reads_it_and_written_back_byte_for_byte(options: dict[str, Any]) -> None:
    content = trained(**options)
    model = parse_sentencepiece(content)
    theirs = sentencepiece.SentencePieceProcessor(model_proto=content)
    assert [(piece.text, piece.score) for piece in model.pieces] == [
        (theirs.id_to_piece(row), theirs.get_score(row)) for row in range(theirs.get_piece_size())
    ]
    assert [piece.kind != NORMAL for piece in model.pieces] == [
        theirs.is_unknown(row) or theirs.is_control(row) or theirs.id_to_piece(row) == "[MASK]"
        for row in range(len(model.pieces))
    ]
    assert bool(model.charsmap) == ("normalization_rule_name" not in options)
    assert model.to_bytes() == content


def test_a_model_with_other_rows_is_one_that_sentencepiece_loads() -> None:
    model = parse_sentencepiece(trained())
    turned = model.with_pieces(
        [*model.pieces[:3], *reversed(model.pieces[3:]), Piece("\u2581아주긴조각", -9.0, NORMAL)]
    )
    theirs = sentencepiece.SentencePieceProcessor(model_proto=turned.to_bytes())
    assert theirs.id_to_piece(theirs.get_piece_size() - 1) == "\u2581아주긴조각"
    assert parse_sentencepiece(turned.to_bytes()) == turned


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model_type": "bpe"}, r"m\.model: not a Unigram model; give its Hugging Face folder"),
        ({"add_dummy_prefix": False}, r"m\.model: treats blanks or unknown characters in a way"),
        ({"remove_extra_whitespaces": False}, r"m\.model: treats blanks or unknown characters in a way"),
        ({"byte_fallback": True, "vocab_size": 300}, r"m\.model: treats blanks or unknown characters in a way"),
    ],
)
def test_a_model_that_would_cut_otherwise_is_refused(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    (tmp_path / "m.model").write_bytes(trained(**options))
    with pytest.raises(InputError, match=message):
        Tokenizer(tmp_path)


def test_what_is_no_model_is_named(tmp_path: Path) -> None:
    content = trained()
    for broken in (b"", b"no model", content[: len(content) // 2], b"\n\xff\xff"):
        (tmp_path / "m.model").write_bytes(broken)
        with pytest.raises(InputError, match=r"m\.model: not a SentencePiece model; restore the file"):
            read_sentencepiece(tmp_path / "m.model")


def test_of_several_models_none_is_chosen(tmp_path: Path) -> None:
    for name in ("a.model", "b.spiece"):
        (tmp_path / name).write_bytes(trained())
    with pytest.raises(InputError, match=r"holds several SentencePiece models \(a\.model, b\.spiece\); keep one"):
        Tokenizer(tmp_path)


def test_words_of_the_users_beside_the_specials_are_refused(tmp_path: Path) -> None:
    (tmp_path / "m.model").write_bytes(trained(user_defined_symbols=["[MASK]", "<name>"], pad_id=3))
    with pytest.raises(InputError, match=r"'<name>' is a piece of the user's"):
        Tokenizer(tmp_path)
