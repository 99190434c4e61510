"""A domain's words take the [unusedN] rows, every other row keeps its id, and the text gets shorter."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from data_pipeline.contract.storage import read_json
from data_pipeline.contract.tokenizer import SPECIAL_TOKENS, Tokenizer, hugging_face_files
from data_pipeline.corpus.vocabulary.extension import extended, new_words
from data_pipeline.prepare.extend import WORDS_FILE

FREE = 40
LETTERS = "피부가촉은하고다에발라보습"
ROWS = [
    *SPECIAL_TOKENS,
    *(f"[unused{number}]" for number in range(FREE)),
    *LETTERS,
    *(f"##{letter}" for letter in LETTERS),
    "피부",
]


@pytest.fixture
def vocabulary(tmp_path: Path) -> Path:
    folder = tmp_path / "vocabulary"
    folder.mkdir()
    for name, content in hugging_face_files(ROWS, lowercase=False).items():
        (folder / name).write_text(content, encoding="utf-8")
    return folder


def test_words_are_ranked_by_the_tokens_they_save(vocabulary: Path) -> None:
    counts = {"피부": 900, "보습": 50, "촉촉": 40, "발라가": 30, "세럼": 45, "은": 800, "다.": 90, "하고": 2}
    words = new_words(Tokenizer(vocabulary), counts.items(), most=10, min_count=5)
    assert [(word.text, word.saved) for word in words] == [("발라가", 60), ("보습", 50), ("세럼", 45), ("촉촉", 40)]
    assert words[1].pieces == ("보", "##습")


def test_only_unused_rows_change() -> None:
    rows = extended(ROWS, ["보습", "촉촉"])
    assert rows[5:8] == ["보습", "촉촉", "[unused2]"]
    assert rows[:5] + rows[7:] == ROWS[:5] + ROWS[7:]


def run_extend(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "data_pipeline", "vocabulary", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_command_writes_a_vocabulary_that_knows_the_domain(
    vocabulary: Path, tmp_path: Path, document: Callable[..., str]
) -> None:
    text = "\n\n".join(f"{document(seed)} 보습 크림을 발라 보습을 합니다." for seed in range(30))
    (tmp_path / "domain.txt").write_text(text, encoding="utf-8")
    source = f"text:{tmp_path}/domain.txt"
    flags = ("--run-dir", tmp_path / "work", "--workers", 1)
    done = run_extend("extend", vocabulary, "--source", source, "--to", tmp_path / "to", *flags)
    assert done.returncode == 0, done.stderr
    before, after = Tokenizer(vocabulary), Tokenizer(tmp_path / "to")
    assert after.size == before.size
    assert after.pieces[:5] + after.pieces[5 + FREE :] == before.pieces[:5] + before.pieces[5 + FREE :]
    sentence = "피부에 보습하고"
    [(shorter, _)], [(longer, _)] = after.encode([sentence], "token"), before.encode([sentence], "token")
    assert len(shorter) < len(longer)
    words = {word["text"]: word for word in read_json(tmp_path / "to" / WORDS_FILE)["words"]}
    assert list(words) == [piece for piece in after.pieces[5 : 5 + FREE] if "unused" not in piece]
    assert words["보습"] == {"text": "보습", "count": 60, "pieces": ["보", "##습"]}
    again = run_extend("extend", vocabulary, "--source", source, "--to", tmp_path / "to", *flags)
    assert again.returncode == 2
    assert "is not an empty folder" in again.stderr


@pytest.mark.parametrize(("flags", "words"), [((), ["보습"]), (("--categories", "음식"), ["김치"])])
def test_the_corpus_of_a_recipe_is_that_of_its_categories(
    flags: tuple[str, ...], words: list[str], vocabulary: Path, tmp_path: Path, document: Callable[..., str]
) -> None:
    lines = [
        json.dumps({"text": f"{document(seed)} {word} 생각을 {word} 합니다.", "topic": topic}, ensure_ascii=False)
        for seed in range(20)
        for topic, word in (("화장품", "보습"), ("음식", "김치"))
    ]
    (tmp_path / "corpus.jsonl").write_text("\n".join(lines), encoding="utf-8")
    recipe = tmp_path / "domain.py"
    recipe.write_text(
        "from data_pipeline.recipe import DataRecipe, Source\n"
        f"source = Source('jsonl', '{tmp_path}/corpus.jsonl', category_field='topic')\n"
        "data = DataRecipe(sources=(source,), categories=('화장품',))\n"
    )
    work = ("--run-dir", tmp_path / "work", "--workers", 1, "--min-count", 30)
    done = run_extend("extend", vocabulary, "--recipe", recipe, "--to", tmp_path / "to", *flags, *work)
    assert done.returncode == 0, done.stderr
    found = {word["text"] for word in read_json(tmp_path / "to" / WORDS_FILE)["words"]}
    assert found & {"보습", "김치"} == set(words)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("shrink",), "vocabulary can do one thing"),
        (("extend", "VOCABULARY", "--to", "TO", "--words", "41"), "--words 41: must be 1 to 40"),
        (("extend", "NOWHERE", "--to", "TO"), "NOWHERE: holds neither tokenizer.json nor vocab.txt"),
        (("extend", "VOCABULARY", "--to", "TO"), "give --source FORMAT:GLOB"),
    ],
)
def test_wrong_input_is_named(vocabulary: Path, tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    placed = [{"VOCABULARY": str(vocabulary), "TO": str(tmp_path / "to")}.get(each, each) for each in arguments]
    done = run_extend(*placed)
    assert done.returncode == 2
    assert message in done.stderr
    assert not (tmp_path / "to").exists()
