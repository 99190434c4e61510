"""Personal data is replaced last, the same way by any number of workers, and the report counts it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from data_pipeline.contract.run_folder import RunFolder
from data_pipeline.contract.storage import read_json
from data_pipeline.corpus.corpus_files import read_sentences
from data_pipeline.prepare.run import prepare
from data_pipeline.recipe import DataRecipe, Decontamination, Pseudonyms
from data_pipeline.report.console import print_report

SECRET = "담당자 번호는 010-4823-7761 이고 메일은 minji@naver.com 입니다."
MAIL_ONLY = "편지는 haneul@naver.com 으로 보내 주시면 감사하겠습니다."


def run(folder: Path, recipe: DataRecipe, workers: int = 1) -> RunFolder:
    prepare(RunFolder(folder), "tiny", recipe, workers)
    return RunFolder(folder)


def sentences(folder: RunFolder) -> list[str]:
    parts = sorted(folder.corpus.glob("sentences/data/*/part.zst"))
    return [
        sentence.text for part in parts for document in read_sentences(str(part)) for sentence in document.sentences
    ]


@pytest.fixture(scope="module")
def recipe(
    tmp_path_factory: pytest.TempPathFactory,
    tiny_recipe: Callable[..., DataRecipe],
    json_lines: Callable[[Path, list[str]], Path],
    document: Callable[..., str],
) -> DataRecipe:
    """Two files of 40 documents; one holds a number, one an address, and one repeats a document with the number."""
    folder = tmp_path_factory.mktemp("corpus")
    first, second = ([document(100 * file + row) for row in range(40)] for file in range(2))
    first[3] = f"{document(900, 2)} {SECRET} {document(901, 2)}"
    second[5] = f"{document(902, 2)} {MAIL_ONLY} {document(903, 2)}"
    second[6] = first[3]
    return tiny_recipe(json_lines(folder / "a.jsonl", first), json_lines(folder / "b.jsonl", second))


def test_personal_data_does_not_reach_the_sentences_and_is_counted(
    recipe: DataRecipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run(tmp_path / "one", recipe)
    kept = sentences(folder)
    assert not any("4823" in text or "minji" in text or "haneul@" in text for text in kept)
    assert sum("담당자 번호는 010-" in text for text in kept) == 1  # its copy was found by the text before
    counts = read_json(folder.corpus / "report.json")["sentences"]
    assert counts["replaced"] == {"source-0": {"email": 1, "mobile": 1}, "source-1": {"email": 1}}
    assert counts["dropped"]["documents"]["source-1"]["duplicate"] == 1
    assert sentences(run(tmp_path / "two", recipe, workers=2)) == kept
    print_report(folder, 0)
    assert "personal data replaced by pseudonyms" in capsys.readouterr().out


def test_benchmarks_are_compared_with_the_text_as_it_was_written(
    recipe: DataRecipe, tmp_path: Path, json_lines: Callable[[Path, list[str]], Path]
) -> None:
    benchmark = json_lines(tmp_path / "benchmark.jsonl", [SECRET])
    folder = run(tmp_path / "run", replace(recipe, decontamination=Decontamination(benchmarks=(str(benchmark),))))
    counts = read_json(folder.corpus / "report.json")["sentences"]
    assert counts["dropped"]["sentences"]["source-0"] == {"benchmark": 1}
    assert counts["replaced"] == {"source-1": {"email": 1}}


def test_switched_off_leaves_the_text(recipe: DataRecipe, tmp_path: Path) -> None:
    folder = run(tmp_path, replace(recipe, pseudonyms=Pseudonyms(enabled=False)))
    assert SECRET in sentences(folder)
    assert read_json(folder.corpus / "report.json")["sentences"]["replaced"] == {}
