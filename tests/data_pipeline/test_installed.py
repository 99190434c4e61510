"""An installed package works in any folder: recipes by name, the sample corpus, the files that the code reads."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what a wheel holds, and nothing of the checkout."""
    target = tmp_path_factory.mktemp("installed")
    source = tmp_path_factory.mktemp("source")  # setuptools leaves build/ beside the code
    listed = subprocess.run(
        [
            "git",
            "ls-files",
            "-z",
            "configs",
            "data_pipeline",
            "pretrain",
            "setup.cfg",
            "pyproject.toml",
            "README.md",
            "LICENSE",
        ],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    ).stdout.split("\0")
    for name in filter(None, listed):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    how = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target", str(target)]
    subprocess.run([sys.executable, "-m", "pip", "install", *how, str(source)], check=True)
    return target


def said(installed: Path, folder: Path, *arguments: str) -> str:
    environment = {"PYTHONPATH": str(installed), "JAX_PLATFORMS": "cpu", "PATH": "/usr/bin:/bin", "HOME": str(folder)}
    command = [sys.executable, "-m", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
def test_an_installed_package_prepares_and_reports_anywhere(installed: Path, tmp_path: Path) -> None:
    assert "records         350 documents" in said(
        installed, tmp_path, "data_pipeline", "prepare", "quickstart", "--workers", "1"
    )
    said(installed, tmp_path, "data_pipeline", "report", "runs/quickstart")
    assert (tmp_path / "runs/quickstart/report.html").stat().st_size > 50_000


def test_an_installed_package_has_its_files(installed: Path, tmp_path: Path) -> None:
    code = tmp_path / "look.py"
    code.write_text(
        "from pathlib import Path\n"
        "import data_pipeline\n"
        "from data_pipeline.contract.recipe_file import load_recipe\n"
        "from data_pipeline.recipe import DataRecipe\n"
        "for name in ('quickstart', 'klue_bert_base', 'mini/bert'):\n"
        "    print(*(source.glob for source in load_recipe(name, 'data', DataRecipe)[1].sources))\n"
        "print(data_pipeline.__file__)\n",
        encoding="utf-8",
    )
    samples, *_, package = said(installed, tmp_path, "look").splitlines()
    assert Path(package).is_relative_to(installed)
    assert all(Path(sample).is_file() for sample in samples.split())
    assert list(Path(package).parent.glob("report/*.j2"))
    assert list((installed / "configs/reference").glob("*.json"))
