"""Recipes load from names and paths, say what is wrong with them and where, and survive being written down."""

from pathlib import Path

import pytest

from configs.klue_bert_base import training
from configs.quickstart import data
from data_pipeline.contract.errors import InputError
from data_pipeline.contract.recipe_file import (
    PACKAGED_CONFIGS,
    differences,
    from_plain,
    load_recipe,
    packaged_recipes,
    plain,
    recipe_name,
    recipe_path,
)
from data_pipeline.recipe import (
    Clean,
    DataRecipe,
    Decontamination,
    Holes,
    KoreanFilter,
    LengthFilter,
    LongWords,
    NearDuplicates,
    Packed,
    Pseudonyms,
    Repair,
    SentencePairs,
    SentenceSplit,
    Source,
    Vocabulary,
)
from pretrain.recipe import training_recipe_from_plain

CLASSES = (
    DataRecipe, Clean, Decontamination, Holes, KoreanFilter, LengthFilter, LongWords, NearDuplicates, Packed, Pseudonyms, Repair,
    SentencePairs, SentenceSplit, Source, Vocabulary,
)  # fmt: skip


@pytest.mark.parametrize("name", ["quickstart", "configs/quickstart.py"])
def test_packaged_recipes_are_found_from_anywhere(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_recipe(name, "data", DataRecipe) == ("quickstart", data)


def test_ones_own_recipe_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "quickstart.py").write_text("", encoding="utf-8")
    assert recipe_path("quickstart") == Path("configs/quickstart.py")


@pytest.mark.parametrize("name", ["mini/kobert", "mini-kobert", "configs/mini/kobert.py"])
def test_small_editions_have_names_of_their_own(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_recipe(name, "data", DataRecipe)[0] == "mini-kobert"
    names = [recipe_name(path) for path in packaged_recipes()]
    assert len(names) == len(set(names))


def test_descriptions_of_tasks_are_no_recipes() -> None:
    assert (PACKAGED_CONFIGS / "tasks" / "emotions.py").is_file()
    assert "emotions" not in {path.stem for path in packaged_recipes()}


def test_an_unknown_recipe_lists_the_known() -> None:
    with pytest.raises(InputError, match=r"quikstart: no such recipe; .*klue_bert_base, .*mini-bert, .*quickstart"):
        load_recipe("quikstart", "data", DataRecipe)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("data = 3\nx = (\n", r"own\.py:2: '\(' was never closed; mend the recipe"),
        (
            "import os\n\n\ndef f():\n    return 1 / 0\n\n\ndata = f()\n",
            r"own\.py:5: ZeroDivisionError: division by zero",
        ),
        ("from data_pipeline.recipe import Source\nSource(form='x')\n", r"own\.py:2: TypeError: .*'form'"),
        ("import no_such_package\n", r"own\.py:1: ModuleNotFoundError"),
        ("data = 3\n", r"own\.py: must define data = DataRecipe\(\.\.\.\)"),
    ],
)
def test_a_wrong_recipe_names_file_and_line(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "own.py"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        load_recipe(str(path), "data", DataRecipe)


def test_a_recipe_comes_back_as_it_was_written_down() -> None:
    assert from_plain(plain(data), CLASSES) == data
    assert training_recipe_from_plain(plain(training)) == training


def test_differences_name_the_field() -> None:
    changed = plain(data)
    changed["vocabulary"]["size"] = 5000
    del changed["seed"]
    assert differences(plain(data), changed) == ["vocabulary.size: 4000 -> 5000", "seed: 0 -> absent"]
    assert differences(plain(data), plain(data)) == []
