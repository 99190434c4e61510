"""Signatures estimate what texts share, and bands bring together those that share enough."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_pipeline.corpus.steps.min_hash import RECALL, band_hashes, bands_and_rows, shingles, signatures

pytest.importorskip("rensa", reason="rensa is not installed: run_tests.sh installs it")


def sets_of(texts: list[str], ngram: int) -> list[set[int]]:
    hashes, starts = shingles(texts, ngram)
    return [set(hashes[start:end].tolist()) for start, end in pairwise(starts)]


def letters(text: str) -> str:
    return "".join(character.lower()[0] for character in text if character.isalnum())


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.text(st.sampled_from("가나다라aAbZ19한Ⅷİ𠀀 .\n\u0301"), max_size=12), min_size=1, max_size=6),
    st.integers(1, 4),
)
def test_shingles_are_the_ngrams_of_letters_and_digits(texts, ngram):
    found = sets_of(texts, ngram)
    expected = [
        {letters(text)[start : start + ngram] for start in range(len(letters(text)) - ngram + 1)} for text in texts
    ]
    assert [len(each) for each in found] == [len(each) for each in expected]
    for left, expected_left in zip(found, expected, strict=True):
        for right, expected_right in zip(found, expected, strict=True):
            assert len(left & right) == len(expected_left & expected_right)


def test_blanks_marks_and_case_do_not_matter():
    assert sets_of(["안녕하세요, KBS 뉴스 9입니다!"], 3) == sets_of(["안녕 하세요kbs뉴스... 9입니다"], 3)


def random_pair(shared: int, own: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed).integers(0, 1 << 63, shared + 2 * own).astype(np.uint64)
    both = np.concatenate([draw[: shared + own], draw[:shared], draw[shared + own :]])
    return both, np.array([0, shared + own, 2 * (shared + own)])


@pytest.mark.parametrize(("shared", "own"), [(900, 50), (650, 175), (26, 7), (300, 350)])
def test_agreement_of_signatures_estimates_jaccard_similarity(shared, own):
    found = []
    for seed in range(200):
        left, right = signatures(*random_pair(shared, own, seed), 128)
        found.append((left == right).mean())
    true = shared / (shared + 2 * own)
    deviation = (true * (1 - true) / 128) ** 0.5
    assert np.mean(found) == pytest.approx(true, abs=4 * deviation / 200**0.5 + 0.005)
    assert np.std(found) < 1.2 * deviation


def test_signature_depends_on_the_set_alone():
    hashes, starts = shingles(["가나다라마바사", "아자차카타파하", "가나다라마바사가나다라마바사가나다"], 3)
    together = signatures(hashes, starts, 64)
    alone = signatures(hashes[: starts[1]], starts[:2], 64)
    assert (together[0] == alone[0]).all()
    repeated = np.tile(hashes[: starts[1]], 3)[::-1].copy()
    assert (signatures(repeated, np.array([0, len(repeated)]), 64)[0] == alone[0]).all()
    assert not (together[0] == together[1]).any()


def test_bands_are_the_longest_in_which_similar_documents_meet():
    assert bands_and_rows(0.65, 128) == (25, 5)
    assert bands_and_rows(0.8, 128) == (18, 7)
    for threshold in (0.3, 0.5, 0.65, 0.8, 0.95, 1.0):
        for permutations in (16, 100, 128, 256):
            bands, rows = bands_and_rows(threshold, permutations)
            assert bands * rows <= permutations
            assert 1 - (1 - threshold**rows) ** bands >= RECALL
            longer = rows + 1
            assert longer > permutations or 1 - (1 - threshold**longer) ** (permutations // longer) < RECALL


def test_a_band_is_equal_only_where_all_its_rows_are():
    signature = np.arange(20, dtype=np.uint16)
    other = signature.copy()
    other[7] = 99
    first, second = band_hashes(np.stack([signature, other]), 4, 5)
    assert (first == second).tolist() == [True, False, True, True]
    repeated = band_hashes(np.tile(signature[:5], 4)[None], 4, 5)[0]
    assert len(set(repeated.tolist())) == 4, "equal rows in another place are another band"
