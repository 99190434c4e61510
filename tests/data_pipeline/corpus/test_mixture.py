"""Weights decide how often a document is trained on: reproducibly, in the shares asked for, and never for evaluation."""

import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.records import Records
from data_pipeline.contract.run_folder import RunFolder
from data_pipeline.contract.storage import read_json
from data_pipeline.contract.tokenizer import Tokenizer
from data_pipeline.corpus.corpus_files import SplitDocument
from data_pipeline.corpus.mixture import Mixture
from data_pipeline.corpus.stages.documents import document_key
from data_pipeline.prepare.flow import Stages
from data_pipeline.prepare.run import prepare
from data_pipeline.recipe import DataRecipe, SentencePairs, Source
from data_pipeline.recipe_checks import check
from data_pipeline.report.console import print_report
from data_pipeline.tasks.engines.local import LocalEngine

MARK = re.compile(r"\b([12]\d{3})\b")


def document(number: int, category: str = "", split: Any = "train") -> SplitDocument:
    return SplitDocument("a:1", "source", split, (), category, document_key(f"글 {number}").hex())


def test_a_fraction_falls_to_that_share_of_documents_and_always_to_the_same() -> None:
    documents = [document(number) for number in range(4000)]
    copies = [Mixture(2.5).copies(each) for each in documents]
    assert set(copies) == {2, 3}
    assert copies.count(3) == pytest.approx(2000, abs=150)
    assert [Mixture(2.5).copies(each) for each in documents] == copies
    assert [Mixture(2.5, seed=1).copies(each) for each in documents] != copies
    fewer, more = ({n for n in range(4000) if Mixture(share).copies(documents[n])} for share in (0.2, 0.6))
    assert fewer < more


def test_category_weights_are_factors_and_evaluation_stands_once() -> None:
    mixture = Mixture(2.0, {"food": 1.5, "news": 0.25})
    assert {mixture.copies(document(number, "food")) for number in range(50)} == {3}
    assert {mixture.copies(document(number, "news")) for number in range(50)} == {0, 1}
    assert {mixture.copies(document(number)) for number in range(50)} == {2}
    assert {mixture.copies(document(number, "food", "evaluation")) for number in range(50)} == {1}
    assert mixture.numbers_of_copies() == [1, 2, 3]


@pytest.fixture
def marked(
    tmp_path: Path, tiny_recipe: Callable[..., DataRecipe], document: Callable[..., str]
) -> Callable[..., DataRecipe]:
    """weight, weight -> a recipe of two sources, of 60 documents with a number of their own each: 1000..., 2000..."""
    lines: dict[int, list[str]] = {
        source: [f"{document(source + number, 2)} 표지 {source + number}" for number in range(60)]
        for source in (1000, 2000)
    }

    def make(*weights: float) -> DataRecipe:
        sources = []
        for (name, texts), weight in zip(lines.items(), weights, strict=True):
            path = tmp_path / f"{name}.txt"
            path.write_text("\n".join(texts), encoding="utf-8")
            sources.append(Source("lines", str(path), name=str(name), category=f"kind {name}", weight=weight))
        return replace(tiny_recipe(), sources=tuple(sources))

    return make


def trained(folder: RunFolder, split: str = "train") -> Counter[int]:
    """How often the number of each document stands in the rows."""
    records, tokenizer = Records(folder.examples, split), Tokenizer(folder.vocabulary)
    rows = records.read(range(len(records)))["tokens"]
    texts = (tokenizer.backend.decode(row.tolist(), skip_special_tokens=True) for row in rows)
    return Counter(int(number) for text in texts for number in MARK.findall(text))


def run(path: Path, recipe: DataRecipe) -> RunFolder:
    prepare(RunFolder(path), "tiny", recipe, 1)
    return RunFolder(path)


