"""Benchmark text is found when it is copied, edited or embedded; scores are BM25's; other text stays."""

import gzip
import json
import math
import pickle
import random
import re
import unicodedata
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_pipeline.contract.benchmark_files import BenchmarkText, read_benchmark
from data_pipeline.contract.errors import InputError, WorkError
from data_pipeline.corpus.document import Document, Dropped, Sentence, Step
from data_pipeline.corpus.steps.benchmark_matches import matcher
from data_pipeline.corpus.steps.bm25 import Bm25Index, Prefilter
from data_pipeline.corpus.steps.bm25_build import K1, B, build_index
from data_pipeline.corpus.steps.decontamination import Contaminated, formula_documents, remove_matches
from data_pipeline.corpus.steps.removal import sentences_of
from data_pipeline.recipe import Decontamination, SentenceSplit

DATA = Path(__file__).resolve().parents[4] / "../shared/data"
EVERYTHING = Prefilter(rare_terms=10**6, stretch=10**6, frequency_cap=10**9, min_hits=1)

BENCHMARK = (
    "우리 동네 도서관은 토요일마다 어린이를 위한 낭독회를 연다.",
    "기차가 늦게 도착해서 마지막 버스를 놓치고 말았습니다.",
    "할머니께서는 마당에 심은 감나무를 무척 아끼셨다.",
    "새로 나온 전기차는 한 번 충전으로 사백 킬로미터를 달린다.",
    "그 화가의 초기 작품은 대부분 전쟁 중에 불타 없어졌다.",
    "WiFi 비밀번호는 2층 안내 데스크에서 받으실 수 있습니다.",
)
CLEAN = (
    "어제 저녁에는 친구들과 함께 매운 떡볶이를 먹었다.",
    "회의가 길어지는 바람에 점심시간이 훌쩍 지나가 버렸네요.",
    "고양이는 햇볕이 드는 창가에서 하루 종일 잠만 잔다.",
    "이번 여름에는 제주도에 가서 수영을 배우고 싶어요.",
)
RECIPE = Decontamination(benchmarks=("x",))


def make_index(
    texts: tuple[str, ...] | list[str], folder: Path, ngram: int = 2, min_chars: int = 12, strict_short: bool = True
) -> Bm25Index:
    named = [
        BenchmarkText(text, "bench/dev", f"dev.tsv:{line}", "sentence") for line, text in enumerate(texts, start=1)
    ]
    build_index(named, ngram, min_chars, folder, SentenceSplit(splitter="kss"), strict_short)
    return Bm25Index.open(folder)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Bm25Index:
    return make_index(BENCHMARK, tmp_path_factory.mktemp("index"))


def document(*texts: str, blanks: str = " ") -> Document:
    sentences = tuple(Sentence(text, blanks if text is not texts[-1] else "") for text in texts)
    return Document("corpus:1", "corpus", "".join(s.text + s.blanks for s in sentences), sentences)


def decontaminator(recipe: Decontamination, index: Bm25Index) -> Step:
    """Finding and removing in one: the corpus does them in two stages."""
    matches = matcher(recipe, index)

    def step(document: Document) -> Document | Dropped:
        found = matches([sentence.text for sentence in sentences_of(document)])
        return remove_matches(document, Contaminated(found), recipe.on_contaminated)

    return step


def kept_texts(result: Document | Dropped) -> list[str]:
    assert isinstance(result, Document)
    assert result.sentences is not None
    return [sentence.text for sentence in result.sentences]


def test_the_index_does_not_depend_on_how_much_is_read_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [*BENCHMARK, CLEAN[0], BENCHMARK[1], *CLEAN, "짧다"]
    folders = []
    for number, chunk in enumerate((1000, 3, 1)):
        monkeypatch.setattr("data_pipeline.corpus.steps.bm25_build.CHUNK", chunk)
        folders.append(make_index(texts, tmp_path / str(number)).folder)
    names = {path.name for path in folders[0].iterdir()}
    assert len(names) == 18
    for other in folders[1:]:
        assert all((other / name).read_bytes() == (folders[0] / name).read_bytes() for name in names)


