"""What of the code a task's fingerprint holds: what its operation imports of the folders that shape bytes, and nothing else."""

import ast
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from data_pipeline.tasks import fingerprint
from data_pipeline.tasks.fingerprint import LIBRARIES, SHAPING, all_code, code_fingerprint, without_words

ROOT = Path(__file__).resolve().parents[3]
SPLIT = "data_pipeline.corpus.stages.split"
HARMLESS = {"fsspec", "scipy", "tensorflow_datasets", "tyro", "zstandard"}
"""Packages that carry bytes and give them back as they are."""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the package, to change."""
    shutil.copytree(ROOT / "data_pipeline", tmp_path / "data_pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def found_in(copy: Path, *modules: str) -> str:
    code = f"from data_pipeline.tasks.fingerprint import code_fingerprint; print(code_fingerprint({modules!r}))"
    return subprocess.run([sys.executable, "-c", code], cwd=copy, capture_output=True, text=True, check=True).stdout


def append(path: Path, text: str) -> None:
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")


def test_words_and_layout_do_not_count() -> None:
    plain = "X = 1\n\n\ndef f(a: int) -> str:\n    return f'{a!r:>{X}} 가' 'b'\n"
    worded = '"""Module."""\nX = 1  # why\n"""What X is."""\n\ndef f(a: int) -> str:\n    """Does."""\n    return (\n        f"{a!r:>{X}} 가"\n        "b"\n    )\n'
    assert without_words(plain) == without_words(worded)
    assert without_words(plain) != without_words(plain.replace("X = 1", "X = 2"))
    assert without_words(plain) != without_words(plain.replace("가", "나"))
    assert without_words("if a:\n    b()\nc()") != without_words("if a:\n    b()\n    c()")


def test_sentences_of_errors_that_end_a_task_do_not_count() -> None:
    plain = "def f(x):\n    if x > 1:\n        raise InputError(f'{x}: too much') from None\n"
    assert without_words(plain) == without_words(plain.replace("too much", "more than 1"))
    for old, new in (
        ("> 1", "> 2"),
        ("InputError", "WorkError"),
        ("raise InputError(f'{x}: too much') from None", "return InputError(x)"),
    ):
        assert without_words(plain) != without_words(plain.replace(old, new))
    in_reports = plain.replace("InputError", "BadRecordError")
    assert without_words(in_reports) != without_words(in_reports.replace("too much", "more than 1"))


def test_it_is_the_same_on_every_version_of_python() -> None:
    # As 3.11 and 3.12 write it; type_params, which 3.12 has, is left out where empty.
    assert without_words("def f(x, /, *, y=1.5):\n    return x or None") == (
        "Module(body=[FunctionDef(args=arguments(kw_defaults=[Constant(value=float:1.5,)]kwonlyargs=[arg(arg=str:'y',)]"
        "posonlyargs=[arg(arg=str:'x',)])body=[Return(value=BoolOp(op=Or()values=[Name(id=str:'x',)Constant()]))]"
        "name=str:'f',)])"
    )


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("corpus/steps/split_sentences.py", "\nNEW = 1\n"),
        ("corpus/document.py", "\nNEW = 1\n"),
        ("contract/storage.py", "\nNEW = 1\n"),
    ],
)
def test_code_that_an_operation_runs_counts(place: str, text: str, copy: Path) -> None:
    before = found_in(copy, SPLIT)
    append(copy / "data_pipeline" / place, text)
    assert found_in(copy, SPLIT) != before


def test_an_added_module_that_is_imported_counts(copy: Path) -> None:
    before = found_in(copy, SPLIT)
    (copy / "data_pipeline/corpus/steps/report.py").write_text("NEW = 1\n", encoding="utf-8")
    assert found_in(copy, SPLIT) == before
    append(
        copy / "data_pipeline/corpus/steps/split_sentences.py", "\nfrom data_pipeline.corpus.steps.report import NEW\n"
    )
    imported = found_in(copy, SPLIT)
    (copy / "data_pipeline/corpus/steps/report.py").write_text("NEW = 2\n", encoding="utf-8")
    assert len({before, imported, found_in(copy, SPLIT)}) == 3


def test_what_an_operation_does_not_run_does_not_count(copy: Path) -> None:
    before = found_in(copy, SPLIT)
    for place in (
        "recipe.py",
        "pipeline.py",
        "source_formats.py",
        "prepare/flow.py",
        "contract/errors.py",
        "tasks/shard_task.py",
        "report/console.py",
        "corpus/sources/petitions.py",
        "corpus/steps/korean_filter.py",
        "corpus/stages/records.py",
    ):
        append(copy / "data_pipeline" / place, "\nNEW = 1\n")
    split = copy / "data_pipeline/corpus/steps/split_sentences.py"
    append(split, "\n\n# A remark.\n")
    assert found_in(copy, SPLIT) == before
    assert found_in(copy, SPLIT, "data_pipeline.corpus.steps.korean_filter") != before


def test_every_library_that_shapes_bytes_is_known() -> None:
    files = (path for package in SHAPING for path in (ROOT / package.replace(".", "/")).rglob("*.py"))
    named = {
        name.partition(".")[0] for path in files for name in fingerprint._imports(ast.parse(path.read_text("utf-8")))
    }
    assert named - set(sys.stdlib_module_names) - {"data_pipeline"} <= {*LIBRARIES, *HARMLESS}


def test_threads_may_ask_at_once() -> None:
    """Those of a command that looks which of its tasks are done do."""
    alone = code_fingerprint((SPLIT,))
    for _ in range(3):
        fingerprint._fingerprint.cache_clear()
        fingerprint._read.cache_clear()
        with ThreadPoolExecutor(16) as threads:
            assert set(threads.map(code_fingerprint, [(SPLIT,)] * 32)) == {alone}


def test_a_worker_elsewhere_is_asked_for_all_code() -> None:
    assert all_code() != code_fingerprint((SPLIT,))