def test_documents_stand_in_the_rows_as_often_as_their_source_weighs(
    marked: Callable[..., DataRecipe], tmp_path: Path
) -> None:
    once = run(tmp_path / "once", marked(1.0, 1.0))
    weighted = run(tmp_path / "weighted", marked(2.5, 0.5))
    plain, found = trained(once), trained(weighted)
    assert set(plain.values()) == {1}
    assert {found[number] for number in plain if number < 2000} == {2, 3}
    assert {found[number] for number in plain if number >= 2000} == {0, 1}
    assert trained(weighted, "evaluation") == trained(once, "evaluation")
    kept = read_json(weighted.corpus / "report.json")["records"]["categories"]
    for name in (1000, 2000):
        copies = sum(count for number, count in found.items() if number // 1000 == name // 1000)
        assert kept[str(name)][f"kind {name}"]["train_copies"] == copies


def test_the_vocabulary_counts_what_is_trained_on(marked: Callable[..., DataRecipe], tmp_path: Path) -> None:
    def morphemes(*weights: float) -> int:
        folder = run(tmp_path / "run", marked(*weights))
        count: int = read_json(folder.corpus / "report.json")["morphemes"]["morphemes"]
        return count

    assert morphemes(3.0, 3.0) == 3 * morphemes(1.0, 1.0)
    assert morphemes(1.0, 0.5) < morphemes(1.0, 1.0) < morphemes(1.0, 1.5)


def test_a_source_may_count_otherwise_for_the_vocabulary_than_it_is_trained_on(
    marked: Callable[..., DataRecipe], tmp_path: Path
) -> None:
    def counted(*weights: float | None) -> int:
        recipe = marked(1.0, 1.0)
        sources = zip(recipe.sources, weights, strict=True)
        recipe = replace(recipe, sources=tuple(replace(source, vocabulary_weight=one) for source, one in sources))
        check(recipe)
        stages = Stages(RunFolder(tmp_path / "run"), recipe, LocalEngine(1))
        stages.morphemes(stages.sentences(stages.documents(), [], []))
        count: int = stages.report["morphemes"]["morphemes"]
        return count

    both, first, second = counted(None, None), counted(1.0, 0.0), counted(0.0, 1.0)
    assert first + second == both
    assert 0 < counted(0.2, 0.0) < first / 2
    with pytest.raises(InputError, match=r"source 2000: vocabulary_weight -1: must be 0, or 0\.001 to 1000"):
        counted(None, -1)


def test_another_weight_does_not_split_sentences_again(marked: Callable[..., DataRecipe], tmp_path: Path) -> None:
    def sentences() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in tmp_path.glob("run/corpus/sentences/done/*")}

    run(tmp_path / "run", marked(1.0, 1.0))
    before = sentences()
    run(tmp_path / "run", marked(1.0, 2.0))
    assert before
    assert sentences() == before


def test_sentence_pairs_are_weighted_too(marked: Callable[..., DataRecipe], tmp_path: Path) -> None:
    pairs = SentencePairs(64, random_next=0.0, short_share=0.0)
    found = trained(run(tmp_path / "run", replace(marked(3.0, 1.0), examples=pairs)))
    assert {found[number] for number in found if number < 2000} == {3}
    assert {found[number] for number in found if number >= 2000} == {1}


def test_a_recipe_trains_on_the_categories_it_names(
    marked: Callable[..., DataRecipe], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run(tmp_path / "run", replace(marked(1.0, 1.0), categories=("kind 2000",)))
    assert {number // 1000 for number in trained(folder)} == {2}
    report = read_json(folder.corpus / "report.json")
    assert report["documents"]["dropped"]["documents"] == {"1000": {"other category": 60}}
    print_report(folder, examples=0)
    printed = capsys.readouterr().out
    assert re.search(r"2000 +│ kind 2000 +│ +60 │", printed)
    assert "2000: licence unknown, weight 1" in printed


def test_a_category_that_no_document_has_is_named(marked: Callable[..., DataRecipe], tmp_path: Path) -> None:
    message = r"--data\.categories: no document has the category 'food' \(found: kind 1000, kind 2000\)"
    with pytest.raises(InputError, match=message):
        run(tmp_path / "run", replace(marked(1.0, 1.0), categories=("food", "kind 1000")))


def test_each_row_is_of_the_category_that_the_header_says(
    tmp_path: Path, tiny_recipe: Callable[..., DataRecipe], document: Callable[..., str]
) -> None:
    numbers = [1000 + number + 1000 * (number % 3 == 0) for number in range(60)]
    lines = [
        json.dumps({"text": f"{document(number, 2)} 표지 {number}", "topic": f"kind {number // 1000}"})
        for number in numbers
    ]
    (tmp_path / "mixed.jsonl").write_text("\n".join(lines), encoding="utf-8")
    source = Source("jsonl", str(tmp_path / "mixed.jsonl"), name="mixed", category_field="topic", weight=1.5)
    recipe = replace(tiny_recipe(), sources=(source,))
    apart = run(tmp_path / "apart", replace(recipe, rows_by_category=True))
    records, tokenizer = Records(apart.examples, "train"), Tokenizer(apart.vocabulary)
    in_turn = records.header.categories["train"]
    assert sum(rows for _, rows in in_turn) == len(records)
    assert [name for name, _ in in_turn] == ["kind 1", "kind 2"]
    named = [name for name, rows in in_turn for _ in range(rows)]
    for row, name in zip(records.read(range(len(records)))["tokens"], named, strict=True):
        text = tokenizer.backend.decode(row.tolist(), skip_special_tokens=True)
        assert {f"kind {number[0]}" for number in MARK.findall(text)} <= {name}
    assert trained(apart) == trained(run(tmp_path / "together", recipe))
    assert Records(tmp_path / "together" / "examples", "train").header.categories == {}