# --- the scores -----------------------------------------------------------------------------------------------------


class BruteForce:
    """BM25 straight from the formula, over every benchmark text."""

    def __init__(self, texts: list[str], ngram: int) -> None:
        self.ngram = ngram
        distinct = {tuple(self.terms(text)): None for text in texts}
        self.texts = [Counter(terms) for terms in distinct]
        self.mean = sum(sum(text.values()) for text in self.texts) / len(self.texts)
        frequency = Counter(term for text in self.texts for term in text)
        total = len(self.texts)
        self.idf = {term: math.log(1 + (total - n + 0.5) / (n + 0.5)) for term, n in frequency.items()}

    def terms(self, text: str) -> list[str]:
        kept = "".join(re.findall("[0-9A-Za-z가-힣]", text)).translate(
            {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}
        )
        return [kept[i : i + self.ngram] for i in range(len(kept) - self.ngram + 1)]

    def score(self, query: Counter[str], text: Counter[str]) -> float:
        norm = K1 * (1 - B + B * sum(text.values()) / self.mean)
        unknown = max(self.idf.values())
        return sum(
            self.idf.get(term, unknown) * text[term] * (K1 + 1) / (text[term] + norm) for term in query if term in text
        )

    def closest(self, query: str, threshold: float, embedded_threshold: float) -> tuple[int, float, float]:
        terms = Counter(self.terms(query))
        best, margin = (-1, 0.0, 0.0), 0.0
        for number, text in enumerate(self.texts):
            score = self.score(terms, text)
            symmetric = 2 * score / (self.score(terms, terms) + self.score(text, text))
            embedded = score / self.score(text, text)
            if max(symmetric / threshold, embedded / embedded_threshold) > margin + 1e-12:
                best, margin = (number, symmetric, embedded), max(symmetric / threshold, embedded / embedded_threshold)
        return best


def korean_like(rng: random.Random) -> str:
    words = ["".join(rng.choices("가나다라마바사아abA1", k=rng.randint(1, 4))) for _ in range(rng.randint(0, 12))]
    return rng.choice([" ", "  ", ", "]).join(words) + rng.choice(["", ".", "ㅋㅋ", "😀"])


@pytest.mark.parametrize("ngram", [1, 2, 3, 4])
def test_scores_are_exactly_bm25_when_everything_is_scored(ngram: int, tmp_path: Path) -> None:
    rng = random.Random(ngram)
    texts = [text for text in (korean_like(rng) for _ in range(80)) if len(re.findall("[0-9A-Za-z가-힣]", text)) >= 5]
    queries = [korean_like(rng) for _ in range(40)] + texts[:10] + [f"{texts[3]} {texts[7]}", "전혀 다른 글자들", ""]
    index = make_index(texts, tmp_path, ngram=ngram, min_chars=5, strict_short=False)
    brute_force = BruteForce(texts, ngram)
    assert len(index) == len(brute_force.texts)
    found = index.closest(queries, 0.5, 0.7, EVERYTHING)
    for number, query in enumerate(queries):
        expected = brute_force.closest(query, 0.5, 0.7)
        if len(re.findall("[0-9A-Za-z가-힣]", query)) < 5:
            expected = (-1, 0.0, 0.0)
        actual = (int(found.texts[number]), found.symmetric[number], found.embedded[number])
        assert actual == pytest.approx(expected, rel=1e-9), query


