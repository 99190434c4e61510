"""Files are found by the names that people type: in any Unicode form, with brackets, in no encoding, and without what systems hide."""

import json
import logging
import os
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from prepared_runs import run

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.storage import find_input_files, name_of, path_in_glob, read_json, write_json
from data_pipeline.corpus.document import Document
from data_pipeline.recipe import DataRecipe, Source
from data_pipeline.source_formats import read_source_file


def nfd(text: str) -> str:
    return unicodedata.normalize("NFD", text)


def written(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("글이다.\n", encoding="utf-8")


def found(folder: Path, glob: str) -> list[str]:
    return [os.path.relpath(file.path, folder) for file in find_input_files(str(folder / glob))]


def test_names_are_compared_in_one_unicode_form(tmp_path: Path) -> None:
    written(tmp_path, f"{nfd('말뭉치')}/{nfd('신문')}.txt", "말뭉치2/신문.txt", f"말뭉치2/{nfd('신간')}.txt")
    assert found(tmp_path, "말뭉치/신문.txt") == [f"{nfd('말뭉치')}/{nfd('신문')}.txt"]
    assert found(tmp_path, "말뭉치/신*.txt") == [f"{nfd('말뭉치')}/{nfd('신문')}.txt"]
    assert found(tmp_path, nfd("말뭉치2/신문.txt")) == ["말뭉치2/신문.txt"]
    assert found(tmp_path, nfd("말뭉치2/신*.txt")) == sorted([f"말뭉치2/{nfd('신간')}.txt", "말뭉치2/신문.txt"])
    assert len(found(tmp_path, "**/신*.txt")) == 3
    with pytest.raises(InputError, match="no such file"):
        found(tmp_path, "말뭉치/소설.txt")


def test_the_place_below_a_glob_is_the_same_in_every_unicode_form() -> None:
    assert path_in_glob(nfd("/a/말뭉치/신문.txt"), "/a/말뭉치/*.txt") == "신문.txt"


def test_brackets_in_names_stand_for_themselves(tmp_path: Path) -> None:
    written(tmp_path, "[2020]/a.txt", "[2020] 신문.txt", "x[1]/[2]/b.txt", "c1.txt")
    assert found(tmp_path, "[2020]/*.txt") == ["[2020]/a.txt"]
    assert found(tmp_path, "[2020] *.txt") == ["[2020] 신문.txt"]
    assert found(tmp_path, "x[1]/[2]/b.txt") == ["x[1]/[2]/b.txt"]
    assert found(tmp_path, "**/[2]/*.txt") == ["x[1]/[2]/b.txt"]
    assert found(tmp_path, "c[12].txt") == ["c1.txt"]


def test_wildcards_pass_over_hidden_files_and_say_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    written(tmp_path, "a.txt", "._a.txt", "b/.DS_Store", "b/c.txt", "__MACOSX/a.txt", "Thumbs.db", ".git/d.txt")
    caplog.set_level(logging.INFO, "data_pipeline")
    assert found(tmp_path, "*.txt") == ["a.txt"]
    assert "hidden files are left out: ._a.txt" in caplog.text
    assert found(tmp_path, "**/*.txt") == ["a.txt", "b/c.txt"]
    assert found(tmp_path, "**") == ["a.txt", "b/c.txt"]
    assert found(tmp_path, "._a.txt") == ["._a.txt"]
    caplog.clear()
    assert found(tmp_path, "b/c*") == ["b/c.txt"]
    assert not caplog.text


def test_a_link_to_nothing_is_named_and_one_to_a_folder_above_ends(tmp_path: Path) -> None:
    written(tmp_path, "b/c.txt")
    (tmp_path / "b/up").symlink_to(tmp_path)
    assert found(tmp_path, "**/c.txt") == ["b/c.txt"]
    (tmp_path / "d.txt").symlink_to(tmp_path / "absent")
    with pytest.raises(InputError, match=r"d\.txt: is a link to a file that does not exist"):
        found(tmp_path, "*.txt")


def test_a_name_in_no_utf8_is_read_and_written_down(
    tmp_path: Path, tiny_recipe: Callable[..., DataRecipe], document: Callable[..., str]
) -> None:
    folder = tmp_path / "corpus"
    folder.mkdir()
    path = folder / os.fsdecode("신문자료".encode("cp949") + b".txt")
    path.write_text("\n\n".join(map(document, range(60))), encoding="utf-8")
    [file] = find_input_files(str(folder / "*.txt"))
    first, *_ = read_source_file(file.path, Source("text", "", name="s"))
    assert isinstance(first, Document)
    assert first.id == "신문자료.txt:1-1"
    assert name_of(f"/a/{os.fsdecode(bytes([0xFF, 0xFE]))}.txt") == r"\udcff\udcfe.txt"
    recipe = replace(tiny_recipe(""), sources=(Source("text", str(folder / "*.txt")),), evaluation_fraction=0.0)
    run(tmp_path / "run", recipe)
    manifest = json.loads((tmp_path / "run/manifest.json").read_bytes())
    assert manifest["prepare"]["inputs"][0]["path"] == file.path


def test_half_a_surrogate_pair_is_written_as_json_writes_it(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"path": "\udcbd글"})
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == '{\n  "path": "\\udcbd글"\n}\n'
    assert read_json(tmp_path / "a.json") == {"path": "\udcbd글"}
