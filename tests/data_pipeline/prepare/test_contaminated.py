"""contaminated tells of each benchmark how much of it stands in a corpus, whatever a recipe would have filtered."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from data_pipeline.contract.storage import read_json
from data_pipeline.prepare.contaminated import CERTIFICATE

FOUND = "국회의사당 앞에서 노란 풍선을 들고 있던 아이가 환하게 웃었다."
EMBEDDED = "조선 시대의 한글 소설은 대부분 지은이가 알려져 있지 않다"
ABSENT = "달의 뒷면에는 운석이 부딪친 자국이 앞면보다 훨씬 많다."


@pytest.fixture
def texts(tmp_path: Path, document: Callable[..., str]) -> Path:
    """Two files of documents, one of them with copies of benchmark texts; the same document stands in both."""
    other = [document(seed) for seed in range(20)]
    inside = f"선생님은 {EMBEDDED}고 하셨다."
    (tmp_path / "a.txt").write_text("\n\n".join([*other, f"{other[0]} {FOUND}"]), encoding="utf-8")
    (tmp_path / "b.txt").write_text("\n\n".join([f"{other[0]} {FOUND}", inside]), encoding="utf-8")
    (tmp_path / "benchmark").mkdir()
    (tmp_path / "benchmark/test.txt").write_text(f"{FOUND}\n{ABSENT}\n{EMBEDDED}.\n", encoding="utf-8")
    return tmp_path


def contaminated(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "data_pipeline", "contaminated", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_every_match_is_told_and_every_benchmark_counted(texts: Path) -> None:
    flags = ("--benchmark", texts / "benchmark", "--run-dir", texts / "run", "--workers", 1)
    done = contaminated(f"{texts}/*.txt", *flags)
    assert done.returncode == 0, done.stderr
    certificate = read_json(texts / "run" / CERTIFICATE)
    assert certificate["benchmarks"] == {"benchmark/test": {"texts": 3, "texts_found": 2, "sentences": 3}}
    assert certificate["corpus"]["documents"] == 23
    assert certificate["formulae"] == {}
    matches = [(match["sentence"], match["match"]["text"]) for match in certificate["matches"]]
    assert matches.count((FOUND, FOUND)) == 2  # in both files: nothing is taken for a duplicate here
    assert any(EMBEDDED in sentence and text == f"{EMBEDDED}." for sentence, text in matches)
    assert FOUND in done.stdout
    assert "66.67%" in done.stdout


def test_formulae_are_found_and_listed(texts: Path, document: Callable[..., str]) -> None:
    (texts / "c.txt").write_text("\n\n".join(f"{document(seed)} {ABSENT}" for seed in range(30, 45)), encoding="utf-8")
    done = contaminated(texts / "c.txt", "--benchmark", texts / "benchmark", "--run-dir", texts / "run", "--workers", 1)
    certificate = read_json(texts / "run" / CERTIFICATE)
    assert certificate["benchmarks"]["benchmark/test"] == {"texts": 3, "texts_found": 1, "sentences": 15}
    assert certificate["formulae"] == {"benchmark/test": {ABSENT: {"documents": 15, "sentences": 15}}}
    assert "formulae: benchmark texts" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("a.txt",), "--benchmark PATH is missing"),
        (("--benchmark", "benchmark"), "the corpus stands first"),
        (("nowhere/*.txt", "--benchmark", "benchmark"), "nowhere/*.txt"),
    ],
)
def test_wrong_input_is_named(texts: Path, arguments: tuple[str, ...], message: str) -> None:
    placed = [str(texts / argument) if "-" not in argument else argument for argument in arguments]
    done = contaminated(*placed, "--run-dir", texts / "run")
    assert done.returncode == 2
    assert message in done.stderr
    assert not (texts / "run" / CERTIFICATE).exists()
