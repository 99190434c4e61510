"""What the tests of mistakes in training and export share: the commands, and what of a run must come out again."""

import importlib.util
import json
import re
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from harness import RECIPE_FILE, WRONG_INPUT, Ran, snapshot

from pretrain.monitoring.metrics import OF_THIS_MACHINE

Run = Callable[..., Ran]
TRAIN = ("pretrain", "train", RECIPE_FILE, "--run-dir", "run")
EXPORT = ("pretrain", "export", "run")


def copy_run(source: Path, target: Path) -> Path:
    """Copies a run folder; what is linked in it stays linked, as records are."""
    subprocess.run(["cp", "-a", source, target], check=True)
    return target


def losses(run_dir: Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl without what depends on the machine's speed."""
    lines = [json.loads(line) for line in (run_dir / "metrics" / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name not in OF_THIS_MACHINE} for line in lines]


def exported(folder: Path) -> dict[str, bytes]:
    """The files of an exported folder; the card without the hours that training took."""
    files = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
    card = files["README.md"].splitlines()
    return {**files, "README.md": b"\n".join(line for line in card if b"hours of training" not in line)}


def data_files(checkpoint: Path) -> list[Path]:
    """The files of a checkpoint, those with most of its numbers first."""
    files = [path for path in (checkpoint / "params").rglob("*") if path.is_file()]
    return sorted(files, key=lambda path: -path.stat().st_size)


def flip_bit(path: Path, at: int | None = None) -> None:
    """Flips a bit of a file: of the byte `at`, or of the one in the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2 if at is None else at] ^= 1
    _overwrite(path, bytes(content))


def cut(path: Path, share: float = 0.5) -> None:
    """Leaves the first part of a file."""
    content = path.read_bytes()
    _overwrite(path, content[: int(len(content) * share)])


def _overwrite(path: Path, content: bytes) -> None:
    with open(path, "r+b") as stream:  # the same inode: other links to it are damaged, too
        stream.truncate(len(content))
        stream.write(content)


def without_transformers(patch: pytest.MonkeyPatch) -> None:
    """Hides torch and transformers from export, which takes ten seconds to import them."""
    find = importlib.util.find_spec
    patch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name in ("torch", "transformers") else find(name, *rest),
    )


def fails(run: Run, command: Sequence[object], message: str, code: int = WRONG_INPUT) -> None:
    """The command ends with this sentence and code, and leaves the run folder as it was."""
    before = untouched()
    sentence = run(*command).sentence(code)
    assert re.fullmatch(message, sentence), sentence
    assert untouched() == before, f"{sentence}: but the folder has changed"


def untouched() -> dict[str, str]:
    """All files here but the lock's."""
    return {name: digest for name, digest in snapshot(Path.cwd()).items() if not name.endswith(".lock")}
