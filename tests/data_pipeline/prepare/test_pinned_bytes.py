"""Shipped recipes name the splitter, the Korean filter and the decontamination that they were published with, and prepare what they
prepared before others became the defaults."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from prepared_runs import results, run

from data_pipeline.api import read_rows
from data_pipeline.contract.recipe_file import load_recipe
from data_pipeline.contract.run_folder import RunFolder
from data_pipeline.recipe import DataRecipe, NearDuplicates, SentenceSplit, Source, Vocabulary

pytest.importorskip("kss", reason="KSS 1.3.1 is not installed: run_tests.sh installs it")

ROOT = Path(__file__).resolve().parents[3]
SHIPPED = sorted(
    str(path.relative_to(ROOT / "configs").with_suffix(""))
    for folder in ("configs", "configs/mini")
    for path in (ROOT / folder).glob("*.py")
    if path.stem != "__init__"
)
SAMPLE = load_recipe("quickstart", "data", DataRecipe)[1]
BEFORE = {
    "quickstart": "894fb3716b8f7b65b3f60a1f6416bfc40a5c9fa140eb0796cba4f66e0845c1c1",
    "klue_bert_base": "7d708f74d7c0fe78144f026ff8fa7ca11cf7835cf5b089296beb311b6ba11774",
    "mini/bert": "d6c48da6b14c6829a06d2f48f306d8ede6411ce3a5cb3289ab68614fb6241574",
}
"""Digests of the rows that commit c2f689b made of the sample corpus."""


def on_the_sample(name: str) -> DataRecipe:
    """The recipe with the sample corpus and, where its own asks for more text, a small vocabulary of its kind."""
    recipe = load_recipe(name, "data", DataRecipe)[1]
    if name == "quickstart":
        return recipe
    vocabulary: Vocabulary = replace(recipe.vocabulary, size=4_000)
    return replace(recipe, sources=SAMPLE.sources, decontamination=SAMPLE.decontamination, vocabulary=vocabulary)


def rows_digest(folder: Path) -> str:
    digest = hashlib.sha256((folder / "vocabulary" / "vocab.txt").read_bytes())
    for split in ("train", "evaluation"):
        for row in read_rows(folder, split):
            for field in sorted(row):
                digest.update(row[field].tobytes())
    return digest.hexdigest()


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_recipe_names_its_splitter_and_its_korean_filter(name: str) -> None:
    recipe = load_recipe(name, "data", DataRecipe)[1]
    assert recipe.sentences.splitter == "kss"
    assert recipe.korean.letters == "all"


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_recipe_names_its_decontamination(name: str) -> None:
    decontamination = load_recipe(name, "data", DataRecipe)[1].decontamination
    assert not decontamination.across_sentences
    assert not decontamination.strict_short


@pytest.mark.parametrize("name", BEFORE)
def test_shipped_recipes_prepare_the_rows_that_they_did(name: str, tmp_path: Path) -> None:
    assert rows_digest(run(tmp_path / "run", on_the_sample(name)).path) == BEFORE[name]


def test_one_worker_and_two_make_the_same_of_the_new_default(tmp_path: Path) -> None:
    texts = ("집에 갔다 밥을 {0}번 먹었다ㅋㅋ 그리고 잤다.", "{0}번째 글입니다. 고객센터에 전화했어요 답이 없네요ㅠㅠ 언제 되나요?", "비가 왔다.눈도 {0}cm 왔다")  # fmt: skip
    for file in range(3):
        lines = [json.dumps({"text": " ".join(text.format(n * 3 + file) for text in texts)}) for n in range(60)]
        (tmp_path / f"{file}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    recipe = replace(
        SAMPLE,
        sources=(Source("jsonl", str(tmp_path / "*.jsonl")),),
        near_duplicates=NearDuplicates(enabled=False),
        sentences=SentenceSplit(),
        vocabulary=Vocabulary(size=300, unused=10, scheme="klue"),
        evaluation_fraction=0.1,
    )
    assert recipe.sentences.splitter == "kss_repaired"
    one, two = run(tmp_path / "one", recipe, 1), run(tmp_path / "two", recipe, 2)
    assert results(one.path) == results(two.path)
    kss = run(tmp_path / "kss", replace(recipe, sentences=SentenceSplit(splitter="kss")))
    assert _sentences(one) == 60 * 3 * 7 != _sentences(kss)


def _sentences(made: RunFolder) -> int:
    report = json.loads((made.corpus / "report.json").read_text(encoding="utf-8"))
    found: int = report["split"]["sentences"]
    return found
