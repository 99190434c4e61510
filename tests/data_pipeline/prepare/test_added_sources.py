"""Text added to a prepared run folder: only what depends on it is done, and the result is that of a clean run."""

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from prepared_runs import done_records, results, run

from data_pipeline.__main__ import main
from data_pipeline.contract.run_folder import RunFolder
from data_pipeline.contract.storage import path_in_glob, read_json
from data_pipeline.contract.tokenizer import Tokenizer
from data_pipeline.recipe import DataRecipe, Source, Vocabulary

MakeRecipe = Callable[..., DataRecipe]
MakeDocument = Callable[..., str]
JsonLines = Callable[[Path, list[str]], Path]
BEFORE_THE_VOCABULARY = (
    "documents", "duplicates", "signatures", "near_duplicates", "survivors", "sentences", "morphemes", "counts"
)  # fmt: skip


def outputs(folder: Path, stages: tuple[str, ...]) -> dict[str, dict[str, list[object]]]:
    """What each done task left, by size and SHA-256."""
    return {
        f"{stage}/{record.stem}": read_json(record)["outputs"]
        for stage in stages
        for record in (folder / "corpus" / stage / "done").iterdir()
    }


def redone(folder: Path, before: dict[Path, int]) -> set[str]:
    """`stage/file` of the tasks that were done since `before`."""
    names = (path for path, stamp in done_records(folder).items() if before.get(path) != stamp)
    return {re.sub("-[0-9a-f]{12}(-00000)?", "", f"{path.parts[1]}/{path.stem}") for path in names}


@pytest.fixture
def grown(
    tmp_path: Path, tiny_recipe: MakeRecipe, document: MakeDocument, json_lines: JsonLines
) -> tuple[RunFolder, DataRecipe, dict[Path, int]]:
    """A prepared folder whose source got a file that stands before the others and repeats a document of one of them; not yet
    prepared again. And when its tasks were done."""
    for number in range(3):
        json_lines(tmp_path / f"in/part-{number}.jsonl", [document(100 * number + row) for row in range(40)])
    recipe = tiny_recipe(tmp_path / "in/*.jsonl")
    folder = run(tmp_path / "run", recipe)
    json_lines(tmp_path / "in/a new one.jsonl", [document(107), *(document(900 + row) for row in range(20))])
    return folder, recipe, done_records(folder.path)


def test_only_the_parts_of_an_added_file_are_done(grown: tuple[RunFolder, DataRecipe, dict[Path, int]]) -> None:
    folder, recipe, before = grown
    run(folder.path, recipe, workers=2)
    per_shard = {
        name
        for name in redone(folder.path, before)
        if re.match("documents|signatures|sentences|morphemes|records", name)
    }
    new, loser = "source-0-a_new_one.jsonl", "source-0-part-1.jsonl"
    assert per_shard == {
        f"documents/{new}", f"signatures/{new}",
        *(f"{stage}/{name}" for stage in ("sentences", "morphemes", "records") for name in (new, loser)),
    }  # fmt: skip
    again = done_records(folder.path)
    run(folder.path, recipe)
    assert done_records(folder.path) == again


def test_the_vocabulary_stays_and_the_rest_is_that_of_a_clean_run(
    grown: tuple[RunFolder, DataRecipe, dict[Path, int]], tmp_path: Path, capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    folder, recipe, _ = grown
    shutil.copytree(folder.vocabulary, tmp_path / "frozen")
    with caplog.at_level("INFO", "data_pipeline"):
        run(folder.path, recipe)
    assert "vocabulary 400 rows, kept as they are: trained on" in caplog.text
    clean = run(tmp_path / "clean", recipe)
    assert outputs(folder.path, BEFORE_THE_VOCABULARY) == outputs(clean.path, BEFORE_THE_VOCABULARY)
    assert Tokenizer(clean.vocabulary).pieces != Tokenizer(folder.vocabulary).pieces
    given = run(tmp_path / "given", replace(recipe, vocabulary=Vocabulary(given=str(tmp_path / "frozen"))))
    here, there = results(folder.path), results(given.path)
    assert here.pop("corpus/report.json") != there.pop("corpus/report.json")
    assert here == there
    counts = read_json(folder.corpus / "report.json")["vocabulary"]
    assert counts["corpus_morphemes"] > counts["morphemes"] > 0
    monkeypatch.setattr("sys.argv", ["data_pipeline", "report", str(folder.path)])
    main()
    assert f"kept from before text was added: trained on {counts['morphemes']:,} morphemes" in capsys.readouterr().out


def test_a_vocabulary_is_trained_anew_where_it_is_asked_for(
    grown: tuple[RunFolder, DataRecipe, dict[Path, int]], tmp_path: Path
) -> None:
    folder, recipe, _ = grown
    run(folder.path, recipe)
    run(folder.path, recipe, retrain_vocabulary=True)
    assert results(folder.path) == results(run(tmp_path / "clean", recipe).path)


def test_a_vocabulary_that_no_finished_run_used_is_not_kept(
    grown: tuple[RunFolder, DataRecipe, dict[Path, int]], tmp_path: Path
) -> None:
    folder, recipe, _ = grown
    folder.manifest_path.unlink()  # as if it had been stopped before its end
    run(folder.path, recipe)
    assert results(folder.path) == results(run(tmp_path / "clean", recipe).path)


def test_a_source_added_before_the_others_does_only_its_own(
    grown: tuple[RunFolder, DataRecipe, dict[Path, int]], tmp_path: Path, document: MakeDocument, json_lines: JsonLines
) -> None:
    folder, recipe, _ = grown
    run(folder.path, recipe)
    before = done_records(folder.path)
    other = json_lines(tmp_path / "other.jsonl", [document(700 + row) for row in range(5)])
    recipe = replace(recipe, sources=(Source("jsonl", str(other), name="first"), *recipe.sources))
    run(folder.path, recipe)
    assert {name for name in redone(folder.path, before) if name.startswith(("documents", "sentences", "records"))} == {
        "documents/first-other.jsonl", "sentences/first-other.jsonl", "records/first-other.jsonl"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("path", "glob", "place"),
    [
        ("/corpora/news/2020/a.jsonl", "/corpora/news/*/*.jsonl", "2020/a.jsonl"),
        ("/corpora/news/a.jsonl", "/corpora/news/a.jsonl", "a.jsonl"),
        ("/corpora/news-1/a.jsonl", "/corpora/news-?/a.jsonl", "news-1/a.jsonl"),
        ("gs://bucket/text/a.txt", "gs://bucket/text/*.txt", "a.txt"),
        ("https://host/a.txt", "https://host/a.txt", "a.txt"),
    ],
)
def test_a_files_place_in_its_glob_does_not_tell_where_the_corpus_lies(path: str, glob: str, place: str) -> None:
    assert path_in_glob(path, glob) == place
