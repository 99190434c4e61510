"""Texts are read in the order of their file, and what cannot be read is named by file, line and field."""

import gzip
import re
from pathlib import Path

import pytest

from data_pipeline.contract.errors import InputError
from pretrain.__main__ import COMMANDS
from pretrain.inference.texts import read_texts


def file(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", "\ufeff첫째, 글\n둘째\t글\n"),
        ("a.jsonl", '{"text": "첫째, 글"}\n\n{"text": "둘째\\t글", "label": 1}\n'),
        ("a.json", '[{"text": "첫째, 글"}, {"text": "둘째\\t글"}]'),
        ("a.csv", 'text,n\n"첫째, 글",1\n둘째\t글,2\n'),
    ],
)
def test_every_format_gives_the_texts_in_their_order(name: str, content: str, tmp_path: Path) -> None:
    assert read_texts(file(tmp_path, name, content)) == ["첫째, 글", "둘째\t글"]
    packed = file(tmp_path, f"{name}.gz", gzip.compress(content.encode()))
    assert read_texts(packed) == ["첫째, 글", "둘째\t글"]


def test_columns_are_chosen_by_name_and_pairs_have_two(tmp_path: Path) -> None:
    table = "id\tdocument\tother\n1\t글 하나\t짝 하나\n2\t글 둘\t짝 둘\n"
    for name in ("ratings.txt", "ratings.tsv"):
        path = file(tmp_path, name, table)
        assert read_texts(path, "document") == ["글 하나", "글 둘"]
        assert read_texts(path, "document", "other") == [("글 하나", "짝 하나"), ("글 둘", "짝 둘")]


@pytest.mark.parametrize(
    ("name", "content", "columns", "message"),
    [
        ("a.txt", "글\n\n글\n", (), 'a.txt:2: field "text" is empty; fill it or remove the row'),
        ("a.txt", "글\n뜻".encode("cp949"), (), "a.txt:1: not UTF-8 (invalid start byte); convert the file to UTF-8"),
        ("a.txt", "", (), "a.txt: holds no texts; give another file"),
        ("a.txt", "글\n", (None, "b"), "--second b: the lines of"),
        ("a.csv", "text\n", (), "a.csv: holds no texts"),
        ("a.csv", "body,b\n글,1\n", (), 'a.csv:2: field "text" is missing (found: body, b)'),
        ("a.csv", "text,b\n글,1\n", ("text", "second"), 'a.csv:2: field "second" is missing (found: text, b)'),
        ("a.jsonl", '{"text": 3}\n', (), 'a.jsonl:1: field "text" must be text, found 3'),
        ("a.jsonl", '{"text": "글"\n', (), "a.jsonl:1: not readable as JSON"),
        ("a.parquet", "", (), "a.parquet: unknown format .parquet; must be one of .txt, .tsv, .csv, .jsonl, .json"),
    ],
)
def test_what_cannot_be_read_is_named_in_one_sentence(
    name: str, content: str | bytes, columns: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=re.escape(message)) as error:
        read_texts(file(tmp_path, name, content), *columns)
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_texts(tmp_path / "a.txt")


@pytest.mark.parametrize("command", [("predict",), ("embed", "--pooling", "mean")], ids=lambda each: each[0])
@pytest.mark.parametrize(
    ("to", "message"),
    [("made.npy", r"--to .*: is a folder; give"), ("a.txt/out.npy", r"--to .*: .*a\.txt is a file, not a folder")],
)
def test_a_place_that_cannot_be_written_is_told_before_the_model_is_read(
    command: tuple[str, ...], to: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_text("가\n")
    (tmp_path / "made.npy").mkdir()
    given = ["nowhere", "--input", str(tmp_path / "a.txt"), "--to", str(tmp_path / to)]
    with pytest.raises(InputError, match=message):
        COMMANDS[command[0]][0]([*command[1:], *given])
