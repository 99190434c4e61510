"""A benchmark text is found whatever sentences its copy is cut into, and every sentence that it touches goes; its neighbours stay."""

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from data_pipeline.contract.benchmark_files import BenchmarkText
from data_pipeline.corpus.steps.benchmark_matches import across_matcher
from data_pipeline.corpus.steps.bm25 import Bm25Index, symbols
from data_pipeline.corpus.steps.bm25_build import STREAM_TEXTS, build_index
from data_pipeline.corpus.steps.bm25_copy_kernels import GRAM, grams_of
from data_pipeline.recipe import Decontamination, SentenceSplit

TEXT = "우리 동네 도서관은 토요일마다 어린이를 위한 낭독회를 연다."
LATER = "그 화가의 초기 작품은 대부분 전쟁 중에 불타 없어졌다."
BELOW = "마지막 버스를 놓치고 말았습니다."  # 14 letters
BEFORE, AFTER = (
    "어제 저녁에는 친구들과 함께 매운 떡볶이를 먹었다.",
    "고양이는 햇볕이 드는 창가에서 하루 종일 잠만 잔다.",
)
RECIPE = Decontamination(benchmarks=("x",))


def make_index(folder: Path, texts: Sequence[str]) -> Bm25Index:
    named = (BenchmarkText(text, "bench/dev", f"dev.tsv:{line}", "sentence") for line, text in enumerate(texts, 1))
    build_index(named, 2, 12, folder, SentenceSplit())
    return Bm25Index.open(folder)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Bm25Index:
    return make_index(tmp_path_factory.mktemp("index"), [TEXT, LATER, BELOW])


def found(index: Bm25Index, *sentences: str) -> dict[int, str]:
    """Sentence number -> the benchmark text that stands in it."""
    [matches] = across_matcher(RECIPE, index)([sentences])
    return {place: match.text for place, match in sorted(matches.items())}


@pytest.mark.parametrize("place", range(1, len(TEXT) - 1))
def test_both_sides_of_any_cut_go_and_the_neighbours_stay(index: Bm25Index, place: int) -> None:
    assert found(index, BEFORE, TEXT[:place], TEXT[place:], AFTER) == {1: TEXT, 2: TEXT}


def test_every_line_of_a_wrapped_text_goes(index: Bm25Index) -> None:
    lines = [TEXT[start : start + 6] for start in range(0, len(TEXT), 6)]
    assert found(index, BEFORE, *lines, AFTER) == dict.fromkeys(range(1, 1 + len(lines)), TEXT)


def test_sentences_that_hold_more_than_the_text_go_whole(index: Bm25Index) -> None:
    halves = f"{BEFORE[:-1]} 그리고 {TEXT[:14]}", f"{TEXT[14:-1]}고 하지만 {AFTER}"
    assert found(index, BEFORE, *halves, AFTER) == {1: TEXT, 2: TEXT}


def test_wrong_missing_and_added_letters_are_forgiven(index: Bm25Index) -> None:
    wrong = TEXT.replace("토요일", "토욜일").replace("위한", "위항")
    assert found(index, BEFORE, wrong[:16], wrong[16:], AFTER) == {1: TEXT, 2: TEXT}
    missing = TEXT.replace("토요일", "토일")
    assert found(index, BEFORE, missing[:10], missing[10:], AFTER) == {1: TEXT, 2: TEXT}
    added = TEXT.replace("도서관은", "도서관에서는")
    assert found(index, BEFORE, added[:20], added[20:], AFTER) == {1: TEXT, 2: TEXT}


def test_two_texts_in_one_sentence_and_one_twice(index: Bm25Index) -> None:
    assert found(index, TEXT[:12], f"{TEXT[12:]} {LATER[:9]}", LATER[9:]) in (
        {0: TEXT, 1: TEXT, 2: LATER},
        {0: TEXT, 1: LATER, 2: LATER},
    )
    assert set(found(index, TEXT[:12], TEXT[12:], BEFORE, TEXT[:7], TEXT[7:])) == {0, 1, 3, 4}


def test_a_copy_does_not_reach_into_the_next_document(index: Bm25Index) -> None:
    thirds = [[BEFORE, TEXT[:11]], [TEXT[11:22]], [TEXT[22:], AFTER]]
    assert across_matcher(RECIPE, index)(thirds) == [{}, {}, {}]
    assert across_matcher(RECIPE, index)([[sentence for third in thirds for sentence in third]]) != [{}]


def test_what_is_found_does_not_depend_on_the_documents_around(index: Bm25Index) -> None:
    rng = random.Random(0)
    pieces = [BEFORE, AFTER, TEXT[:9], TEXT[9:], LATER[:15], LATER[15:], "", "ㅋㅋㅋ", BELOW]
    documents = [rng.choices(pieces, k=rng.randint(0, 6)) for _ in range(60)]
    documents += [[TEXT[:9], TEXT[9:]], []]
    find = across_matcher(RECIPE, index)
    together = find(documents)
    assert together == [find([document])[0] for document in documents]
    assert together[-2:] == [dict.fromkeys((0, 1), together[-2][0]), {}]


def test_clean_empty_and_short_text_stays(index: Bm25Index) -> None:
    half = TEXT[: len(TEXT) // 2]
    assert found(index) == found(index, "", "😀") == found(index, BEFORE, half, AFTER) == {}


def test_of_texts_below_20_letters_only_whole_copies_count(index: Bm25Index) -> None:
    assert found(index, BEFORE, BELOW[:7], BELOW[7:], AFTER) == {1: BELOW, 2: BELOW}
    edited = BELOW.replace("말았", "말랐")
    assert found(index, BEFORE, edited[:7], edited[7:], AFTER) == {}


def test_addresses_of_one_host_are_not_copies(tmp_path: Path) -> None:
    index = make_index(tmp_path, ["https://blog.naver.com/myungi7", TEXT])
    assert found(index, "주소는 https://blog.naver.com/ldh2206 입니다.") == {}


def test_a_run_of_one_gram_is_not_one_long_copy(tmp_path: Path) -> None:
    laughs = "하하하하하하하하하하하하하하하하하하하하"
    index = make_index(tmp_path, [laughs, TEXT])
    touched = found(index, BEFORE, *["하" * 10] * 2, AFTER)
    assert set(touched) <= {1, 2}


def test_grams_of_many_texts_are_not_looked_up(tmp_path: Path) -> None:
    shared = "이것은 아주 많은 글이 함께 나누어 가지는 앞부분이며"
    index = make_index(tmp_path, [f"{shared} {number}" for number in range(100, 101 + STREAM_TEXTS)])
    assert len(index) == STREAM_TEXTS + 1
    codes = grams_of(*symbols([shared]))
    assert len(codes) == 22 - GRAM + 1
    assert not np.isin(codes, index.grams.codes).any()
    counts = np.diff(index.grams.starts)
    assert counts.max() <= STREAM_TEXTS
    assert (np.diff(index.grams.codes.astype(object)) > 0).all()


def test_grams_are_those_of_the_letters_alone() -> None:
    plain, spaced = (grams_of(*symbols([text])) for text in ("가나다라마바사A", "가 나,다라\n마 바사 a"))
    assert len(plain) == 8 - GRAM + 1
    assert plain.tolist() == spaced.tolist()
    assert len(grams_of(*symbols(["가나다라마", "바사아"]))) == 0  # none across two texts
