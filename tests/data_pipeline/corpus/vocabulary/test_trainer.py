"""Exactly the rows asked for, every kept character in both forms, and an error where that cannot be."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.tokenizer import SPECIAL_TOKENS, Tokenizer, hugging_face_files, is_isolated
from data_pipeline.corpus.vocabulary.counts import least_count
from data_pipeline.corpus.vocabulary.morphemes import Scheme, count_morphemes, morpheme_boundaries
from data_pipeline.corpus.vocabulary.report import vocabulary_report
from data_pipeline.corpus.vocabulary.trainer import alphabet, train_vocabulary
from data_pipeline.recipe import KLUE_ROBERTA_VOCABULARY, Vocabulary

pytest.importorskip("MeCab")
RECIPE = Vocabulary(size=400, unused=3, character_coverage=1.0, min_count=1)


@pytest.fixture(scope="module")
def texts(document: Callable[..., str]) -> list[str]:
    return [document(seed) for seed in range(120)]


@pytest.fixture(scope="module")
def counts(texts: list[str]) -> Counter[str]:
    return counted([*texts, "漢字와 학교, 3.5%…"], "klue")


def counted(texts: Iterable[str], scheme: Scheme, lowercase: bool = False) -> Counter[str]:
    """All batches together."""
    return sum(count_morphemes(texts, scheme, lowercase), Counter())


def train(counts: Mapping[str, int], recipe: Vocabulary = RECIPE) -> list[str]:
    return train_vocabulary(sorted(counts.items()), recipe)


def test_the_size_is_exact_and_rows_differ(counts: Counter[str]) -> None:
    for size in (360, 399, 400):
        rows = train(counts, replace(RECIPE, size=size))
        assert len(rows) == len(set(rows)) == size
        assert rows[:8] == [*SPECIAL_TOKENS, "[unused0]", "[unused1]", "[unused2]"]


def test_rows_stand_where_the_recipe_wants_them(counts: Counter[str]) -> None:
    klue = replace(KLUE_ROBERTA_VOCABULARY, size=200, unused=3, alphabet_limit=60, min_count=1)
    rows = train(counts, klue)
    assert rows[:5] == ["[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]"]
    assert rows[-3:] == ["[unused0]", "[unused1]", "[unused2]"]
    letters = rows[5:65]
    assert letters == sorted(letters)
    assert set(letters) == set(alphabet(counts.items(), 1.0)[:60])
    inside = [f"##{letter}" for letter in letters if not is_isolated(letter)]
    assert rows[65 : 65 + len(inside)] == inside
    merges = rows[65 + len(inside) : -3]
    assert merges
    assert all(len(merge.removeprefix("##")) > 1 for merge in merges)


def test_a_limit_takes_the_place_of_the_coverage_in_the_error(counts: Counter[str]) -> None:
    with pytest.raises(InputError, match=r"or a lower --data\.vocabulary\.alphabet-limit"):
        train(counts, replace(RECIPE, size=60, alphabet_limit=50))


def test_every_character_stands_in_both_forms_unless_isolated(counts: Counter[str]) -> None:
    rows = set(train(counts))
    characters = {character for morpheme in counts for character in morpheme}
    assert {"漢", ",", "…", "가"} <= characters
    for character in characters:
        assert character in rows
        assert (f"##{character}" in rows) is not is_isolated(character)


def test_no_word_of_the_corpus_is_unknown(counts: Counter[str], texts: list[str], tmp_path: Path) -> None:
    for name, content in hugging_face_files(train(counts), lowercase=False).items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    tokenizer = Tokenizer(tmp_path)
    for ids, _ in tokenizer.encode([*texts, "漢字와 학교, 3.5%…"], "token"):
        assert tokenizer.special.unk not in ids


def test_merges_come_from_the_corpus_and_never_cross_a_morpheme() -> None:
    counts = Counter({"학교": 50, "에서": 40, "는": 30, "학생": 20, "##에서": 9, "##니다": 8})
    most = smallest_and_largest(counts)[1]
    rows = train(counts, replace(RECIPE, size=most))
    assert {piece for piece in rows[8:] if len(piece.removeprefix("##")) > 1} == {
        "학교",
        "에서",
        "학생",
        "##에서",
        "##니다",
    }


def smallest_and_largest(counts: Counter[str]) -> tuple[int, int]:
    """The sizes that the errors name."""
    with pytest.raises(InputError, match=r"too small for \d+ characters in both forms") as error:
        train(counts, replace(RECIPE, size=10))
    least = re.search(r"at least (\d+) are needed", str(error.value))
    with pytest.raises(InputError, match=r"the corpus yields only \d+ rows") as error:
        train(counts, replace(RECIPE, size=100_000))
    most = re.search(r"only (\d+) rows", str(error.value))
    assert least
    assert most
    return int(least[1]), int(most[1])


def test_the_sizes_that_errors_name_work(counts: Counter[str]) -> None:
    least, most = smallest_and_largest(counts)
    for size in (least, most):
        assert len(train(counts, replace(RECIPE, size=size))) == size
    for size in (least - 1, most + 1):
        with pytest.raises(InputError):
            train(counts, replace(RECIPE, size=size))


def test_an_empty_corpus_is_named() -> None:
    with pytest.raises(InputError, match="no morpheme was counted"):
        train({})


@given(
    st.dictionaries(st.text("가나다라ab", min_size=1, max_size=5), st.integers(1, 1000), min_size=1), st.floats(0.01, 1)
)
@settings(max_examples=60, deadline=None)
def test_the_alphabet_is_the_shortest_that_covers(counts: dict[str, int], coverage: float) -> None:
    letters = alphabet(counts.items(), coverage)
    total = Counter[str]()
    for morpheme, number in counts.items():
        for character in morpheme:
            total[character] += number
    covered = [sum(total[letter] for letter in letters[:end]) for end in (len(letters) - 1, len(letters))]
    assert covered[0] < coverage * total.total() <= covered[1]


def test_klue_counts_morphemes_as_words_and_continuation_marks_them() -> None:
    text = "학교에서는 공부를 한다."
    klue = counted([text], "klue")
    continuation = counted([text], "continuation")
    assert klue["에서"] == klue["는"] == klue["를"] == 1
    assert continuation["##에서"] == continuation["##는"] == continuation["##를"] == 1
    assert continuation["학교"] == continuation["공부"] == continuation["."] == 1
    assert not any(morpheme.startswith("##") for morpheme in klue)
    assert klue.total() == continuation.total()


def test_plain_counts_eojeols_and_keeps_them_whole() -> None:
    assert counted(["학교에서는(공부를 한다."], "plain") == Counter(("학교에서는", "(", "공부를", "한다", "."))


@pytest.mark.parametrize("scheme", ["klue", "continuation", "plain"])
def test_batches_of_counts_add_up_to_the_counts(scheme: Scheme, texts: list[str]) -> None:
    batches = list(count_morphemes(texts, scheme, lowercase=False, most_types=50))
    assert len(batches) > 10
    assert sum(batches, Counter()) == counted(texts, scheme)


def test_counts_beyond_32_bits_teach_the_same(counts: Counter[str]) -> None:
    assert train(Counter({text: number << 40 for text, number in counts.items()})) == train(counts)


def test_of_too_many_morphemes_the_rarest_teach_no_merges(counts: Counter[str]) -> None:
    frequent = Counter({text: number for text, number in counts.items() if number >= 20})
    most = len(frequent)
    assert least_count(counts.items(), 1, most) <= 20
    assert least_count(counts.items(), 30, most) == 30
    assert sum(number >= least_count(counts.items(), 1, most - 1) for number in counts.values()) < most
    with pytest.raises(InputError, match="the corpus yields only"):
        train_vocabulary(sorted(counts.items()), RECIPE, most_types=5)


@pytest.mark.parametrize("scheme", ["klue", "continuation"])
def test_klue_has_more_word_initial_pieces(scheme: Scheme, texts: list[str], tmp_path: Path) -> None:
    rows = train(counted(texts, scheme), replace(RECIPE, size=380))
    merges = [row for row in rows if len(row.removeprefix("##")) > 1 and not row.startswith("[")]
    particles = {"에서", "##에서", "습니다", "##습니다"} & set(merges)
    if scheme == "klue":
        assert "에서" in particles
    else:
        assert particles == {"##에서"} or particles == {"##에서", "##습니다"}


@given(st.text("학교에서는 가ab1.,漢#[]()…\n", max_size=30))
@settings(max_examples=60, deadline=None)
def test_counts_lose_no_character(text: str) -> None:
    characters = Counter[str]()
    for morpheme, number in counted([text], "continuation").items():
        for character in morpheme.removeprefix("##"):
            characters[character] += number
    assert characters == Counter("".join(text.split()))


def test_lower_case_is_counted_lower() -> None:
    assert set(counted(["TV를 본다"], "klue", lowercase=True)) >= {"tv", "를"}


def test_morpheme_boundaries_stand_at_morphemes() -> None:
    text = "학교에서는 공부"
    assert morpheme_boundaries()(text).nonzero()[0].tolist() == [0, 2, 4, 6]


def test_the_report_tells_the_fingerprint(tmp_path: Path) -> None:
    rows = [*SPECIAL_TOKENS, "[unused0]", "학교", "학", "교", "에서", "##에서", "##교", "a", "."]
    for name, content in hugging_face_files(rows, lowercase=False).items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    counts = {"tokens": 100, "unknown": 5, "continuing": 40, "eojeols": 50, "characters": 200}
    report = vocabulary_report(Tokenizer(tmp_path), counts)
    assert (report["rows"], report["unused_rows"]) == (14, 1)
    assert (report["hangul_initial"], report["hangul_continuing"], report["initial_to_continuing"]) == (4, 2, 2.0)
    assert (report["unknown_rate"], report["tokens_per_eojeol"], report["characters_per_token"]) == (0.05, 2.0, 2.0)
    assert report["continuing_share"] == 0.4
