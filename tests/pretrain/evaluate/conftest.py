"""Tokenizers: a small one whose pieces the tests know, and klue/bert-base's from ../shared/data."""

import shutil
from pathlib import Path

import pytest

from data_pipeline.contract.tokenizer import Tokenizer

DATA = Path(__file__).resolve().parents[3] / "../shared/data"
SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
SYLLABLES = "가나다라마바사아자차카타파하에서은는이를"
PIECES = (*SYLLABLES, *(f"##{syllable}" for syllable in SYLLABLES), "서울", "##에서", "에게", *".,()@#-:'", "1", "##2")


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    """SYLLABLES in both forms, 서울, ##에서, 에게 and marks; 한 and others are [UNK]."""
    folder = tmp_path_factory.mktemp("small")
    (folder / "vocab.txt").write_text("\n".join((*SPECIALS, *PIECES)) + "\n", encoding="utf-8")
    return Tokenizer(folder)


@pytest.fixture(scope="session")
def klue(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    """klue/bert-base's."""
    if not DATA.is_dir():
        pytest.skip("needs ../shared/data, which is absent")
    folder = tmp_path_factory.mktemp("klue")
    shutil.copy(DATA / "vocabularies/klue-bert-base.vocab.txt", folder / "vocab.txt")
    return Tokenizer(folder)
