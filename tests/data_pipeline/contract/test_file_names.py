"""Files are found by the names that people type: in any Unicode form, with brackets, in no encoding, and without what systems hide."""

import json
import os
import unicodedata
from dataclasses import replace
from pathlib import Path

from prepared_runs import run

from data_pipeline.contract.storage import find_input_files, name_of, read_json, write_json
from data_pipeline.corpus.document import Document
from data_pipeline.recipe import Source
from data_pipeline.source_formats import read_source_file


def nfd(text: str) -> str:
    return unicodedata.normalize("NFD", text)


def written(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("\n\n".join(map(document, range(60))), encoding="utf-8")
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
