"""A dry run tells what prepare would do, and leaves nothing behind."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from data_pipeline.commands import prepare as command
from data_pipeline.contract.errors import InputError
from data_pipeline.contract.run_folder import RunFolder
from data_pipeline.contract.storage import read_json
from data_pipeline.corpus.document import HOLE
from data_pipeline.dry_run import run
from data_pipeline.dry_run.run import dry_run
from data_pipeline.prepare.run import prepare
from data_pipeline.recipe import DataRecipe

MOBILE = "010-4823-7761"


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture(scope="module")
def recipe(
    tmp_path_factory: pytest.TempPathFactory,
    tiny_recipe: Callable[..., DataRecipe],
    json_lines: Callable[[Path, list[str]], Path],
    document: Callable[..., str],
) -> DataRecipe:
    folder = tmp_path_factory.mktemp("corpus")
    first, second = ([document(1000 * file + row) for row in range(150)] for file in range(2))
    first[3] += f" 담당자 번호는 {MOBILE} 입니다."
    first[2] += "  "  # which cleaning takes away, and nobody sees
    first[7] = "<b>굵은</b> 글자는 " + first[7]
    second[5] = "Not Korean [b] at all, not a word of it."
    second[9] = second[8]
    return tiny_recipe(json_lines(folder / "a.jsonl", first), json_lines(folder / "b.jsonl", second))


def cells(printed: str, name: str) -> list[str]:
    [line] = [line for line in printed.splitlines() if line.startswith(f"│ {name} ")]
    return [cell.strip() for cell in line.split("│")[2:-1]]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_sample_of_everything_tells_what_prepare_then_counts(
    recipe: DataRecipe, tmp_path: Path, capsys: pytest.CaptureFixture[str], workers: int
) -> None:
    dry_run(recipe, 10_000, workers)
    printed = capsys.readouterr().out
    prepare(RunFolder(tmp_path), "tiny", recipe, workers=1)
    counts = read_json(tmp_path / "corpus" / "report.json")
    for name, stage, number in (("documents", "sentences", "documents"), ("sentences", "sentences", "sentences")):
        kept = f"{counts[stage][number]:,}"
        assert [cells(printed, f"{name} kept")[place] for place in (0, 2)] == [kept, kept]
    assert cells(printed, "documents read")[0] == "300"
    assert "documents: duplicate: 1 of 300 documents lost, 99.67% survive" in printed
    assert "documents: not Korean: 1 of 300 documents lost" in printed


def test_steps_stand_side_by_side_without_personal_data(recipe: DataRecipe, capsys: pytest.CaptureFixture[str]) -> None:
    dry_run(recipe, 10_000, workers=1)
    printed = capsys.readouterr().out
    assert MOBILE not in printed
    assert re.search(r"a\.jsonl:8 +│ 굵은 글자는", printed)
    assert "<b>굵은</b> 글자는" in printed
    assert "a.jsonl:3" not in printed[printed.index("\nclean\n") : printed.index("\nsplit\n")]
    assert "담당자 번호는 010-••••-••••" in printed
    assert re.search(r"담당자 번호는 010-\d{4}-\d{4}", printed)
    assert "Not Korean [b] at all" in printed
    order = [
        printed.index(heading)
        for heading in ("\nclean\n", "\ndocuments: duplicate", "\nsplit\n", "\npersonal data: mobile")
    ]
    assert order == sorted(order)


def test_a_part_projects_the_whole(recipe: DataRecipe, capsys: pytest.CaptureFixture[str]) -> None:
    small = replace(recipe, vocabulary=replace(recipe.vocabulary, size=300))
    dry_run(small, 60, workers=1)
    printed = capsys.readouterr().out
    sample, _, whole = cells(printed, "documents read")
    assert int(sample) == 60
    assert 240 <= int(whole) <= 360
    assert cells(printed, "all")[0].endswith(" s")


def test_a_sample_too_small_for_the_vocabulary_says_so(recipe: DataRecipe, capsys: pytest.CaptureFixture[str]) -> None:
    dry_run(replace(recipe, vocabulary=replace(recipe.vocabulary, size=8000)), 60, workers=1)
    printed = capsys.readouterr().out
    assert (
        "not projected: vocabulary and records, for the sample does not give them (--data.vocabulary.size 8000"
        in printed
    )
    assert cells(printed, "morphemes")


def test_nothing_is_left_and_the_run_folder_stays(
    recipe: DataRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "TemporaryDirectory", lambda prefix: _Temporary(tmp_path / prefix))
    monkeypatch.chdir(tmp_path)
    [first, _] = recipe.sources
    command.run(
        ["mini/bert", "--source", f"jsonl:{first.glob}", "--run-dir", "run", "--dry-run", "50", "--workers", "1"]
    )
    assert [path.name for path in tmp_path.iterdir()] == ["dry-run-"]
    assert list((tmp_path / "dry-run-").iterdir()) != []


class _Temporary:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> str:
        self.path.mkdir()
        return str(self.path)

    def __exit__(self, *_: object) -> None:
        pass


def test_a_number_below_one_is_refused(recipe: DataRecipe) -> None:
    with pytest.raises(InputError, match="--dry-run 0: must be at least 1 document"):
        dry_run(recipe, 0, workers=1)


def test_holes_that_a_reader_left_are_shown_and_their_sentences_dropped(
    recipe: DataRecipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (
        "<page><title>산</title><ns>0</ns><text>산은 높다. 높이는 {{모름}}이며 넓다. 산에는 나무가 많다.</text></page>"
    )
    (tmp_path / "wiki.xml").write_text(f"<mediawiki>{page}</mediawiki>", encoding="utf-8")
    source = replace(recipe.sources[0], format="wikipedia", glob=str(tmp_path / "wiki.xml"), name="wiki")
    dry_run(replace(recipe, sources=(*recipe.sources, source)), 10_000, 1)
    printed = capsys.readouterr().out
    assert "sentences: hole: 1 of" in printed
    assert "높이는 [...]이며 넓다." in printed
    assert HOLE not in printed