def test_equal_scores_go_to_the_first_text_and_equal_texts_are_indexed_once(tmp_path: Path) -> None:
    texts = ["가나다라마바사아자차카타 하나", "가나다라마바사아자차카타 하늘", "가나다라 마바사아자차카타, 하나!"]
    index = make_index(texts, tmp_path)
    assert len(index) == 2
    assert index.closest(["가나다라마바사아자차카타"], 0.5, 0.7).texts.tolist() == [0]


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.sampled_from((*BENCHMARK, *CLEAN, "", "😀", "짧다", "ㅋㅋㅋㅋㅋㅋㅋㅋㅋㅋㅋㅋㅋ")), max_size=8),
    st.integers(0, 8),
)
def test_scores_do_not_depend_on_the_sentences_around(index: Bm25Index, texts: list[str], cut: int) -> None:
    together = index.closest(texts, 0.5, 0.7)
    apart = [index.closest(part, 0.5, 0.7) for part in (texts[:cut], texts[cut:])]
    assert together.texts.tolist() == [number for part in apart for number in part.texts.tolist()]
    assert together.symmetric.tolist() == [score for part in apart for score in part.symmetric.tolist()]


@settings(max_examples=25, deadline=None)
@given(st.text(max_size=300))
def test_any_text_can_be_compared(index: Bm25Index, text: str) -> None:
    found = index.closest([text, BENCHMARK[0]], 0.5, 0.7)
    assert found.symmetric[0] >= 0
    assert found.embedded[0] >= 0
    assert found.texts[1] == 0
    assert found.symmetric[1] == pytest.approx(1)


def test_every_exact_copy_passes_the_prefilter(tmp_path: Path) -> None:
    # All terms stand in more texts than the cap: only the promise about the first terms of a stretch can help.
    rng = random.Random(0)
    texts = ["".join(rng.choices("가나다라", k=rng.randint(12, 120))) for _ in range(300)]
    index = make_index(texts, tmp_path, strict_short=False)
    found = index.closest(texts, 0.5, 0.7, Prefilter(frequency_cap=5))
    assert (np.maximum(found.symmetric, found.embedded) > 1 - 1e-9).all()


# --- the step -------------------------------------------------------------------------------------------------------


