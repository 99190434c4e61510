"""The table of the corpus steps: a new filter is its step and its row, and only what runs it is done again."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from data_pipeline.corpus.tally import REPLACED
from data_pipeline.pipeline import ROWS, CorpusSteps

ROOT = Path(__file__).resolve().parents[2]
STEP = """
from data_pipeline.corpus.steps.removal import remove_sentences, sentences_of, survivor
from data_pipeline.corpus.document import Removed


def questions(recipe):
    def without_questions(document):
        asked = {
            number: Removed(sentence.text, "question")
            for number, sentence in enumerate(sentences_of(document))
            if sentence.text.endswith(recipe.mark)
        }
        return survivor(remove_sentences(document, asked))

    return without_questions
"""
SETTINGS = '''
@dataclass(frozen=True)
class Questions:
    """Removes questions."""

    mark: str = "?"
    """What they end with."""


@dataclass(frozen=True, kw_only=True)
class CorpusSteps:
'''
ROW = """
    Row(
        "questions",
        ("sentences: question", "documents: question"),
        lambda recipe: f"sentences that end with {recipe.questions.mark} dropped",
        step="questions:questions",
    ),
    Row("length","""
RECIPE = """
from data_pipeline.recipe import DataRecipe, LengthFilter, Packed, Source, Vocabulary

data = DataRecipe(
    sources=(Source("lines", "text.txt"),),
    evaluation_fraction=0.0,
    length=LengthFilter(min_chars=1),
    vocabulary=Vocabulary(given="vocab.txt"),
    examples=Packed(length=16),
)
"""


def command(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "data_pipeline", *arguments], cwd=folder, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def attempts(folder: Path, stage: str) -> list[str]:
    return [
        json.loads(path.read_bytes())["attempt"] for path in sorted((folder / "run/corpus" / stage / "done").iterdir())
    ]


def manifest(folder: Path) -> Any:
    return json.loads((folder / "run/manifest.json").read_bytes())["prepare"]


def test_a_new_filter_is_its_step_and_its_row(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "data_pipeline", tmp_path / "data_pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    lines = [
        "나는 사과를 먹었다. 너는 무엇을 먹었니?",
        "우리는 학교에 갔다. 너는 어디에 갔니?",
        "비가 온다. 눈도 온다.",
    ]
    (tmp_path / "text.txt").write_text("\n".join(lines), encoding="utf-8")
    pieces = sorted(
        {piece for line in lines for character in line for piece in (character, f"##{character}")} - {" ", "## "}
    )
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    (tmp_path / "vocab.txt").write_text("\n".join([*specials, *pieces]), encoding="utf-8")
    (tmp_path / "own.py").write_text(RECIPE, encoding="utf-8")
    prepare = ("prepare", "own.py", "--run-dir", "run", "--workers", "1")
    command(tmp_path, *prepare)
    before = {stage: attempts(tmp_path, stage) for stage in ("documents", "split", "sentences")}

    (tmp_path / "data_pipeline/corpus/steps/questions.py").write_text(STEP, encoding="utf-8")
    table = tmp_path / "data_pipeline/pipeline.py"
    text = table.read_text(encoding="utf-8").replace('\n    Row("length",', ROW)
    text = text.replace("\n@dataclass(frozen=True, kw_only=True)\nclass CorpusSteps:\n", SETTINGS)
    table.write_text(
        text.replace(
            "    length: LengthFilter = field",
            "    questions: Questions = field(default_factory=Questions)\n    length: LengthFilter = field",
        ),
        encoding="utf-8",
    )

    command(tmp_path, *prepare)
    assert {stage: attempts(tmp_path, stage) for stage in ("documents", "split")} == {
        stage: before[stage] for stage in ("documents", "split")
    }
    assert attempts(tmp_path, "sentences") != before["sentences"]
    dropped = json.loads((tmp_path / "run/corpus/report.json").read_bytes())["sentences"]["dropped"]
    assert dropped["sentences"]["lines"]["question"] == 2
    assert "sentences that end with ? dropped (2 sentences)" in manifest(tmp_path)["account"]["steps"]
    assert manifest(tmp_path)["recipe"]["questions"] == {"kind": "Questions", "mark": "?"}
    assert "sentences: question" in command(tmp_path, "prepare", "own.py", "--dry-run", "10", "--workers", "1")
    command(tmp_path, *prepare, "--data.questions.mark", "!")
    assert "question" not in json.loads((tmp_path / "run/corpus/report.json").read_bytes())["sentences"]["dropped"]


def test_every_step_of_a_recipe_has_its_row_in_order() -> None:
    assert [row.field for row in ROWS] == list(CorpusSteps.__dataclass_fields__)


@pytest.mark.parametrize("row", [row for row in ROWS if row.step], ids=lambda row: row.field)
def test_the_code_of_a_row_is_there(row: Any) -> None:
    module, function = row.step.split(":")
    path = ROOT / "data_pipeline/corpus/steps" / f"{module.replace('.', '/')}.py"
    assert f"def {function}(" in path.read_text(encoding="utf-8")


def test_headings_are_what_the_steps_say() -> None:
    """Read from the code: every reason that a step gives stands in the table."""
    told = {heading.partition(": ")[2] for row in ROWS for heading in row.reasons if not heading.startswith(REPLACED)}
    for reason in (
        "duplicate",
        "near duplicate",
        "no sentence",
        "hole",
        "not Korean",
        "Han or Kana",
        "no Korean",
        "too short",
        "benchmark",
    ):
        assert reason in told
