"""Words that BERT's tokenizers take for one [UNK] take their sentence along, and are told."""

from pathlib import Path

import pytest
import tokenizers
from tokenizers import models, pre_tokenizers

from data_pipeline.contract.word_piece import normalizer
from data_pipeline.corpus.document import Document, Dropped, Sentence
from data_pipeline.corpus.steps.long_words import long_word_filter
from data_pipeline.pipeline import ROWS, LongWords
from data_pipeline.recipe import KOBERT_VOCABULARY, DataRecipe, Vocabulary

[ROW] = [row for row in ROWS if row.field == "long_words"]


def document(*texts: str) -> Document:
    return Document("a:1", "s", " ".join(texts), tuple(Sentence(text, " ") for text in texts))


def is_unknown(text: str) -> bool:
    """Whether a tokenizer that knows every character makes [UNK] of a part of the text."""
    letters = {character for character in text if not character.isspace()}
    rows = {piece: row for row, piece in enumerate(["[UNK]", *letters, *(f"##{each}" for each in letters)])}
    backend = tokenizers.Tokenizer(models.WordPiece(rows, unk_token="[UNK]", max_input_chars_per_word=100))
    backend.normalizer = normalizer(lowercase=False)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return "[UNK]" in backend.encode(text).tokens


@pytest.mark.parametrize(
    "text",
    [
        "가" * 100,
        "가" * 101,
        "가" * 60 + "." + "나" * 60,
        "a" * 99 + "-" + "b" * 101,
        "가나 " * 60,
        "ㅋ" * 300,
        "1" * 101 + "원",
        "漢" * 150,
    ],
)
def test_a_sentence_goes_exactly_where_the_tokenizer_says_unknown(text: str) -> None:
    result = long_word_filter(LongWords())(document("앞 문장이다.", text, "뒷 문장이다."))
    assert isinstance(result, Document)
    assert [each.text for each in result.removed] == [text] * is_unknown(text)
    if result.removed:
        assert result.sentences is not None
        assert result.sentences[1] == Sentence("뒷 문장이다.", " ", after_break=True)


def test_the_reason_and_the_length_are_told_and_an_empty_document_is_dropped() -> None:
    gone = long_word_filter(LongWords())(document("가" * 112))
    assert isinstance(gone, Dropped)
    assert (gone.reason, gone.detail) == ("long word", "a word of 112 characters")


def test_the_limit_is_the_recipes_and_other_models_have_none() -> None:
    assert isinstance(long_word_filter(LongWords(max_chars=200))(document("가" * 112)), Document)
    recipe = DataRecipe(sources=())
    assert ROW.on(recipe)
    for kept in (
        DataRecipe(sources=(), long_words=LongWords(max_chars=0)),
        DataRecipe(sources=(), vocabulary=KOBERT_VOCABULARY),
    ):
        assert not ROW.on(kept)
        assert "kept" in ROW.says(kept)


def test_what_a_given_vocabulary_is_decides_whatever_its_files_are_called(tmp_path: Path) -> None:
    pieces = [("[UNK]", 0.0), ("[PAD]", 0.0), ("[CLS]", 0.0), ("[SEP]", 0.0), ("[MASK]", 0.0), ("\u2581가", -1.0)]
    unigram, bpe, word_piece, spiece, kobert = (
        tmp_path / name for name in ("unigram", "bpe", "wp", "spiece", "kobert")
    )
    for folder in (unigram, bpe, word_piece, spiece, kobert):
        folder.mkdir()
    tokenizers.Tokenizer(models.Unigram(pieces, unk_id=0)).save(str(unigram / "tokenizer.json"))
    tokenizers.Tokenizer(models.BPE({"[UNK]": 0}, [])).save(str(bpe / "tokenizer.json"))
    tokenizers.Tokenizer(models.WordPiece({"[UNK]": 0}, unk_token="[UNK]")).save(str(word_piece / "tokenizer.json"))
    (spiece / "spiece.model").write_bytes(b"model")
    (kobert / "vocab.txt").write_text("[UNK]\n\u2581가\n", encoding="utf-8")
    (tmp_path / "kobert.spiece").write_bytes(b"model")
    (tmp_path / "vocab.txt").write_text("[UNK]\n가\n", encoding="utf-8")
    for given in (unigram, bpe, spiece, kobert, tmp_path / "kobert.spiece"):
        assert not ROW.on(DataRecipe(sources=(), vocabulary=Vocabulary(given=str(given)))), given
    for given in (word_piece, tmp_path / "vocab.txt"):
        assert ROW.on(DataRecipe(sources=(), vocabulary=Vocabulary(given=str(given)))), given