def edits(text: str) -> dict[str, str]:
    letters = list(text)
    letters[len(letters) // 3], letters[2 * len(letters) // 3] = "쀍", "뷁"
    words = text.split()
    return {
        "exact": text,
        "other spacing": text.replace(" ", ""),
        "other punctuation": "“" + text.replace(".", "!!! ㅋㅋㅋ"),
        "upper case": text.upper(),
        "two characters (about 6 %)": "".join(letters),
        "another particle": words[0][:-1] + "만" + text[len(words[0]) :],
        "cut short": text[: int(len(text) * 0.7)],
        "embedded": f"{CLEAN[0][:-1]} 그리고 {text[:-1]} 하지만 {CLEAN[1]}",
    }


@pytest.mark.parametrize("edit", edits(BENCHMARK[0]))
@pytest.mark.parametrize("text", BENCHMARK)
def test_edited_copies_are_removed_and_the_rest_stays(index: Bm25Index, text: str, edit: str) -> None:
    step = decontaminator(RECIPE, index)
    planted = edits(text)[edit]
    result = step(document(CLEAN[2], planted, CLEAN[3]))
    assert isinstance(result, Document)
    assert result.sentences == (Sentence(CLEAN[2], " "), Sentence(CLEAN[3], "", after_break=True))
    (removed,) = result.removed
    assert (removed.text, removed.reason) == (planted, "benchmark")
    line = BENCHMARK.index(text) + 1
    assert re.fullmatch(rf"[01]\.\d\d bench/dev dev\.tsv:{line}: {re.escape(text)}", removed.detail)


def test_full_width_digits_and_letters_are_the_usual_ones(tmp_path: Path) -> None:
    wide = {ord(letter): ord(letter) + 0xFEE0 for letter in "0123456789WiFiXYZabc"}
    texts = (*BENCHMARK, "3층 A동", "2026년 11월 21일 오전 10시 30분에 3번 출구에서 만나요.")
    usual = make_index(texts, tmp_path / "usual")
    written_wide = make_index([text.translate(wide) for text in texts], tmp_path / "wide")
    for text in texts:
        for index_, copy in ((usual, text.translate(wide)), (written_wide, text)):
            gone = decontaminator(RECIPE, index_)(document(copy, CLEAN[0]))
            assert [each.text for each in gone.removed] == [copy]


def test_clean_short_and_empty_sentences_stay(index: Bm25Index) -> None:
    step = decontaminator(RECIPE, index)
    clean = document(*CLEAN, "", "😀😀", "ㅋㅋㅋ", "감나무를", "마지막 버스")
    assert step(clean) == clean
    assert step(document()) == document()


def test_short_benchmark_text_removes_only_sentences_that_are_the_same(tmp_path: Path) -> None:
    index = make_index(["마지막 버스를 놓쳤다", "네", BENCHMARK[1], "ㅋㅋ"], tmp_path)
    assert len(index) == 3
    assert index.benchmarks == {"bench/dev": 3}
    step = decontaminator(RECIPE, index)
    clean = document(
        "마지막 버스를 놓쳤다고 한다", "어제 마지막 버스를 놓쳤다", "버스를 놓쳤다", "네네", "ㅋㅋ", CLEAN[0]
    )
    assert step(clean) == clean
    result = step(document(CLEAN[0], "마지막  버스를 놓쳤다!", "“네.”", CLEAN[1]))
    assert isinstance(result, Document)
    assert kept_texts(result) == [CLEAN[0], CLEAN[1]]
    details = [removed.detail for removed in result.removed]
    assert details == ["1.00 bench/dev dev.tsv:1: 마지막 버스를 놓쳤다", "1.00 bench/dev dev.tsv:2: 네"]


SHORT = st.text("가나a B1.ㅋ", max_size=8)


@settings(max_examples=50, deadline=None)
@given(st.lists(SHORT, max_size=6), st.lists(SHORT, max_size=6))
def test_short_matches_are_those_of_letters_and_digits(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], queries: list[str]
) -> None:
    def letters(text: str) -> str:
        return "".join(re.findall("[0-9A-Za-z가-힣]", text)).lower()

    index = make_index([*texts, BENCHMARK[0]], tmp_path_factory.mktemp("short"))
    found = index.closest([*queries, BENCHMARK[0]], 0.5, 0.7).texts.tolist()
    assert found.pop() == 0
    known = {letters(text) for text in texts} - {""}
    for query, number in zip(queries, found, strict=True):
        assert (number >= 0) == (letters(query) in known)
        assert number < 0 or letters(index.text(number).text) == letters(query)


def test_two_short_texts_of_one_key_are_told_apart(index: Bm25Index, tmp_path: Path) -> None:
    index = make_index(["가나다", "라마바", BENCHMARK[0]], tmp_path)
    index.arrays["short_keys"] = np.full(2, 7, np.uint64)  # as if their keys were one
    copies = index._short_copies(["라마바", "가나다", "사아자"], np.full(3, 3), np.full(3, 7, np.uint64))
    assert [(query, index.text(text).text) for query, text in copies] == [(0, "라마바"), (1, "가나다")]


def test_a_formula_is_what_more_than_a_share_of_all_documents_holds() -> None:
    assert formula_documents(0.001, 50_000) == 50
    assert formula_documents(0.001, 500) == 10
    assert formula_documents(0.001, 18_000_000) == 18_000  # what fewer documents hold goes from all of them
    assert formula_documents(0, 50_000) == float("inf")


def test_titles_of_articles_count_only_as_whole_sentences(tmp_path: Path) -> None:
    title = "김정남 (조선민주주의인민공화국)"
    texts = [
        BenchmarkText(title, "squad/dev", "data[0]", "heading"),
        BenchmarkText("대한민국 임시정부의 역사와 인물", "ynat/dev", "1", "title"),
        BenchmarkText(BENCHMARK[0], "squad/dev", "data[0].paragraphs[0]", "sentence"),
    ]
    build_index(texts, 2, 12, tmp_path / "strict", SentenceSplit())
    longer, same = "조선민주주의인민공화국의 김정남은 그날 공항에 있었다.", "김정남(조선민주주의인민공화국)."
    headline = "‘대한민국 임시정부의 역사와 인물’을 펴냈다."
    strict = matcher(RECIPE, Bm25Index.open(tmp_path / "strict"))([longer, same, headline, BENCHMARK[0]])
    assert {sentence: match.text for sentence, match in strict.items()} == {
        same: title,
        headline: texts[1].text,
        BENCHMARK[0]: BENCHMARK[0],
    }
    build_index(texts, 2, 12, tmp_path / "before", SentenceSplit(), strict_short=False)
    before = replace(RECIPE, strict_short=False)
    assert matcher(before, Bm25Index.open(tmp_path / "before"))([longer])[longer].text == title
    with pytest.raises(WorkError, match="built with strict_short True, but the recipe says False"):
        matcher(before, Bm25Index.open(tmp_path / "strict"))


