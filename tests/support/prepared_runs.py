"""Prepared run folders: making one in this process, and what is compared of two."""

import hashlib
from pathlib import Path
from typing import Any

from data_pipeline.contract.run_folder import RunFolder
from data_pipeline.prepare.run import prepare
from data_pipeline.recipe import DataRecipe


def run(folder: Path, recipe: DataRecipe, workers: int = 1, **how: Any) -> RunFolder:
    prepare(RunFolder(folder), "tiny", recipe, workers, **how)
    return RunFolder(folder)


def results(folder: Path) -> dict[str, str]:
    """Every file that training reads, by content."""
    files = [*(folder / "vocabulary").iterdir(), *(folder / "examples").rglob("*"), folder / "corpus" / "report.json"]
    files.append(folder / "corpus" / "dropped.jsonl.zst")
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files if path.is_file()
    }


def done_records(folder: Path) -> dict[Path, int]:
    """When each done-record was written."""
    return {path.relative_to(folder): path.stat().st_mtime_ns for path in folder.glob("corpus/*/done/*.json")}
