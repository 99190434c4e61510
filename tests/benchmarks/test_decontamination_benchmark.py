"""The measure itself: plants are what they say, and what stands in a text is told without the index."""

import random
import re
from itertools import pairwise
from pathlib import Path

import pytest

from benchmarks.decontamination.__main__ import natural_page
from benchmarks.decontamination.across import BREAKS, clean_losses, recall_of_breaks
from benchmarks.decontamination.natural import BENCHMARKS, Natural, Result, found_in, letters
from benchmarks.decontamination.plants import EDITS, Editor
from benchmarks.decontamination.recall import Scores
from data_pipeline.contract.benchmark_files import BenchmarkText
from data_pipeline.corpus.steps.benchmark_matches import matcher
from data_pipeline.corpus.steps.bm25 import Bm25Index
from data_pipeline.corpus.steps.bm25_build import build_index
from data_pipeline.recipe import Decontamination, SentenceSplit

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
    build_index(
        [BenchmarkText(text, "b", str(n), "sentence") for n, text in enumerate(texts)], 2, 12, tmp_path, SentenceSplit()
    )
    index = Bm25Index.open(tmp_path)
    queries = [*CARRIERS, "무척 아끼셨다!", *(edited(kind, seed) for kind in EDITS for seed in range(3))]
    scores = Scores(index, queries)
    for thresholds in ((0.5, 0.7), (0.3, 0.9), (0.9, 0.3)):
        found = matcher(Decontamination(threshold=thresholds[0], embedded_threshold=thresholds[1]), index)(queries)
        matched = [index.text(text).text if text >= 0 else "" for text in scores.matches(*thresholds).tolist()]
        assert matched == [found[query].text if query in found else "" for query in queries]


def test_the_page_tells_what_is_gone_what_is_left_and_what_is_a_formula() -> None:
    four = frozenset({"가", "나", "다", "라"})
    natural = Natural(standing=four, formulae=frozenset({"가"}), left=frozenset({"나"}))
    found = {(name, short): natural for name in BENCHMARKS for short in (False, True)}
    found["klue-nli", True] = Natural(frozenset(), frozenset(), frozenset())
    report = {
        "documents": {"records": 9},
        "sentences": {"sentences_in": 20, "matched": {"jsonl": {"klue-ner/dev": 7}}, "documents_with_holes": 3},
        "formulae": {"formulae": {"klue-ner/dev": {"가": {"documents": 5, "sentences": 6}}}},
    }
    certificate = {f"{name}/dev": {"texts": 30} for name in BENCHMARKS}
    page = natural_page(Result(found, report, certificate, {name: four - {"라"} for name in BENCHMARKS}))
    assert "| klue-ner, from 12 letters and digits | 4 | 1 | 1 | 0.500 |" in page
    assert "| klue-nli, below 12 letters and digits | 0 | 0 | 0 | 1.000 |" in page
    assert "7 of 20 sentences were removed; 3 reviews live on with holes" in page
    assert "| 가 | 5 |" in page
    assert "| klue-ner | 30 | 3 | 4 | 3 |" in page


def test_every_place_of_a_text_is_looked_at() -> None:
    text = letters(TEXT) * 3
    sought = {text[start:end] for start, end in pairwise(range(0, len(text), 13))}
    assert set(found_in(sought, [text])) == {each for each in sought if re.fullmatch(".{13}", each)}


@pytest.mark.parametrize("kind", BREAKS)
def test_breaks_keep_the_letters_and_cut_the_text(kind: str) -> None:
    broken = BREAKS[kind](random.Random(3), TEXT)
    assert "\n" in broken
    assert letters(broken.replace("다.\n", "") if kind == "cut by a sentence end" else broken) == letters(TEXT)


def test_wholly_gone_needs_the_search_across_sentences(tmp_path: Path) -> None:
    texts = [TEXT + " 그래서 마을 사람들이 모두 좋아했다."]
    build_index([BenchmarkText(text, "b", "1", "question") for text in texts], 2, 12, tmp_path, SentenceSplit())
    index = Bm25Index.open(tmp_path)
    found = recall_of_breaks(Decontamination(), index, [tuple(CARRIERS)], 1, seed=1)
    assert [each.gone for each in found if "hard" in each.kind] == [1, 1]
    assert [each.gone_without for each in found if "hard" in each.kind] == [0, 0]
    cut = [CARRIERS[0], TEXT[:12], TEXT[12:], CARRIERS[1]]
    losses = clean_losses(Decontamination(), index, [tuple(CARRIERS), tuple(cut)])
    assert (losses.documents, losses.flagged) == (2, 1)
