"""The measure itself: plants are what they say, and what stands in a text is told without the index."""

import re
from itertools import pairwise

import pytest

from benchmarks.decontamination.natural import found_in, letters
from benchmarks.decontamination.plants import EDITS, Editor

TEXT = "할머니께서는 마당에 심은 감나무를 무척 아끼셨다."
CARRIERS = ["어제 저녁에는 친구들과 떡볶이를 먹었다.", "고양이는 창가에서 하루 종일 잠만 잔다."]


def edited(kind: str, seed: int = 0) -> str:
    return EDITS[kind](Editor(CARRIERS, seed), TEXT)


def test_edits_change_what_they_name_and_nothing_else() -> None:
    assert edited("copy") == TEXT
    assert letters(edited("spacing")) == letters(TEXT)
    assert edited("spacing") != TEXT
    assert sorted(edited("reordered").split()) == sorted(TEXT.split())
    assert edited("reordered") != TEXT
    assert TEXT.startswith(edited("truncated to 60 %"))
    assert letters(TEXT) in letters(edited("embedded"))
    assert len(edited("embedded")) > 2 * len(TEXT)
    changed = sum(a != b for a, b in zip(edited("6 % of the characters"), TEXT, strict=True))
    assert changed == 1  # of 20 letters
    words = list(zip(edited("particles").split(), TEXT.split(), strict=True))
    assert any(new != old for new, old in words)
    assert all(new[0] == old[0] for new, old in words)


@pytest.mark.parametrize("kind", EDITS)
def test_the_same_seed_gives_the_same_plants(kind: str) -> None:
    assert edited(kind, 7) == edited(kind, 7)


def test_long_text_stands_anywhere_and_short_text_as_a_whole() -> None:
    long, short = letters(TEXT), "감나무다"
    assert set(found_in({long, short}, [f"그래서 {TEXT.replace(' ', '')} 그랬다"])) == {long}
    assert set(found_in({long, short}, ["감나무다!!", "아, 감나무다"])) == {short}
    assert set(found_in({long, short}, [TEXT[:-4]])) == set()


def test_every_place_of_a_text_is_looked_at() -> None:
    text = letters(TEXT) * 3
    sought = {text[start:end] for start, end in pairwise(range(0, len(text), 13))}
    assert set(found_in(sought, [text])) == {each for each in sought if re.fullmatch(".{13}", each)}
