"""Entries that another vocabulary has take its rows; the others are the mean of the rows of their pieces there."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from data_pipeline.contract.tokenizer import SPECIAL_TOKENS, Tokenizer, hugging_face_files
from data_pipeline.contract.unigram import NEVER_TEXT, unigram_files
from pretrain.start.vocabulary import RowOrigins, row_origins

THEIRS = [*SPECIAL_TOKENS, "[unused0]", "[unused1]", "서", "##서", "울", "##울", "에", "##에", ".", "a", "##b", "서울"]
Make = Callable[[Sequence[str]], Tokenizer]


@pytest.fixture
def word_piece(tmp_path: Path) -> Make:
    def make(pieces: Sequence[str], *, lowercase: bool = False) -> Tokenizer:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        for name, content in hugging_face_files(pieces, lowercase).items():
            (folder / name).write_text(content, encoding="utf-8")
        return Tokenizer(folder)

    return make


@pytest.fixture
def unigram(tmp_path: Path) -> Make:
    def make(pieces: Sequence[str]) -> Tokenizer:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        specials = [(piece, NEVER_TEXT) for piece in ("[UNK]", "[PAD]", "[CLS]", "[SEP]", "[MASK]")]
        scored = [*specials, *((piece, -float(number + 1)) for number, piece in enumerate(pieces))]
        for name, content in unigram_files(scored, lowercase=False).items():
            (folder / name).write_text(content, encoding="utf-8")
        return Tokenizer(folder)

    return make


def found(origins: RowOrigins, theirs: Tokenizer, ours: Tokenizer) -> dict[str, list[str]]:
    """The pieces of the other vocabulary of which each entry is the mean."""
    ends = np.cumsum(origins.counts)
    return {
        piece: [theirs.pieces[row] for row in origins.rows[end - count : end]]
        for piece, end, count in zip(ours.pieces, ends, origins.counts, strict=True)
    }


@pytest.mark.parametrize(
    ("piece", "pieces"),
    [
        ("서울", ["서울"]),
        ("##에", ["##에"]),
        ("에서", ["에", "##서"]),
        ("##에서", ["##에", "##서"]),  # not 에 and ##서: it is inside a word
        ("서울에", ["서울", "##에"]),
        ("##서울", ["##서", "##울"]),  # ##서울 is not there
        ("##b", ["##b"]),
        ("b", []),  # only inside a word there
        ("가", []),
        ("가서", []),  # one unknown character makes the word unknown
    ],
)
def test_a_word_piece_is_cut_as_the_other_tokenizer_cuts_it_where_it_is(
    piece: str, pieces: list[str], word_piece: Make
) -> None:
    theirs, ours = word_piece(THEIRS), word_piece([*SPECIAL_TOKENS, piece])
    assert found(row_origins(theirs, ours), theirs, ours)[piece] == pieces


def test_a_word_in_the_place_of_an_unused_row_is_a_mean_as_any_other(word_piece: Make) -> None:
    theirs = word_piece([*SPECIAL_TOKENS, "[unused0]", "[unused1]", "[unused2]", "[unused3]", *THEIRS[5:]])
    ours = word_piece([*SPECIAL_TOKENS, "에서", "가", "##에서", "[unused3]", *THEIRS[5:]])
    of = found(row_origins(theirs, ours), theirs, ours)
    assert of["에서"] == ["에", "##서"]
    assert of["##에서"] == ["##에", "##서"]
    assert of["[unused3]"] == ["[unused3]"]
    assert of["가"] == []


def test_specials_and_unused_rows_are_never_a_mean(word_piece: Make) -> None:
    theirs, ours = word_piece([*SPECIAL_TOKENS, "[unused3]"]), word_piece([*SPECIAL_TOKENS, "[unused0]", "[unused9]"])
    of = found(row_origins(theirs, ours), theirs, ours)
    assert of["[unused0]"] == of["[unused9]"] == []
    assert all(of[special] == [special] for special in SPECIAL_TOKENS)


def test_a_tokenizer_that_lowercases_gives_capitals_the_small_letters_row(word_piece: Make) -> None:
    theirs, ours = word_piece(THEIRS, lowercase=True), word_piece([*SPECIAL_TOKENS, "A", "##B"])  # type: ignore[call-arg]
    assert found(row_origins(theirs, ours), theirs, ours)["A"] == ["a"]
    assert found(row_origins(theirs, ours), theirs, ours)["##B"] == ["##b"]


def test_word_pieces_from_unigram_pieces(word_piece: Make, unigram: Make) -> None:
    theirs = unigram(["▁서울", "▁", "서", "울", "에", "▁서", "."])
    ours = word_piece([*SPECIAL_TOKENS, "서울", "서울에", "##울에", "##서", ".", "가"])
    assert found(row_origins(theirs, ours), theirs, ours) == {
        **{special: [special] for special in SPECIAL_TOKENS},
        "서울": ["▁서울"],
        "서울에": ["▁서울", "에"],
        "##울에": ["울", "에"],
        "##서": ["서"],
        ".": ["▁", "."],
        "가": [],
    }


def test_unigram_pieces_from_word_pieces(word_piece: Make, unigram: Make) -> None:
    theirs = word_piece(THEIRS)
    ours = unigram(["▁서울에", "서울", "에.", ".", ".서", "▁"])
    of = found(row_origins(theirs, ours), theirs, ours)
    assert of["▁서울에"] == ["서울", "##에"]
    assert of["서울"] == ["##서", "##울"], "the same letters are another piece where they continue a word"
    assert of["에."] == ["##에", "."]
    assert of[".서"] == [".", "서"]
    assert of["▁"] == []


def test_means_are_of_float32_and_rows_that_are_known_are_copied_bit_for_bit() -> None:
    origins = RowOrigins(np.array([2, 0, 1, 1]), np.array([1, 0, 3]), np.array([True, False, False]))
    given = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    wanted = np.full((3, 4), 7, np.float32)
    origins.fill(wanted, given)
    np.testing.assert_array_equal(wanted[0], given[2])
    np.testing.assert_array_equal(wanted[1], 7)
    np.testing.assert_allclose(wanted[2], (given[0] + 2 * given[1]) / 3, rtol=1e-6)
    bias = np.zeros(3, np.float32)
    origins.fill(bias, given[:, 0])
    np.testing.assert_allclose(bias[2], (given[0, 0] + 2 * given[1, 0]) / 3, rtol=1e-6)
    assert origins.in_words() == "1 of 3 found there, 1 begin as the mean of their pieces there, 1 as drawn"


@pytest.mark.parametrize(
    "name",
    ["klue-bert-base.vocab.txt", "kcbert-base.vocab.txt", "koelectra.vocab.txt", "kobert_tokenizer_78b3253a26.model"],
)
def test_most_of_a_published_vocabulary_has_an_origin_in_anothers(name: str, word_piece: Make, tmp_path: Path) -> None:
    published = Path(__file__).resolve().parents[3] / "../shared/data/vocabularies"
    if not (published / name).exists():
        pytest.skip(f"{published / name} is not there")
    folder = tmp_path / "published"
    folder.mkdir()
    file = "spiece.model" if name.endswith(".model") else "vocab.txt"
    (folder / file).write_bytes((published / name).read_bytes())
    theirs = Tokenizer(folder)
    ours = word_piece((published / "klue-bert-base.vocab.txt").read_text(encoding="utf-8").splitlines())
    origins = row_origins(theirs, ours)
    assert (origins.counts > 0).sum() > 0.85 * len(ours.pieces), origins.in_words()
