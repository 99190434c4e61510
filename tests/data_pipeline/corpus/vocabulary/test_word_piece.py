"""The compiled WordPiece gives what the tokenizer itself gives."""

from pathlib import Path

import numpy as np
import pytest
import tokenizers
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from data_pipeline.contract.tokenizer import (
    SPECIAL_TOKENS,
    Boundaries,
    Tokenizer,
    WordUnit,
    hugging_face_files,
    normalizer,
)
from data_pipeline.corpus.vocabulary.word_piece import CompiledWordPiece, corpus_encoder

PIECES = (*"가나다학교에서는abß1.,!漢#[]", "학교", "##", "##에서", "##교", "##는", "##다", "##나", "##b", "MASK", "##1")
VOCABULARY = (*SPECIAL_TOKENS, "[unused0]", *PIECES)
TEXTS = st.lists(
    st.text(
        st.one_of(
            st.sampled_from("가나다학교에서는는 .,!?漢abABİß1  #[]()\"'·…\t\n\u3000\u00a0\u200b\u0301\ufffd\U0001f600"),
            st.characters(exclude_categories=["Cs"]),
        ),
        max_size=30,
    ),
    max_size=6,
)


def starts_of_syllables(text: str) -> np.ndarray:
    return np.array([not character.isspace() for character in text], bool)


UNITS: dict[WordUnit, Boundaries | None] = {
    "token": None,
    "bert_word": None,
    "eojeol": None,
    "morpheme": starts_of_syllables,
}


def folder_of(folder: Path, lowercase: bool) -> Path:
    for name, content in hugging_face_files(VOCABULARY, lowercase).items():
        (folder / name).write_text(content, encoding="utf-8")
    return folder


@pytest.fixture(scope="module", params=[False, True], ids=["cased", "lowercase"])
def tokenizer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return Tokenizer(folder_of(tmp_path_factory.mktemp("word_piece"), request.param))


@pytest.fixture(scope="module")
def compiled(tokenizer: Tokenizer) -> CompiledWordPiece:
    return CompiledWordPiece(tokenizer)


@given(TEXTS)
@example(["학교\u200b에서 가", "", "[MASK] 가나", "가" * 101, "가" * 100, "AB é\u0301 İ ß"])
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_tokens_and_starts_are_those_of_the_tokenizer(
    tokenizer: Tokenizer, compiled: CompiledWordPiece, texts: list[str]
) -> None:
    for unit, boundaries in UNITS.items():
        expected = tokenizer.encode(texts, unit, boundaries)
        for (ids, starts), (its_ids, its_starts) in zip(
            compiled.encode(texts, unit, boundaries), expected, strict=True
        ):
            assert ids.tolist() == its_ids.tolist()
            assert ids.dtype == its_ids.dtype
            assert starts.tolist() == its_starts.tolist()


def test_every_character_of_unicode_becomes_what_the_tokenizer_makes_of_it(
    tokenizer: Tokenizer, compiled: CompiledWordPiece
) -> None:
    texts = [f"가{chr(code_point)}나" for code_point in range(1, 0x20000, 7) if not 0xD800 <= code_point < 0xE000]
    for (ids, _), (its_ids, _) in zip(compiled.encode(texts, "token"), tokenizer.encode(texts, "token"), strict=True):
        assert ids.tolist() == its_ids.tolist()


def test_a_tokenizer_that_looks_at_more_than_characters_is_left_alone(tmp_path: Path) -> None:
    def encoder() -> object:
        loaded = Tokenizer(folder_of(tmp_path, lowercase=False))
        return getattr(corpus_encoder(loaded), "__self__", None)

    assert isinstance(encoder(), CompiledWordPiece)
    path = tmp_path / "tokenizer.json"
    backend = tokenizers.Tokenizer.from_file(str(path))
    backend.normalizer = tokenizers.normalizers.BertNormalizer(lowercase=True, strip_accents=None)
    (folder_of(tmp_path, lowercase=False) / "tokenizer.json").write_text(backend.to_str())
    assert isinstance(Tokenizer(tmp_path).backend.normalizer, tokenizers.normalizers.BertNormalizer)
    loaded = Tokenizer(tmp_path)
    assert corpus_encoder(loaded) == loaded.encode
    backend.normalizer = normalizer(False)
    backend.add_tokens(["학교 가나"])
    path.write_text(backend.to_str())
    loaded = Tokenizer(tmp_path)
    assert corpus_encoder(loaded) == loaded.encode
