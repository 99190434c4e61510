"""Noise: what it must change, and what it must leave as it is."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain.evaluate.noise import FINALS, INITIALS, MEDIALS, NEIGHBOURS, NOISES, SPACING_RATE, TYPO_RATE, noisy, typos
from pretrain.evaluate.tasks.examples import TextExample

KOREAN = st.text(
    st.one_of(st.characters(min_codepoint=0xAC00, max_codepoint=0xD7A3), st.sampled_from(" \tab1.,ㅋ한국어😀"))
)
SPACING = ("without_blanks", "spaced_syllables", "random_spacing")


def jamo(syllable: str) -> tuple[str, str, str]:
    code = ord(syllable) - 0xAC00
    return INITIALS[code // 588], MEDIALS[code % 588 // 28], FINALS[code % 28]


def letters(text: str) -> str:
    return "".join(text.split())


def applied(noise: str, text: str, name: str = "a") -> str:
    return noisy(TextExample(name, text, None, "x"), noise).first


@given(KOREAN, st.sampled_from(SPACING))
def test_spacing_leaves_every_letter_in_its_place(text: str, noise: str) -> None:
    assert letters(applied(noise, text)) == letters(text)


@given(KOREAN)
def test_without_blanks_has_none_and_spaced_syllables_stand_alone(text: str) -> None:
    assert not any(character.isspace() for character in applied("without_blanks", text))
    words = applied("spaced_syllables", text).split()
    assert all(len(word) == 1 for word in words if any("가" <= character <= "힣" for character in word))


@given(KOREAN, st.integers(0, 2**32))
def test_a_typo_is_one_jamo_of_a_syllable_and_a_key_beside(text: str, seed: int) -> None:
    found = typos(text, np.random.default_rng(seed))
    assert len(found) == len(text)
    for before, after in zip(text, found, strict=True):
        if before != after:
            changed = [pair for pair in zip(jamo(before), jamo(after), strict=True) if pair[0] != pair[1]]
            ((typed, instead),) = changed
            assert instead in NEIGHBOURS[typed]


def test_neighbours_are_those_of_the_two_set_keyboard() -> None:
    assert set(NEIGHBOURS["ㄴ"]) == set("ㅁㅇㅈㄷㅋㅌ")
    assert set(NEIGHBOURS["ㅎ"]) == set("ㄹㅅㅍ"), "its neighbours ㅛ, ㅗ and ㅠ are vowels"
    assert set(NEIGHBOURS["ㅡ"]) == set("ㅜㅏㅓ")
    assert all(key in NEIGHBOURS[other] for key, others in NEIGHBOURS.items() for other in others)


def test_rates_are_those_that_are_stated() -> None:
    text = "나는 " * 20_000
    mistyped = sum(before != after for before, after in zip(text, applied("typos", text), strict=True))
    assert mistyped / 40_000 == pytest.approx(TYPO_RATE, abs=0.01)
    spaced = applied("random_spacing", text)
    assert spaced.count("나 ") / 20_000 == pytest.approx(SPACING_RATE, abs=0.02)
    assert spaced.count("는나") / 19_999 == pytest.approx(SPACING_RATE, abs=0.02)


@pytest.mark.parametrize("noise", NOISES)
def test_a_noise_depends_on_the_examples_name_alone_and_takes_both_texts(noise: str) -> None:
    text = "배우들의 연기가 정말 좋았다. 다시 보고 싶은 영화"
    pair = TextExample("guid-1", text, text, 3.5)
    found = noisy(pair, noise)
    assert (found.name, found.label) == ("guid-1", 3.5)
    assert text not in (found.first, found.second)
    assert noisy(pair, noise) == found
    assert noisy(TextExample("guid-1", text, None, 3.5), noise).first == found.first
    if noise in ("random_spacing", "typos"):
        assert found.first != found.second
        assert applied(noise, text, "guid-2") != found.first


def test_what_is_appended_stands_at_the_end() -> None:
    assert (applied("laughing", "좋다"), applied("crying", "좋다")) == ("좋다ㅋㅋ", "좋다ㅠㅠ")
