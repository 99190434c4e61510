"""--keep-dropped: everything that is lost is in one file, with its reason; the records are the same with and without."""

import io
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import zstandard
from prepared_runs import done_records, results, run

from data_pipeline.__main__ import COMMANDS
from data_pipeline.contract.run_folder import RunFolder
from data_pipeline.contract.storage import read_json
from data_pipeline.corpus.dropped_files import DROPPED
from data_pipeline.recipe import DataRecipe, LengthFilter

SHORT, LATIN = "네.", "Nothing Korean at all is in this sentence, whatever it says."


@pytest.fixture(scope="module")
def recipe(
    tiny_recipe: Callable[..., DataRecipe],
    json_lines: Callable[[Path, list[str]], Path],
    document: Callable[..., str],
    tmp_path_factory: pytest.TempPathFactory,
) -> DataRecipe:
    folder = tmp_path_factory.mktemp("lossy")
    texts = [document(row) for row in range(80)]
    texts[5] += f" {LATIN}"
    texts[7] += f"\n{SHORT}"
    texts += [texts[0], texts[1] + "!", "<br>", LATIN, f"{'가' * 130}", f"{SHORT} {LATIN}"]
    json_lines(folder / "a.jsonl", texts[:40])
    file = json_lines(folder / "b.jsonl", texts[40:])
    with open(file, "a", encoding="utf-8") as lines:
        lines.write('{"text": "<br>\\ud83d"}\n{"no": "text"}\n')
    recipe = tiny_recipe(folder / "*.jsonl")
    return replace(recipe, max_bad_records=1, length=LengthFilter(min_chars=5, unit="sentence"))


def rows(folder: RunFolder) -> list[dict[str, Any]]:
    with open(folder.corpus / DROPPED, "rb") as file:
        stream = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)
        return [json.loads(line) for line in io.TextIOWrapper(stream, encoding="utf-8", newline="\n")]


@pytest.fixture(scope="module")
def kept(recipe: DataRecipe, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return run(tmp_path_factory.mktemp("kept"), recipe, keep_dropped=True)


def test_every_drop_is_there_with_its_reason(kept: RunFolder) -> None:
    report = read_json(kept.corpus / "report.json")
    expected = Counter[tuple[str, str, str]]({("record", "source-0", "unreadable"): 1})
    for stage in ("documents", "sentences"):
        for kind, sources in report[stage]["dropped"].items():
            for source, reasons in sources.items():
                for reason, number in reasons.items():
                    expected[kind.removesuffix("s"), source, reason] += number
    found = rows(kept)
    # The sentences that end with their document are not written one by one: its text is.
    ended = Counter((each["source"], each["reason"]) for each in found if each["what"] == "document")
    counted = Counter((each["what"], each["source"], each["reason"]) for each in found)
    for (what, source, reason), number in expected.items():
        if what == "sentence" and ended[source, reason]:
            assert counted[what, source, reason] <= number
        else:
            assert counted[what, source, reason] == number
    assert {reason for _, _, reason in counted} >= {
        "duplicate",
        "near duplicate",
        "not Korean",
        "too short",
        "long word",
    }
    assert set(found[0]) == {"what", "id", "source", "category", "reason", "detail", "text"}


def test_texts_are_whole_and_in_the_order_of_the_corpus(kept: RunFolder) -> None:
    found = rows(kept)
    [long] = [each for each in found if each["reason"] == "long word" and each["what"] == "sentence"]
    assert (long["text"], long["detail"], long["id"]) == ("가" * 130, "a word of 130 characters", "b.jsonl:45")
    assert [each["text"] for each in found if each["reason"] == "not Korean" and each["id"] == "a.jsonl:6"] == [LATIN]
    [bad] = [each for each in found if each["what"] == "record"]
    assert bad["id"] == "b.jsonl:48"
    assert "missing" in bad["detail"]
    assert [each["text"] for each in found if each["reason"] == "empty after cleaning"] == ["<br>", "<br>\ud83d"]


@pytest.mark.parametrize("workers", [2, 4])
def test_the_file_has_the_same_bytes_on_any_number_of_workers(
    workers: int, kept: RunFolder, recipe: DataRecipe, tmp_path: Path
) -> None:
    assert results(run(tmp_path, recipe, workers, keep_dropped=True).path) == results(kept.path)


def test_the_records_are_the_same_without_and_no_stale_file_stays(
    kept: RunFolder, recipe: DataRecipe, tmp_path: Path
) -> None:
    folder = run(tmp_path, recipe, keep_dropped=True)
    before = done_records(folder.path)
    again = run(tmp_path, recipe)
    assert not (folder.corpus / DROPPED).exists()
    with_file = results(kept.path)
    del with_file[f"corpus/{DROPPED}"]
    assert results(again.path) == with_file
    redone = {path.parts[1] for path, stamp in done_records(again.path).items() if before[path] != stamp}
    assert redone == {"documents", "sentences"}


def test_the_command_has_the_flag(recipe: DataRecipe, tmp_path: Path) -> None:
    [source] = recipe.sources
    flags = ["--source", f"jsonl:{source.glob}", "--data.max-bad-records", "1", "--run-dir", str(tmp_path / "run")]
    flags += ["--data.vocabulary.size", "400", "--data.vocabulary.unused", "0"]
    COMMANDS["prepare"][0](["quickstart", *flags, "--workers", "1", "--keep-dropped"])
    assert {each["reason"] for each in rows(RunFolder(tmp_path / "run"))} >= {"duplicate", "not Korean"}
