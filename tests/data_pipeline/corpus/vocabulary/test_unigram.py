"""KoBERT's vocabulary: its ids, exactly its rows, and the cuts of SentencePiece itself."""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.tokenizer import Tokenizer
from data_pipeline.contract.unigram import SENTENCEPIECE_FILE, unigram_files
from data_pipeline.corpus.vocabulary.report import vocabulary_report
from data_pipeline.corpus.vocabulary.unigram import Unigram, count_eojeols, train_unigram
from data_pipeline.recipe import KOBERT_VOCABULARY, DataRecipe
from data_pipeline.recipe_checks import check, check_vocabulary

sentencepiece = pytest.importorskip("sentencepiece")
RECIPE = replace(KOBERT_VOCABULARY, size=130, character_coverage=1.0, min_count=1)


@pytest.fixture(scope="module")
def texts(document: Callable[..., str]) -> list[str]:
    return [document(seed) for seed in range(150)]


@pytest.fixture(scope="module")
def counts(texts: list[str]) -> Counter[str]:
    return sum(count_eojeols(texts, lowercase=False), Counter())


@pytest.fixture(scope="module")
def trained(counts: Counter[str]) -> Unigram:
    return train_unigram(sorted(counts.items()), RECIPE)


@pytest.fixture(scope="module")
def tokenizer(trained: Unigram, tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    folder = tmp_path_factory.mktemp("unigram")
    for name, content in unigram_files(trained.rows, lowercase=False).items():
        (folder / name).write_text(content, encoding="utf-8")
    (folder / SENTENCEPIECE_FILE).write_bytes(trained.model)
    return Tokenizer(folder)


def test_rows_are_as_many_as_asked_for_and_specials_have_koberts_ids(trained: Unigram, tokenizer: Tokenizer) -> None:
    pieces = [piece for piece, _ in trained.rows.pieces]
    assert pieces[:5] == ["[UNK]", "[PAD]", "[CLS]", "[SEP]", "[MASK]"]
    assert len(pieces) == len(set(pieces)) == tokenizer.size == 130
    special = tokenizer.special
    assert (special.unk, special.pad, special.cls, special.sep, special.mask) == (0, 1, 2, 3, 4)
    assert tokenizer.reserved_ids == (0, 1, 2, 3, 4)


def test_unused_rows_are_reserved(counts: Counter[str]) -> None:
    pieces = [piece for piece, _ in train_unigram(sorted(counts.items()), replace(RECIPE, unused=3)).rows.pieces]
    assert pieces[4:9] == ["[MASK]", "[unused0]", "[unused1]", "[unused2]", pieces[8]]


def test_pieces_stand_by_code_point_or_by_score_and_cut_alike(counts: Counter[str], texts: list[str]) -> None:
    by_score = train_unigram(sorted(counts.items()), replace(RECIPE, order="rank", unused=2))
    last = replace(RECIPE, unused=2, specials=("cls", "pad", "sep", "unk", "mask"), unused_rows="last")
    by_code_point = train_unigram(sorted(counts.items()), last)
    assert by_score.rows.pieces[7][1] == max(score for _, score in by_score.rows.pieces)
    pieces = [piece for piece, _ in by_code_point.rows.pieces]
    assert pieces[:5] == ["[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]"]
    assert pieces[5:-2] == sorted(pieces[5:-2])
    assert pieces[-2:] == ["[unused0]", "[unused1]"]
    assert dict(by_code_point.rows.pieces) == dict(by_score.rows.pieces)
    models = [sentencepiece.SentencePieceProcessor(model_proto=made.model) for made in (by_score, by_code_point)]
    assert models[0].encode(texts, out_type=str) == models[1].encode(texts, out_type=str)


def test_cuts_are_those_of_sentencepiece(trained: Unigram, tokenizer: Tokenizer, texts: list[str]) -> None:
    theirs = sentencepiece.SentencePieceProcessor(model_proto=trained.model)
    odd = (
        "없는 글자 뷁뷁과 漢字  두 칸",
        "",
        " ",
        "ㅎㅏㄱ교 Ａ①",
        unicodedata.normalize("NFD", "학교에서"),
        "도서관\u3000에서\u200b \n책을",
    )
    for text in [*texts, *odd]:
        [(ids, _)] = tokenizer.encode([text], "token")
        assert ids.tolist() == theirs.encode(text)


def test_words_start_at_blanks_and_punctuation_as_elsewhere(tokenizer: Tokenizer) -> None:
    text = "도서관에서 책을 샀습니다."
    for unit, expected in (
        ("eojeol", ["▁도서관에서", "▁책을", "▁샀습니다."]),
        ("bert_word", ["▁도서관에서", "▁책을", "▁샀습니다", "."]),
    ):
        [(ids, starts)] = tokenizer.encode([text], unit)
        assert starts[0]
        words = np.split(ids, np.flatnonzero(starts)[1:])
        # "▁책" is no row of this vocabulary: the lone blank belongs to the word behind it.
        assert ["".join(tokenizer.pieces[token] for token in word) for word in words] == expected
    assert "▁" in {tokenizer.pieces[token] for token in ids}
    assert tokenizer.continues[ids].tolist() == [not tokenizer.pieces[token].startswith("▁") for token in ids]


def test_text_comes_back_and_decomposed_hangul_is_the_same(tokenizer: Tokenizer, texts: list[str]) -> None:
    for text in texts[:20]:
        [(ids, _)] = tokenizer.encode([text], "token")
        assert tokenizer.backend.decode(ids.tolist()) == text
        [(decomposed, _)] = tokenizer.encode([unicodedata.normalize("NFD", text)], "token")
        assert decomposed.tolist() == ids.tolist()


def test_special_tokens_in_a_text_are_text(counts: Counter[str], tmp_path: Path) -> None:
    # Apart, for sentencepiece learns nothing from specials that stand in its text.
    known = counts + Counter({"[가": 9, "가]": 9, "MASKUNKPAD": 9, "CLSSEP": 9})
    trained = train_unigram(sorted(known.items()), replace(RECIPE, size=140))
    for name, content in unigram_files(trained.rows, lowercase=False).items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    [(ids, _)] = Tokenizer(tmp_path).encode(["[MASK] [UNK][PAD] [CLS][SEP]"], "eojeol")
    assert not set(ids.tolist()) & set(range(5))


def test_lower_case_is_counted_and_cut_lower(tmp_path: Path) -> None:
    counts = Counter({"tv를": 9, "tv가": 5, "를": 3})
    assert next(count_eojeols(["TV를  본다\nTV를"], lowercase=True)) == Counter({"tv를": 2, "본다": 1})
    recipe = replace(RECIPE, size=12, lowercase=True)
    for name, content in unigram_files(train_unigram(sorted(counts.items()), recipe).rows, lowercase=True).items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    tokenizer = Tokenizer(tmp_path)
    upper, lower = tokenizer.encode(["TV를", "tv를"], "token")
    assert upper[0].tolist() == lower[0].tolist()
    assert tokenizer.special.unk not in upper[0]


def test_counts_beyond_32_bits_are_scaled_to_what_sentencepiece_can_read(
    counts: Counter[str], trained: Unigram
) -> None:
    many = {text: number << 40 for text, number in counts.items()}
    assert train_unigram(sorted(many.items()), RECIPE, most_read=counts.total()).rows.pieces == trained.rows.pieces


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (9000, r"size 9000: the corpus yields only (\d+) rows"),
        (20, r"size 20: too small for .* at least (\d+) are needed"),
    ],
)
def test_the_sizes_that_errors_name_work(counts: Counter[str], size: int, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        train_unigram(sorted(counts.items()), replace(RECIPE, size=size))
    found = re.search(message, str(error.value))
    assert found
    assert len(train_unigram(sorted(counts.items()), replace(RECIPE, size=int(found[1]))).rows.pieces) == int(found[1])


def test_an_empty_corpus_is_named() -> None:
    with pytest.raises(InputError, match="no eojeol was counted"):
        train_unigram([], RECIPE)


def test_unigram_of_morphemes_is_refused(tiny_recipe: Callable[..., DataRecipe], corpus: Path) -> None:
    recipe = tiny_recipe(corpus / "*.jsonl")
    with pytest.raises(InputError, match=r"--data\.vocabulary\.scheme klue: a unigram model is trained on eojeols"):
        check(replace(recipe, vocabulary=replace(recipe.vocabulary, model="unigram", scheme="klue")))


def test_the_report_counts_pieces_that_begin_with_a_blank_as_word_initial(tokenizer: Tokenizer) -> None:
    report = vocabulary_report(tokenizer, {})
    hangul = [piece for piece in tokenizer.pieces if any("가" <= character <= "힣" for character in piece)]
    assert report["hangul_initial"] == sum(piece.startswith("▁") for piece in hangul) > 2
    assert report["hangul_continuing"] == len(hangul) - report["hangul_initial"] > 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"alphabet_limit": 500}, r"--data\.vocabulary\.alphabet-limit 500: is for wordpiece"),
        (
            {"specials": ("cls", "pad")},
            r"--data\.vocabulary\.specials cls pad: must be pad, unk, cls, sep, mask, each once",
        ),
        ({"model": "wordpiece"}, r"--data\.vocabulary\.normalization nmt_nfkc: is for unigram"),
    ],
)
def test_fields_that_do_not_go_together_are_told(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_vocabulary(replace(KOBERT_VOCABULARY, **changes))


def test_a_folder_with_tokenizer_json_keeps_its_order_of_specials(tokenizer: Tokenizer) -> None:
    given = replace(KOBERT_VOCABULARY, given=str(tokenizer.folder))
    check_vocabulary(given)
    check_vocabulary(replace(given, specials=("unk", "pad", "cls", "sep", "mask")))
    with pytest.raises(
        InputError, match=r"specials pad unk .*tokenizer\.json has unk pad cls sep mask; leave specials out"
    ):
        check_vocabulary(replace(given, specials=("pad", "unk", "cls", "sep", "mask")))
