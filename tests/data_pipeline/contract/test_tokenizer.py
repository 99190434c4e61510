"""Word starts are BertPreTokenizer's, special tokens in a text are text, and a wrong vocabulary is named."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import tokenizers
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import decoders, models, pre_tokenizers

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.tokenizer import (
    SPECIAL_TOKENS,
    Tokenizer,
    WordUnit,
    bert_word_starts,
    build_word_piece,
    eojeol_starts,
    hugging_face_files,
    is_isolated,
    normalizer,
    read_vocabulary_file,
)
from data_pipeline.contract.unigram import unigram_files

PIECES = (*"가나다학교에서는ab1.,!漢#[]", "학교", "##에서", "##교", "##는", "##다", "##나", "##b", "MASK", "##1")
VOCABULARY = (*SPECIAL_TOKENS, "[unused0]", *PIECES)
TEXTS = st.text(
    st.one_of(
        st.sampled_from("가나다학교에서는는 .,!?漢ab1  #[]()\"'·…\t\n\u3000\u00a0"),
        st.characters(exclude_categories=["Cs"]),
    ),
    max_size=30,
)


def folder_of(tmp_path: Path, rows: tuple[str, ...] = VOCABULARY, lowercase: bool = False) -> Path:
    for name, content in hugging_face_files(rows, lowercase).items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    return tmp_path


@pytest.fixture(scope="module")
def word_piece(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return Tokenizer(folder_of(tmp_path_factory.mktemp("word_piece")))


def encoded(tokenizer: Tokenizer, text: str, unit: WordUnit) -> list[list[str]]:
    """The tokens of a text, word by word."""
    [(ids, starts)] = tokenizer.encode([text], unit)
    assert len(ids) == len(starts)
    words: list[list[str]] = []
    for token, start in zip(ids.tolist(), starts.tolist(), strict=True):
        if start:
            words.append([])
        words[-1].append(tokenizer.pieces[token])
    return words


def bert_words(text: str) -> list[str]:
    pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return [word for word, _ in pre_tokenizer.pre_tokenize_str(normalizer(False).normalize_str(text))]


@given(TEXTS)
@example("한국漢字·가나 3.5%…\u200b끝\ue000x \ue000y. \U0002b820가 ᆞ가")
@settings(max_examples=300, deadline=None)
def test_bert_word_starts_are_those_of_bert(text: str) -> None:
    flags = bert_word_starts(text)
    assert flags.dtype == bool
    starts = [*np.flatnonzero(flags).tolist(), len(text)]
    between = [text[start:end] for start, end in pairwise(starts)]
    ours = ["".join(normalizer(False).normalize_str(word).split()) for word in between]
    assert [word for word in ours if word] == bert_words(text)
    assert not "".join(normalizer(False).normalize_str(text[: starts[0]]).split())


@given(TEXTS)
@settings(max_examples=200, deadline=None)
def test_eojeol_starts_are_those_of_split(text: str) -> None:
    starts = np.flatnonzero(eojeol_starts(text))
    assert [text[start:].split()[0] for start in starts] == text.split()


@given(TEXTS)
@settings(max_examples=150, deadline=None)
def test_word_piece_words_are_bert_words_by_either_way(word_piece: Tokenizer, text: str) -> None:
    fast = word_piece.encode([text], "bert_word")[0]
    slow = word_piece.encode([text], "morpheme", bert_word_starts)[0]
    assert fast[0].tolist() == slow[0].tolist()
    assert fast[1].tolist() == slow[1].tolist()


def test_units_cut_where_they_say(word_piece: Tokenizer) -> None:
    text = "학교에서는 가나.다"
    assert encoded(word_piece, text, "token") == [["학교"], ["##에서"], ["##는"], ["가"], ["##나"], ["."], ["다"]]
    assert encoded(word_piece, text, "bert_word") == [["학교", "##에서", "##는"], ["가", "##나"], ["."], ["다"]]
    assert encoded(word_piece, text, "eojeol") == [["학교", "##에서", "##는"], ["가", "##나", ".", "다"]]

    def morphemes(text: str) -> np.ndarray:
        return np.array([index in (0, 2, 6) for index in range(len(text))])

    [(_, starts)] = word_piece.encode([text], "morpheme", morphemes)
    assert starts.tolist() == [True, True, False, True, False, False, False]


def test_the_morpheme_unit_needs_boundaries(word_piece: Tokenizer) -> None:
    with pytest.raises(ValueError, match="needs morpheme_starts"):
        word_piece.encode(["가"], "morpheme")


@pytest.mark.parametrize("unit", ["token", "bert_word", "eojeol"])
def test_special_tokens_in_a_text_are_text(word_piece: Tokenizer, unit: WordUnit) -> None:
    [(ids, _)] = word_piece.encode(["[MASK] [SEP][CLS] 가 [PAD][UNK] [unused0]"], unit)
    special = word_piece.special
    assert not set(ids.tolist()) & {special.mask, special.sep, special.cls, special.pad}
    assert [word_piece.pieces[token] for token in ids[:3]] == ["[", "MASK", "]"]


def test_a_model_that_knows_its_own_specials_may_not_use_them(tmp_path: Path) -> None:
    rows = [
        ("<s>", 0.0),
        ("</s>", 0.0),
        ("<unk>", 0.0),
        ("<pad>", 0.0),
        ("<mask>", 0.0),
        ("▁", -2.0),
        ("▁가나", -3.0),
        ("다", -3.0),
    ]
    backend = tokenizers.Tokenizer(models.Unigram(rows, unk_id=2))
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.save(str(tmp_path / "tokenizer.json"))
    tokenizer = Tokenizer(tmp_path)
    assert encoded(tokenizer, "가나다 가나", "bert_word") == [["▁가나", "다"], ["▁가나"]]
    [(ids, _)] = tokenizer.encode(["<s>가나 <mask>"], "eojeol")
    special = tokenizer.special
    assert not set(ids.tolist()) & {special.cls, special.mask, special.sep, special.pad}


def test_an_added_token_with_a_blank_in_it_is_found(tmp_path: Path) -> None:
    backend = tokenizers.Tokenizer.from_file(str(folder_of(tmp_path) / "tokenizer.json"))
    backend.add_tokens(["학교 가나"])
    backend.save(str(tmp_path / "tokenizer.json"))
    assert encoded(Tokenizer(tmp_path), "학교 가나 다", "token") == [["학교 가나"], ["다"]]


def test_one_character_of_several_byte_tokens_is_one_start(tmp_path: Path) -> None:
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    ids = {piece: index for index, piece in enumerate(["<s>", "</s>", "<unk>", "<pad>", "<mask>", *letters])}
    backend = tokenizers.Tokenizer(models.BPE(ids, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.save(str(tmp_path / "tokenizer.json"))
    tokenizer = Tokenizer(tmp_path)
    [(row, starts)] = tokenizer.encode(["가나 다."], "bert_word")
    assert len(row) == 3 + 3 + 1 + 3 + 1
    assert int(starts.sum()) == 3
    assert starts[0]
    assert starts[-1]


def test_a_word_whose_first_character_the_normaliser_drops_starts_all_the_same(word_piece: Tokenizer) -> None:
    assert encoded(word_piece, "가나 \ue000학교에서", "eojeol") == [["가", "##나"], ["학교", "##에서"]]


def test_word_piece_behind_another_pre_tokenizer_keeps_bert_words(tmp_path: Path) -> None:
    backend = tokenizers.Tokenizer.from_file(str(folder_of(tmp_path) / "tokenizer.json"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    backend.model = models.WordPiece(
        {**{piece: index for index, piece in enumerate(VOCABULARY)}, "##.": len(VOCABULARY)}, unk_token="[UNK]"
    )
    backend.save(str(tmp_path / "tokenizer.json"))
    assert encoded(Tokenizer(tmp_path), "가나.", "bert_word") == [["가", "##나"], ["##."]]


def test_sizes_and_reserved_ids(word_piece: Tokenizer) -> None:
    assert word_piece.size == len(VOCABULARY)
    assert word_piece.token_dtype == np.uint16
    assert word_piece.reserved_ids == (0, 1, 2, 3, 4, 5)
    assert [word_piece.pieces[index] for index in word_piece.reserved_ids] == list(VOCABULARY[:6])


def test_the_size_covers_the_largest_id(tmp_path: Path) -> None:
    ids = {piece: index for index, piece in enumerate(SPECIAL_TOKENS)} | {"가": 70_000}
    backend = tokenizers.Tokenizer(models.WordPiece(ids, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.save(str(tmp_path / "tokenizer.json"))
    tokenizer = Tokenizer(tmp_path)
    assert tokenizer.size == 70_001
    assert tokenizer.token_dtype == np.uint32
    [(ids_found, _)] = tokenizer.encode(["가"], "bert_word")
    assert ids_found.tolist() == [70_000]


@pytest.mark.parametrize("lowercase", [False, True])
def test_hangul_is_never_decomposed(tmp_path: Path, lowercase: bool) -> None:
    tokenizer = Tokenizer(folder_of(tmp_path, (*VOCABULARY, "É", "é"), lowercase))
    assert encoded(tokenizer, "학교 É", "bert_word") == [["학교"], ["é" if lowercase else "É"]]


@pytest.mark.parametrize("keep", ["vocab.txt", "tokenizer.json"])
def test_either_file_gives_the_same_tokenizer(tmp_path: Path, keep: str) -> None:
    folder = folder_of(tmp_path, (*VOCABULARY, "É", "é"), lowercase=True)
    whole = Tokenizer(folder)
    (folder / ({"vocab.txt", "tokenizer.json"} - {keep}).pop()).unlink()
    alone = Tokenizer(folder)
    text = "학교에서 É, [MASK] 가나다"
    assert alone.pieces == whole.pieces
    assert encoded(alone, text, "bert_word") == encoded(whole, text, "bert_word")


def test_transformers_agrees(tmp_path: Path, word_piece: Tokenizer) -> None:
    transformers = pytest.importorskip("transformers")
    theirs = transformers.AutoTokenizer.from_pretrained(str(word_piece.folder))
    text = "학교에서는 가나다, 漢字 ab1!"
    assert theirs(text)["input_ids"][1:-1] == word_piece.encode([text], "token")[0][0].tolist()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[PAD]\n가\n나\n가\n".encode(), r"vocab\.txt:4: the row '가' stands already at line 2"),
        ("[PAD]\n\n가\n".encode(), r"vocab\.txt:2: the row is empty"),
        (b"[PAD]\n\xb0\xa1\n", r"vocab\.txt:2: not UTF-8"),
        ("[PAD]\n[UNK]\n가\n".encode(), r"the vocabulary has no \[CLS\], \[SEP\], \[MASK\] \(found 3 rows\)"),
    ],
)
def test_a_wrong_vocabulary_names_the_line(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "vocab.txt").write_bytes(content)
    with pytest.raises(InputError, match=message):
        Tokenizer(tmp_path)


def test_vocabulary_files_may_have_a_byte_order_mark_and_carriage_returns(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_bytes(b"\xef\xbb\xbf" + "\r\n".join(VOCABULARY).encode() + b"\r\n")
    assert read_vocabulary_file(tmp_path / "vocab.txt") == list(VOCABULARY)


def test_folders_without_a_tokenizer_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds neither tokenizer\.json nor vocab\.txt"):
        Tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}", encoding="utf-8")
    with pytest.raises(InputError, match=r"tokenizer\.json: not a tokenizer"):
        Tokenizer(tmp_path)


def test_a_named_special_that_is_missing_is_an_error(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    configuration = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    (folder / "tokenizer_config.json").write_text(
        json.dumps({**configuration, "mask_token": "<mask>"}), encoding="utf-8"
    )
    with pytest.raises(InputError, match=r"no \[MASK\] token \(looked for <mask>\)"):
        Tokenizer(folder)


def test_isolated_characters_are_words_of_their_own() -> None:
    backend = build_word_piece(VOCABULARY, lowercase=False)
    for character in ".#漢…·":
        assert is_isolated(character)
        assert len(backend.pre_tokenizer.pre_tokenize_str(f"가{character}나")) == 3 or character == "漢"
    for character in "가ㅋa1\u1100":
        assert not is_isolated(character)


@pytest.mark.parametrize("lowercase", [False, True])
def test_a_tokenizer_knows_whether_it_lower_cases(lowercase: bool, tmp_path: Path) -> None:
    assert Tokenizer(folder_of(tmp_path, lowercase=lowercase)).lowercases == lowercase
    (tmp_path / "unigram").mkdir()
    pieces = [(piece, 0.0) for piece in SPECIAL_TOKENS] + [("\u2581", -1.0), ("a", -2.0)]
    for name, content in unigram_files(pieces, lowercase).items():
        (tmp_path / "unigram" / name).write_text(content, encoding="utf-8")
    assert Tokenizer(tmp_path / "unigram").lowercases == lowercase