def test_texts_below_16_letters_need_higher_scores(tmp_path: Path) -> None:
    phrase = "당신이 너무 원망스럽습니다"  # 12 letters
    near = "당신이 정말 원망스럽습니다"
    strict = make_index([phrase, *BENCHMARK], tmp_path / "strict")
    before = make_index([phrase, *BENCHMARK], tmp_path / "before", strict_short=False)
    assert matcher(RECIPE, strict)([near, f"{phrase}!", BENCHMARK[0]]).keys() == {f"{phrase}!", BENCHMARK[0]}
    assert matcher(replace(RECIPE, strict_short=False), before)([near]).keys() == {near}
    [found], [as_before] = strict.closest([near], 0.6, 0.8).margins, before.closest([near], 0.6, 0.8).margins
    assert found == pytest.approx(0.85 * as_before)


def test_document_of_which_nothing_is_left_is_dropped(index: Bm25Index) -> None:
    result = decontaminator(RECIPE, index)(document(BENCHMARK[0], BENCHMARK[1]))
    assert isinstance(result, Dropped)
    assert result.reason == "benchmark"
    assert result.document.sentences == ()
    assert [removed.text for removed in result.document.removed] == [BENCHMARK[0], BENCHMARK[1]]
    assert result.detail == result.document.removed[0].detail == f"1.00 bench/dev dev.tsv:1: {BENCHMARK[0]}"


def test_unit_that_goes_is_the_recipes(index: Bm25Index) -> None:
    sentences = (Sentence(CLEAN[0], " "), Sentence(BENCHMARK[0], "\n"), Sentence(CLEAN[1], " "), Sentence(CLEAN[2]))
    text = "".join(sentence.text + sentence.blanks for sentence in sentences)
    mixed = Document("corpus:1", "corpus", text, sentences)

    result = decontaminator(replace(RECIPE, on_contaminated="sentence"), index)(mixed)
    assert kept_texts(result) == [CLEAN[0], CLEAN[1], CLEAN[2]]

    result = decontaminator(replace(RECIPE, on_contaminated="paragraph"), index)(mixed)
    assert kept_texts(result) == [CLEAN[1], CLEAN[2]]
    assert isinstance(result, Document)
    assert [removed.text for removed in result.removed] == [CLEAN[0], BENCHMARK[0]]
    assert result.removed[0].detail == f"same paragraph: {result.removed[1].detail}"

    result = decontaminator(replace(RECIPE, on_contaminated="document"), index)(mixed)
    assert isinstance(result, Dropped)
    assert result.reason == "benchmark"
    assert [removed.text for removed in result.document.removed] == [BENCHMARK[0]]
    assert [sentence.text for sentence in result.document.sentences or ()] == [CLEAN[0], CLEAN[1], CLEAN[2]]


def test_thresholds_decide(index: Bm25Index) -> None:
    planted = edits(BENCHMARK[0])["embedded"]
    assert isinstance(decontaminator(RECIPE, index)(document(planted)), Dropped)
    symmetric_only = replace(RECIPE, threshold=0.9, embedded_threshold=2.0)
    assert decontaminator(symmetric_only, index)(document(planted)) == document(planted)


# --- the index ------------------------------------------------------------------------------------------------------


