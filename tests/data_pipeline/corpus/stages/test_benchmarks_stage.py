"""Benchmark text does not reach the sentences, formulae stay and are named, and the report says what matched what."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from data_pipeline.contract.run_folder import RunFolder
from data_pipeline.contract.storage import read_json
from data_pipeline.corpus.corpus_files import MATCHES, PartWriter, read_matches, read_sentences
from data_pipeline.corpus.document import Document, Match
from data_pipeline.corpus.stages.benchmarks import FORMULAE, find_formulae
from data_pipeline.corpus.stages.sentences import PART
from data_pipeline.prepare.flow import Stages
from data_pipeline.prepare.run import prepare
from data_pipeline.recipe import DataRecipe, Decontamination
from data_pipeline.report.console import print_report
from data_pipeline.report.page import write_report
from data_pipeline.tasks.engines.local import LocalEngine
from data_pipeline.tasks.shard_task import Output, ShardTask

THANKS = "긴 글 읽어 주셔서 감사합니다."
HELLO = "안녕하세요?"
COPIED = "국회의사당 앞에서 노란 풍선을 들고 있던 아이가 환하게 웃었다."
SHORT = "눈이 왔다."


@pytest.fixture(scope="module")
def recipe(
    tmp_path_factory: pytest.TempPathFactory,
    document: Callable[..., str],
    json_lines: Callable[[Path, list[str]], Path],
    tiny_recipe: Callable[..., DataRecipe],
) -> DataRecipe:
    """Two files of 20 documents. Twelve begin and end with a formula, two hold a benchmark sentence, one a short one."""
    folder = tmp_path_factory.mktemp("corpus")
    texts = [document(seed) for seed in range(40)]
    for number in (*range(6), *range(30, 36)):
        texts[number] = f"{HELLO} {texts[number]} {THANKS}"
    for number in (3, 25):
        texts[number] += f" {COPIED} {document(100 + number)}"
    texts[7] += f" {SHORT} {document(107)}"
    benchmark = json_lines(folder / "benchmark/test.jsonl", [THANKS, HELLO, COPIED, SHORT])
    sources = json_lines(folder / "a.jsonl", texts[:20]), json_lines(folder / "b.jsonl", texts[20:])
    return replace(tiny_recipe(*sources), decontamination=Decontamination(benchmarks=(str(benchmark),)))


def run(folder: Path, recipe: DataRecipe, workers: int = 1) -> tuple[list[str], dict[str, Any]]:
    """Every sentence that is left, and the counts of the stages."""
    with RunFolder(folder).locked():
        stages = Stages(RunFolder(folder), recipe, LocalEngine(workers))
        index = stages.benchmark_index()
        documents = stages.documents()
        done = stages.sentences(documents, stages.survivors(documents), index)
    kept = (read_sentences(task.outputs[PART].path) for task in done)
    return [each.text for part in kept for document in part for each in document.sentences], stages.report


def test_copies_go_and_formulae_stay_and_both_are_counted(recipe: DataRecipe, tmp_path: Path) -> None:
    kept, report = run(tmp_path, recipe)
    assert [kept.count(text) for text in (THANKS, HELLO, COPIED, SHORT)] == [12, 12, 0, 1]
    assert report["benchmarks"]["texts"] == {"benchmark/test": 4}
    assert report["formulae"]["formulae"] == {
        "benchmark/test": {text: {"documents": 12, "sentences": 12} for text in (THANKS,)}
    }
    assert report["sentences"]["matched"] == {"source-0": {"benchmark/test": 1}, "source-1": {"benchmark/test": 1}}
    assert report["sentences"]["documents_with_holes"] == 2


def test_report_lists_what_went_beside_what_it_matched_and_what_stayed(
    recipe: DataRecipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = RunFolder(tmp_path)
    prepare(folder, "tiny", recipe, 1)
    matches = [each for file in folder.corpus.glob(f"matches/data/*/{MATCHES}") for each in read_matches(str(file))]
    assert sum(each.sentence == each.match.text for each in matches) == 14
    print_report(folder, 1)
    printed = capsys.readouterr().out
    assert "documents left with holes: 2" in printed
    assert THANKS.split()[-1] in printed.split("formulae: benchmark texts")[1]
    assert f"1.00 benchmark/test test.jsonl:3: {COPIED}" in printed
    write_report(folder)
    page = (tmp_path / "report.html").read_text("utf-8")
    assert f'<td lang="ko">{THANKS}</td><td>benchmark/test</td><td class="n">12</td><td class="n">12</td>' in page


def test_formulae_are_counted_over_all_parts_whatever_the_number_of_workers(recipe: DataRecipe, tmp_path: Path) -> None:
    # Neither file alone has more than ten documents with it.
    kept, _ = run(tmp_path, recipe, workers=2)
    assert kept.count(THANKS) == 12


def test_without_a_share_no_formula_stays(recipe: DataRecipe, tmp_path: Path) -> None:
    kept, _ = run(tmp_path, replace(recipe, decontamination=replace(recipe.decontamination, formula_share=0)))
    assert not {THANKS, COPIED} & set(kept)


def test_documents_dropped_as_duplicates_do_not_make_a_formula(
    recipe: DataRecipe,
    tmp_path: Path,
    document: Callable[..., str],
    json_lines: Callable[[Path, list[str]], Path],
) -> None:
    copies = json_lines(tmp_path / "copies.jsonl", [f"{document(1)} {COPIED}"] * 30 + [document(2), document(3)])
    sources = (replace(recipe.sources[0], glob=str(copies)),)
    kept, report = run(tmp_path / "run", replace(recipe, sources=sources))
    assert COPIED not in kept
    assert report["formulae"]["formulae"] == {}


@pytest.mark.parametrize("workers", [1, 2])
def test_pieces_of_a_cut_text_go_where_they_stand_together_alone(
    recipe: DataRecipe,
    tmp_path: Path,
    document: Callable[..., str],
    json_lines: Callable[[Path, list[str]], Path],
    workers: int,
) -> None:
    pieces = [COPIED[:12].strip(), COPIED[12:24].strip(), COPIED[24:].strip()]
    lines = "\n".join(pieces)
    texts = [f"{document(1)}\n{lines}\n{document(2)}"]
    texts += [f"{document(3 + number)}\n{piece}\n{document(6 + number)}" for number, piece in enumerate(pieces)]
    copies = json_lines(tmp_path / "cut.jsonl", texts)
    changed = replace(recipe, sources=(replace(recipe.sources[0], glob=str(copies)),))
    kept, report = run(tmp_path / "run", changed, workers)
    assert [kept.count(piece) for piece in pieces] == [1, 1, 1]
    assert report["matches"]["matches"] == 3
    assert report["sentences"]["matched"] == {"source-0": {"benchmark/test": 3}}
    before = replace(changed, decontamination=replace(changed.decontamination, across_sentences=False))
    kept, _ = run(tmp_path / "before", before, workers)
    assert [kept.count(piece) for piece in pieces] == [2, 2, 2]


def test_a_text_below_six_letters_takes_only_documents_that_are_nothing_else(
    recipe: DataRecipe, tmp_path: Path, document: Callable[..., str], json_lines: Callable[[Path, list[str]], Path]
) -> None:
    source = json_lines(tmp_path / "short.jsonl", [SHORT, f"“{SHORT}”", f"{document(1)} {SHORT}", document(2)])
    changed = replace(recipe, sources=(replace(recipe.sources[0], glob=str(source)),))
    kept, report = run(tmp_path / "run", changed)
    assert kept.count(SHORT) == 1
    assert report["sentences"]["matched"] == {"source-0": {"benchmark/test": 2}}
    before = replace(changed, decontamination=replace(changed.decontamination, strict_short=False))
    kept, _ = run(tmp_path / "before", before)
    assert SHORT not in kept


def test_what_a_thousandth_of_eighteen_million_documents_holds_is_no_formula(tmp_path: Path) -> None:
    sentence = "긴 글 읽어 주셔서 감사합니다"
    match = Match("bench/dev", "dev.tsv:1", sentence, 1.0)
    with PartWriter(tmp_path / MATCHES) as writer:
        for number in range(18_001):
            writer.write_match(Document(f"a:{number}", "a", sentence), sentence, match, here=False)
    found = (Output(str(tmp_path / MATCHES), 0, ""),)
    for documents, formulae in ((18_001_000, []), (18_000_000, [sentence])):
        parameters = {"share": 0.001, "documents": documents}
        find_formulae(ShardTask("formulae", "all", "", str(tmp_path), {"matches": found}, parameters), tmp_path)
        assert read_json(tmp_path / FORMULAE) == formulae
