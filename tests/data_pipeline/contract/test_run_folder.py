"""One process at a time, and a manifest that changes when what it tells changes."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from data_pipeline.contract.errors import InputError, WorkError
from data_pipeline.contract.run_folder import RunFolder, existing_run_folder
from data_pipeline.contract.storage import read_json, write_atomically, write_json


def test_a_folder_in_use_names_the_process(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    in_use = rf"run: in use by process {os.getpid()}; wait for it, stop it"
    with folder.locked(), pytest.raises(WorkError, match=in_use), RunFolder(tmp_path / "run").locked():
        pass
    with folder.locked():
        pass


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    code = """
import os, signal, sys
from data_pipeline.contract.run_folder import RunFolder
with RunFolder(sys.argv[1]).locked():
    os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", code, tmp_path], check=False, timeout=60)
    assert (tmp_path / ".lock").read_text(encoding="utf-8").strip().isdigit()
    with RunFolder(tmp_path).locked(), open(tmp_path / ".lock", encoding="utf-8") as lock:
        assert lock.read().strip() == str(os.getpid())
        with pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_the_manifest_keeps_its_sections_and_its_time_stamp(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert folder.manifest() == {}
    folder.record("prepare", {"rows": 3})
    folder.record("train", {"steps": 5})
    before = folder.manifest_path.stat().st_mtime_ns
    folder.record("prepare", {"rows": 3})
    assert folder.manifest_path.stat().st_mtime_ns == before
    manifest = folder.manifest()
    assert (manifest["prepare"]["rows"], manifest["train"]["steps"]) == (3, 5)
    assert manifest["prepare"]["software"]["tokenizers"] != "not installed"


def test_urls_and_strange_folders_are_refused(tmp_path: Path) -> None:
    for url in ("gs://bucket/run", Path("gs://bucket/run")):
        with pytest.raises(InputError, match=r"--run-dir gs:/+bucket/run: run folders live on a local disk"):
            RunFolder(url)
    with pytest.raises(InputError, match=r"not a run folder \(it has no manifest\.json\)"):
        existing_run_folder(tmp_path)


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_json(tmp_path / "a.json", {"가": 1})

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", fail)
        with pytest.raises(KeyboardInterrupt):
            write_atomically(tmp_path / "a.json", b"{")
    assert read_json(tmp_path / "a.json") == {"가": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_damaged_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{", encoding="utf-8")
    with pytest.raises(InputError, match=r"a\.json: not readable as JSON"):
        read_json(tmp_path / "a.json")
    assert read_json(tmp_path / "absent.json") is None