def test_texts_of_several_sentences_are_found_sentence_by_sentence(tmp_path: Path) -> None:
    pytest.importorskip("kss", reason="kss 1.3.1 splits benchmark texts; it is not installed")
    context = BenchmarkText(f"{BENCHMARK[0]} {BENCHMARK[1]}", "bench/dev", "c1", "context")
    review = BenchmarkText(f"{BENCHMARK[2]} {BENCHMARK[3]}", "bench/dev", "r1", "sentence")
    build_index([context, review], 2, 12, tmp_path, SentenceSplit())
    index = Bm25Index.open(tmp_path)
    assert [index.text(number).text for number in range(len(index))] == [*BENCHMARK[:2], review.text, *BENCHMARK[2:4]]
    assert np.allclose(index.closest(BENCHMARK[:4], 0.5, 0.7).symmetric, 1)


def test_decomposed_and_broken_benchmark_text_is_mended(tmp_path: Path) -> None:
    index = make_index([unicodedata.normalize("NFD", BENCHMARK[0]), BENCHMARK[1] + "\ud83d"], tmp_path)
    assert np.allclose(index.closest(BENCHMARK[:2], 0.5, 0.7).symmetric, 1)
    assert index.text(1).text == BENCHMARK[1]


def test_index_travels_to_workers_as_its_folder(index: Bm25Index) -> None:
    packed = pickle.dumps(index)
    assert len(packed) < 1000
    assert pickle.loads(packed).closest(BENCHMARK, 0.5, 0.7).texts.tolist() == list(range(len(BENCHMARK)))


def test_same_texts_give_the_same_files(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        make_index(BENCHMARK, tmp_path / folder)
    assert {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()} == {
        path.name: path.read_bytes() for path in (tmp_path / "b").iterdir()
    }


def test_wrong_input_is_one_clear_sentence(index: Bm25Index, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no text of 12 letters and digits"):
        make_index(["짧다"], tmp_path / "empty")
    with pytest.raises(WorkError, match="no finished benchmark index"):
        Bm25Index.open(tmp_path / "empty")
    with pytest.raises(WorkError, match="built with min_chars 12, but the recipe says 20"):
        decontaminator(replace(RECIPE, min_chars=20), index)


def test_unfinished_index_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_index(BENCHMARK, tmp_path)

    def stop(path: Path, value: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("data_pipeline.corpus.steps.bm25_build.write_json", stop)
    with pytest.raises(KeyboardInterrupt):
        make_index(CLEAN, tmp_path)
    with pytest.raises(WorkError, match="no finished benchmark index"):
        Bm25Index.open(tmp_path)


# --- real text ------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(
    not DATA.is_dir(), reason="the real corpora and benchmarks (../shared/data) are not on this machine"
)
def test_klue_ner_sentences_taken_from_reviews_are_found_in_the_reviews(tmp_path: Path) -> None:
    texts = [
        text for text in read_benchmark(DATA / "tasks/klue-ner/klue-ner-v1.1_dev.tsv") if text.location.endswith("nsmc")
    ]
    assert len(texts) == 2466
    build_index(texts, 2, 12, tmp_path, SentenceSplit())
    step = decontaminator(RECIPE, Bm25Index.open(tmp_path))

    def key(text: str) -> str:
        return "".join(re.findall("[0-9A-Za-z가-힣]", text))

    keys = {key(text.text) for text in texts if len(key(text.text)) >= 12}
    copies = flagged = others = others_flagged = 0
    with gzip.open(DATA / "corpus/reviews_train.jsonl.gz", "rt", encoding="utf-8") as lines:
        for _, line in zip(range(40_000), lines, strict=False):
            review = json.loads(line)["text"]
            gone = isinstance(step(Document("x", "reviews", review, (Sentence(review),))), Dropped)
            if key(review) in keys:
                copies += 1
                flagged += gone
            else:
                others += 1
                others_flagged += gone
    assert copies > 40
    assert flagged == copies
    assert others_flagged < 0.01 * others
