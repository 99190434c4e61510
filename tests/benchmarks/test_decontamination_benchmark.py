"""The measure itself: plants are what they say, and what stands in a text is told without the index."""

import re
from itertools import pairwise
from pathlib import Path

import pytest

from benchmarks.decontamination.natural import found_in, letters
from benchmarks.decontamination.plants import EDITS, Editor
from benchmarks.decontamination.recall import Scores
from data_pipeline.contract.benchmark_files import BenchmarkText
from data_pipeline.recipe import Decontamination
from data_pipeline.steps.benchmark_matches import matcher
from data_pipeline.steps.bm25 import Bm25Index
from data_pipeline.steps.bm25_build import build_index

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


def test_matches_under_any_thresholds_are_those_of_the_step(tmp_path: Path) -> None:
    texts = [
        TEXT,
        "기차가 늦게 도착해서 마지막 버스를 놓치고 말았습니다.",
        "무척 아끼셨다",
        "고양이는 창가에서 잠만 잔다고 했다.",
    ]
    build_index([BenchmarkText(text, "b", str(n), "sentence") for n, text in enumerate(texts)], 2, 12, tmp_path)
    index = Bm25Index.open(tmp_path)
    queries = [*CARRIERS, "무척 아끼셨다!", *(edited(kind, seed) for kind in EDITS for seed in range(3))]
    scores = Scores(index, queries)
    for thresholds in ((0.5, 0.7), (0.3, 0.9), (0.9, 0.3)):
        found = matcher(Decontamination(threshold=thresholds[0], embedded_threshold=thresholds[1]), index)(queries)
        matched = [index.text(text).text if text >= 0 else "" for text in scores.matches(*thresholds).tolist()]
        assert matched == [found[query].text if query in found else "" for query in queries]


def test_every_place_of_a_text_is_looked_at() -> None:
    text = letters(TEXT) * 3
    sought = {text[start:end] for start, end in pairwise(range(0, len(text), 13))}
    assert set(found_in(sought, [text])) == {each for each in sought if re.fullmatch(".{13}", each)}
