"""A domain's words take the [unusedN] rows, every other row keeps its id, and the text gets shorter."""

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_pipeline.contract.storage import read_json
from data_pipeline.contract.tokenizer import SPECIAL_TOKENS, Tokenizer, hugging_face_files
from data_pipeline.corpus.vocabulary.extension import extended, new_words, tokens_of
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


MORPHEMES = {
    "피부에": ["피부", "에"],
    "보습하고": ["보습", "하고"],
    "촉촉하다": ["촉촉", "하다"],
    "은하수": ["은하수"],
    "발라가": ["발라가"],
}


def morphemes_of(word: str) -> list[str]:
    return MORPHEMES.get(word, [word])


def test_morphemes_are_offered_as_the_tokenizer_cuts_and_ranked_by_what_they_save(vocabulary: Path) -> None:
    """하고 is counted inside words, where its row is ##하고; 세럼 is [UNK] today."""
    words = [("다", 90), ("발라가", 30), ("보습하고", 40), ("세럼", 20), ("촉촉하다", 15), ("피부에", 900), ("하고", 2)]
    found = new_words(Tokenizer(vocabulary), words, morphemes_of, most=10, min_count=5)
    assert [(word.text, word.count, word.pieces) for word in found] == [
        ("발라가", 30, ("발", "##라", "##가")),
        ("##하고", 40, ("##하", "##고")),
        ("보습", 40, ("보", "##습")),
        ("세럼", 20, ("[UNK]",)),
        ("##하다", 15, ("##하", "##다")),
        ("촉촉", 15, ("촉", "##촉")),
    ]
    [best] = new_words(Tokenizer(vocabulary), words, morphemes_of, most=1, min_count=5)
    assert best.text == "발라가"


def test_a_morpheme_that_another_new_one_covers_gets_no_row(vocabulary: Path) -> None:
    parts = {"가고하다은": ["가고하다은"], "가고": ["가고"], "가고하": ["가고", "하"]}
    words = [("가고", 3), ("가고하", 4), ("가고하다은", 100)]
    found = new_words(Tokenizer(vocabulary), words, parts.__getitem__, most=10, min_count=5)
    assert [(word.text, word.count) for word in found] == [("가고하다은", 100), ("가고", 7)]


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(st.text("피부가촉은하고세", min_size=1, max_size=7), st.integers(1, 50), min_size=1, max_size=12),
    st.integers(1, 6),
)
def test_words_are_cut_and_used_as_the_tokenizer_does(
    tmp_path_factory: pytest.TempPathFactory, counts: dict[str, int], size: int
) -> None:
    """What a word's count promises is what the tokenizer does with the vocabulary that is written."""
    words = sorted(counts.items())

    def parts(word: str) -> list[str]:
        return [word[start : start + size + 1] for start in range(0, len(word), size + 1)]

    tokenizer = word_piece_of(ROWS, tmp_path_factory.mktemp("before"))
    found = new_words(tokenizer, words, parts, most=5, min_count=3)
    extended_ = word_piece_of(extended(ROWS, [word.text for word in found]), tmp_path_factory.mktemp("after"))
    uses: Counter[str] = Counter()
    for word, count in words:
        [(ids, _)] = extended_.encode([word], "token")
        for index in ids:
            uses[extended_.pieces[index]] += count
    assert {word.text: word.count for word in found} == {word.text: uses[word.text] for word in found}
    assert all(word.count >= 3 for word in found)
    before, after = tokens_of(tokenizer, words), tokens_of(extended_, words)
    assert after.unknown_characters <= before.unknown_characters
    if after.unknown_characters == before.unknown_characters:
        assert after.number <= before.number
        assert (after.number < before.number) == bool(found)


def word_piece_of(rows: list[str], folder: Path) -> Tokenizer:
    for name, content in hugging_face_files(rows, lowercase=False).items():
        (folder / name).write_text(content, encoding="utf-8")
    return Tokenizer(folder)


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
    # Of two a document: 보습을 is [UNK] before and after, for ##을 has no row.
    assert words["보습"] == {"text": "보습", "count": 30, "pieces": ["보", "##습"]}
    filled = re.search(r"the corpus takes ([\d,]+) tokens instead of ([\d,]+)", done.stdout)
    assert filled
    takes, took = (int(number.replace(",", "")) for number in filled.groups())
    pieces = sorted(read_json(tmp_path / "to" / WORDS_FILE)["words"], key=lambda word: word["text"])
    assert takes < took
    assert any(word["text"].startswith("##") for word in pieces)
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
