"""Near duplicates are found, one of them stays, and which one depends on the documents alone."""

import gzip
import json
import random
import re
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from data_pipeline.contract.run_folder import RunFolder
from data_pipeline.contract.storage import read_json
from data_pipeline.corpus.corpus_files import read_sentences
from data_pipeline.corpus.stages import near_duplicates
from data_pipeline.corpus.stages.documents import document_key
from data_pipeline.corpus.stages.near_duplicates import band_ranges
from data_pipeline.corpus.steps import min_hash_links
from data_pipeline.corpus.steps.min_hash import shingles, worths
from data_pipeline.corpus.steps.min_hash_links import linked
from data_pipeline.prepare.run import prepare
from data_pipeline.recipe import DataRecipe, Vocabulary

pytest.importorskip("rensa", reason="rensa is not installed: run_tests.sh installs it")
MakeRecipe = Callable[..., DataRecipe]
MakeDocument = Callable[..., str]
JsonLines = Callable[[Path, list[str]], Path]
DATA = Path(__file__).resolve().parents[4] / "../shared/data/corpus"
SYLLABLES = [chr(code) for code in range(0xAC00, 0xD7A4, 37)]


def text_of(seed: int, length: int = 400) -> str:
    """Words of random syllables: as unlike each other as texts get."""
    draw = random.Random(f"text {seed}")
    return " ".join("".join(draw.choices(SYLLABLES, k=draw.randint(2, 5))) for _ in range(length // 4)) + "."


def edited(text: str, share: float, seed: int) -> str:
    """The text with so many of its characters replaced, taken out or put in."""
    draw, characters = random.Random(f"edits {seed}"), list(text)
    for _ in range(round(share * len(text))):
        place = draw.randrange(len(characters))
        characters[place : place + draw.choice((0, 1, 1))] = draw.choices(SYLLABLES, k=draw.choice((0, 1)))
    return "".join(characters)


@pytest.fixture(scope="module")
def given_recipe(tiny_recipe: MakeRecipe, tmp_path_factory: pytest.TempPathFactory) -> MakeRecipe:
    """A recipe whose vocabulary is given: nothing is trained, which is most of the time of a small prepare."""
    vocabulary = tmp_path_factory.mktemp("given") / "vocab.txt"
    vocabulary.write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nx\n", encoding="utf-8")
    return lambda *globs: replace(
        tiny_recipe(*globs), vocabulary=Vocabulary(given=str(vocabulary)), evaluation_fraction=0.0
    )


def survivors(folder: Path, recipe: DataRecipe, workers: int = 1) -> list[tuple[str, str]]:
    """(source, text) of what is left after a prepare, sorted."""
    prepare(RunFolder(folder), "tiny", recipe, workers)
    return sorted(
        (document.source, "".join(sentence.text + sentence.blanks for sentence in document.sentences))
        for record in (folder / "corpus/sentences/done").glob("*.json")
        for document in read_sentences(
            str(folder / "corpus/sentences/data" / read_json(record)["attempt"] / "part.zst")
        )
    )


def dropped(folder: Path) -> dict[str, Any]:
    return read_json(folder / "corpus/report.json")["sentences"]["dropped"].get("documents", {})


def test_copies_with_edits_or_more_sentences_are_found_and_others_stay(
    tmp_path: Path, given_recipe: MakeRecipe, json_lines: JsonLines
) -> None:
    originals = [text_of(seed) for seed in range(200)]
    copies = [edited(text, 0.05, seed) for seed, text in enumerate(originals[:100])]
    longer = [f"{text} {text_of(1000 + seed, 60)}" for seed, text in enumerate(originals[100:150])]
    recipe = given_recipe(
        json_lines(tmp_path / "a.jsonl", originals), json_lines(tmp_path / "b.jsonl", copies + longer)
    )
    left = survivors(tmp_path / "run", recipe)
    assert [text for source, text in left if source == "source-0"] == sorted(originals)
    missed = {text for source, text in left if source == "source-1"}
    assert len(missed & set(copies)) <= 5
    assert len(missed & set(longer)) <= 2
    assert dropped(tmp_path / "run") == {"source-1": {"near duplicate": 150 - len(missed)}}


@pytest.mark.skipif(not DATA.is_dir(), reason="the petitions are not at ../shared/data/corpus")
def test_copies_of_real_petitions_are_found_and_hardly_any_petition_is_dropped(
    tmp_path: Path, given_recipe: MakeRecipe, json_lines: JsonLines
) -> None:
    with gzip.open(DATA / "petitions_2019-05.jsonl.gz", "rt", encoding="utf-8") as lines:
        originals = [text for text in (json.loads(line)["content"] for line in lines) if len(text) > 100][:400]
    copies = [edited(text, 0.05, seed) for seed, text in enumerate(originals[:200])]
    recipe = given_recipe(json_lines(tmp_path / "a.jsonl", originals), json_lines(tmp_path / "b.jsonl", copies))
    survivors(tmp_path / "run", recipe)
    found = dropped(tmp_path / "run")
    assert found["source-1"]["near duplicate"] >= 190
    assert found.get("source-0", {}).get("near duplicate", 0) <= 8


@pytest.fixture(scope="module")
def families() -> list[str]:
    """50 texts, each with up to three near copies and an exact one of some."""
    texts = []
    for seed in range(50):
        text = text_of(seed)
        texts += [text, *(edited(text, 0.03, 10 * seed + copy) for copy in range(seed % 4))]
        texts += [text] * (seed % 5 == 0)
    return texts


def files_of(folder: Path, texts: list[str], json_lines: JsonLines, draw: random.Random, number: int) -> Path:
    """The texts in another order, in so many files."""
    shuffled = draw.sample(texts, len(texts))
    for file in range(number):
        json_lines(folder / f"{file}.jsonl", shuffled[file::number])
    return folder / "*.jsonl"


def test_survivors_depend_on_the_documents_alone(
    tmp_path: Path,
    given_recipe: MakeRecipe,
    json_lines: JsonLines,
    families: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not on the order of documents and files, the size of parts, the number of workers and tasks, and what fits in memory."""
    found = []
    for number, files in enumerate((1, 3, 7)):
        glob = files_of(tmp_path / f"in-{number}", families, json_lines, random.Random(number), files)
        found.append(survivors(tmp_path / str(number), given_recipe(glob), workers=1 + number % 2))
    monkeypatch.setattr("data_pipeline.prepare.run.check", lambda recipe: None)  # it wants parts of a megabyte
    monkeypatch.setattr(near_duplicates, "BANDS_PER_TASK", 500)
    monkeypatch.setattr(near_duplicates, "SIGNATURES_AT_ONCE", 3)
    glob = files_of(tmp_path / "in-small", families, json_lines, random.Random(9), 2)
    found.append(survivors(tmp_path / "small", replace(given_recipe(glob), part_megabytes=0.006)))  # type: ignore[arg-type]
    assert len(list((tmp_path / "small/corpus/signatures/done").iterdir())) > 10
    assert len(list((tmp_path / "small/corpus/near_duplicates/done").iterdir())) > 3
    assert found[0] == found[1] == found[2] == found[3]
    assert len(found[0]) == 50
    assert dropped(tmp_path / "0") == dropped(tmp_path / "small")


def test_the_first_source_keeps_its_own_and_within_a_source_what_says_most_stays(
    tmp_path: Path, given_recipe: MakeRecipe, json_lines: JsonLines
) -> None:
    families = [[edited(text_of(seed), 0.02, 10 * seed + copy) for copy in range(4)] for seed in range(30)]
    first = json_lines(tmp_path / "first.jsonl", [family[0] for family in families[:15]])
    rest = json_lines(tmp_path / "rest.jsonl", [text for family in families for text in family[1:]])
    left = survivors(tmp_path / "run", given_recipe(first, rest))
    expected = [("source-0", family[0]) for family in families[:15]]
    expected += [
        ("source-1", min(family[1:], key=lambda text: (-worth(text), document_key(text)))) for family in families[15:]
    ]
    assert left == sorted(expected)


def worth(text: str) -> int:
    return int(worths(*shingles([text], 3))[0])


def test_the_longest_stays_unless_it_is_long_by_repetition(
    tmp_path: Path, given_recipe: MakeRecipe, json_lines: JsonLines
) -> None:
    """In every order of the copies; the hash decides between equals alone."""
    texts = [text_of(seed) for seed in range(12)]
    sentence = "배송이 빠르고 품질이 좋아요. "
    copies = [[text, f"{text} {text_of(100 + seed, 80)}", text[:400]] for seed, text in enumerate(texts[:6])] + [
        [text, f"{text} {text}", f"{text} {text} {text}"] for text in texts[6:9]
    ]
    copies += [[f"{text} {sentence}", f"{text} {sentence * 4}"] for text in texts[9:]]
    stay = [family[1] for family in copies[:6]] + [family[0] for family in copies[6:]]
    for turned, rows in enumerate((copies, [family[::-1] for family in copies])):
        file = json_lines(tmp_path / f"{turned}.jsonl", [text for family in rows for text in family])
        left = survivors(tmp_path / f"run-{turned}", given_recipe(file))
        assert [text for _, text in left] == sorted(text.strip() for text in stay)
    assert worth(texts[0]) == worth(texts[0] + "!!! ") > worth(f"{texts[0]} {texts[0]}")


def test_of_a_chain_of_copies_one_stays(tmp_path: Path, given_recipe: MakeRecipe, json_lines: JsonLines) -> None:
    chain = [text_of(0)]
    for link in range(1, 12):
        words = chain[-1].split(" ")
        words[link * 8 : link * 8 + 8] = text_of(100 + link, 32).removesuffix(".").split(" ")
        chain.append(" ".join(words))
    random.Random(0).shuffle(chain)
    folder = tmp_path / "run"
    assert len(survivors(folder, given_recipe(json_lines(tmp_path / "a.jsonl", chain)))) == 1
    assert read_json(folder / "corpus/report.json")["survivors"]["largest_group"] == 12


def test_the_report_counts_exact_and_near_apart_and_shows_both_sides(
    tmp_path: Path, given_recipe: MakeRecipe, json_lines: JsonLines
) -> None:
    text = text_of(0)
    near = edited(text, 0.03, 0)
    recipe = given_recipe(
        json_lines(tmp_path / "a.jsonl", [text, text_of(1)]), json_lines(tmp_path / "b.jsonl", [near, text, near])
    )
    survivors(tmp_path / "run", recipe)
    assert dropped(tmp_path / "run") == {"source-1": {"duplicate": 2, "near duplicate": 1}}
    counts = read_json(tmp_path / "run/corpus/report.json")["survivors"]
    assert (counts["near_duplicates"], counts["groups"], counts["largest_group"]) == (1, 1, 2)
    [example] = counts["examples"]["near duplicates, and what stays"]
    assert (example["id"], example["text"]) == ("b.jsonl:1", near[:300])
    similarity, _, beside = example["detail"].partition(" as ")
    assert 0.7 < float(similarity) < 1
    assert beside == f"a.jsonl:1: {text[:300]}"


def test_a_new_file_is_signed_alone_and_only_parts_that_lose_by_it_are_done_again(
    tmp_path: Path, given_recipe: MakeRecipe, json_lines: JsonLines
) -> None:
    for file in range(4):
        json_lines(tmp_path / f"in/{file}.jsonl", [text_of(10 * file + row) for row in range(5)])
    recipe = given_recipe(tmp_path / "in/*.jsonl")
    survivors(tmp_path / "run", recipe)

    def done(stage: str) -> dict[str, int]:
        records = (tmp_path / f"run/corpus/{stage}/done").iterdir()
        return {re.sub("-[0-9a-f]{12}", "", path.stem): path.stat().st_mtime_ns for path in records}

    stages = ("documents", "signatures", "sentences")
    before = {stage: done(stage) for stage in stages}
    copies = [edited(text_of(22), 0.03, seed) for seed in range(40)]
    better = next(text for text in copies if worth(text) > worth(text_of(22)))
    json_lines(tmp_path / "in/+.jsonl", [better, text_of(99)])
    assert len(survivors(tmp_path / "run", recipe)) == 21
    again = {
        stage: {name for name, stamp in done(stage).items() if before[stage].get(name) != stamp} for stage in stages
    }
    assert again["documents"] == {"source-0-_.jsonl"}  # it stands before all others
    assert again["signatures"] == {"source-0-_.jsonl-00000"}
    assert again["sentences"] == {"source-0-2.jsonl-00000", "source-0-_.jsonl-00000"}


def components(links: list[tuple[int, int]], number: int) -> set[frozenset[int]]:
    groups = [{node} for node in range(number)]
    for left, right in links:
        one, other = (next(group for group in groups if node in group) for node in (left, right))
        if one is not other:
            groups.remove(other)
            one |= other
    return {frozenset(group) for group in groups}


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(st.integers(0, 1), min_size=6, max_size=6), min_size=1, max_size=14))
def test_linked_pairs_connect_what_all_pairs_would(rows):
    signature = np.array(rows, np.uint16)
    alike = [
        (left, right)
        for left in range(len(rows))
        for right in range(left)
        if (signature[left] == signature[right]).mean() >= 0.8
    ]
    for compared_all in (min_hash_links.COMPARED_ALL, 0):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(min_hash_links, "COMPARED_ALL", compared_all)
            patch.setattr(min_hash_links, "NEIGHBOURS", 14)
            found = [tuple(pair) for pair in linked(signature, 0.8).tolist()]
        assert all((max(pair), min(pair)) in alike for pair in found)
        assert components(found, len(rows)) == components(alike, len(rows))


def pages(number: int, families: int, template: int, own: int) -> np.ndarray:
    """Signatures of pages of one template: `template` columns are the template's, `own` of the rest a page's own, the others are
    those of the page's family."""
    draw = np.random.default_rng(0)
    signature = np.empty((number, 128), np.uint16)
    columns = draw.permuted(np.tile(np.arange(128), (families, 1)), axis=1)
    of_family = draw.integers(0, 65_536, (families, 128), np.uint16)
    signature[:] = of_family[np.arange(number) % families]
    for page in range(number):
        signature[page, draw.choice(columns[page % families], own, replace=False)] = draw.integers(0, 65_536, own)
    signature[:, :template] = np.arange(template)
    return signature


def test_pages_of_one_template_are_not_all_compared_and_copies_among_them_found() -> None:
    signature = pages(40_000, 20_000, template=50, own=20)
    start = time.process_time()
    found = linked(signature, 0.65)
    assert time.process_time() - start < 60  # 4 seconds when idle; all pairs take minutes
    by_family = {tuple(sorted(pair)) for pair in (found % 20_000).tolist()}
    assert all(left == right for left, right in by_family)
    assert len(by_family) > 0.99 * 20_000


def test_a_large_group_of_copies_is_connected_whatever_its_order() -> None:
    signature = pages(5_000, 2, template=20, own=10)
    order = np.random.default_rng(1).permutation(5_000)
    for rows in (np.arange(5_000), order):
        connected = components_of(linked(signature[rows], 0.65), 5_000)
        assert sorted(connected.count(each) for each in set(connected)) == [2_500, 2_500]
        assert len({(number, family) for number, family in zip(connected, rows % 2, strict=True)}) == 2


def components_of(pairs: np.ndarray, number: int) -> list[int]:
    links = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(number, number))
    return connected_components(links, directed=False)[1].tolist()


def test_ranges_of_bands_cover_every_band_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for per_task in (10**9, 300, 7):
        monkeypatch.setattr(near_duplicates, "BANDS_PER_TASK", per_task)
        bounds = [(int(low, 16), int(high, 16)) for low, high in band_ranges(1000)]
        assert bounds[0][0] == 0
        assert bounds[-1][1] == (1 << 64) - 1
        assert all(right[0] == left[1] + 1 for left, right in pairwise(bounds))
        assert len(bounds) == -(-1000 // per_task)
