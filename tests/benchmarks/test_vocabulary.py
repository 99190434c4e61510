"""What the comparison of vocabularies calls a phrase, and how it reads a published vocabulary."""

from pathlib import Path

import pytest

pytest.importorskip("MeCab")

from benchmarks.vocabulary import parts_of_speech, phrases, published, rates


def test_phrases_are_told_by_their_first_and_last_morpheme() -> None:
    pieces = (
        "학교에서",
        "우리는",
        "먹는다",
        "있습니다",
        "국민청원",
        "학교",
        "에서",
        "##에서",
        "공부한다",
        "TV는",
        "[UNK]",
    )
    found = phrases(pieces, parts_of_speech())
    assert found.with_particle == ("학교에서", "우리는")
    assert found.with_ending == ("먹는다", "있습니다")
    assert set(found.all) == {"학교에서", "우리는", "먹는다", "있습니다", "국민청원", "공부한다"}


def test_published_vocabularies_are_cased_and_keep_hangul_and_accents(tmp_path: Path) -> None:
    rows = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "각", "##하", "É", "TV", "tv"]
    (tmp_path / "their.vocab.txt").write_text(
        "\n".join(rows), encoding="utf-8"
    )  # no line end at the end, as KoELECTRA's
    tokenizer = published(tmp_path / "their.vocab.txt", tmp_path / "folder")
    [(ids, _)] = tokenizer.encode(["각하 TV É e"], "token")
    assert [tokenizer.pieces[token] for token in ids] == ["각", "##하", "TV", "É", "[UNK]"]
    report = rates(tokenizer, ["각하 TV É e", "각"])
    assert report["unknown_rate"] == pytest.approx(1 / 6)
    assert report["tokens_per_eojeol"] == pytest.approx(6 / 5)
