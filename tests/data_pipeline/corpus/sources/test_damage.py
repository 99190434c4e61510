"""Where a file cannot be read on, the reader says so, and how many bytes are left: that is more than one bad record."""

import gzip
import json
import lzma
from collections.abc import Callable
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
import zstandard

from data_pipeline.corpus.document import Document
from data_pipeline.corpus.sources.lines import Unreadable
from data_pipeline.recipe import Source
from data_pipeline.source_formats import read_source_file


def read(path: Path, name: str) -> tuple[int, Unreadable]:
    """How many documents stand before the damage, and what is told of it."""
    *whole, last = read_source_file(str(path), Source(name, "", name="s"))
    assert all(isinstance(item, Document) for item in whole), whole
    assert isinstance(last, Unreadable)
    assert last.ends
    return len(whole), last


ARTICLES = [{"namespace": "0", "title": f"글 {number}", "text": f"{number}번째 글이다.\n" * 9} for number in range(500)]


@pytest.mark.parametrize("number", [0, 5, 250, 499])
@pytest.mark.parametrize("damage", [b"\x01", b'"x', b"\xff"])
def test_the_rest_of_an_array_is_told_to_the_byte(number: int, damage: bytes, tmp_path: Path) -> None:
    content = json.dumps(ARTICLES, ensure_ascii=False, indent=1).encode()
    place = content.index(f"글 {number}".encode())
    (tmp_path / "a.json").write_bytes(content[:place] + damage + content[place:])
    documents, told = read(tmp_path / "a.json", "namuwiki")
    assert documents == number
    assert told.location == f"a.json:record {number + 1}"
    assert abs(told.unread - (len(content) - place)) <= 3


@pytest.mark.parametrize("share", [0.3, 0.7])
def test_an_array_that_is_cut_says_so(share: float, tmp_path: Path) -> None:
    content = json.dumps(ARTICLES, ensure_ascii=False).encode()
    (tmp_path / "a.json").write_bytes(content[: int(len(content) * share)])
    documents, told = read(tmp_path / "a.json", "namuwiki")
    assert documents == pytest.approx(500 * share, abs=5)
    assert told.problem == "cut off in this record, and the file cannot be read on from here"
    assert told.mend == "fetch it again"


def test_what_follows_an_array_is_told(tmp_path: Path) -> None:
    content = json.dumps(ARTICLES[:3], ensure_ascii=False).encode()
    (tmp_path / "a.json").write_bytes(content * 2)
    documents, told = read(tmp_path / "a.json", "namuwiki")
    assert documents == 3
    assert told.problem == "the file holds more than one JSON value, and cannot be read on from here"
    assert abs(told.unread - len(content)) <= 1


def test_one_bad_member_of_an_array_is_one_bad_record(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps([*ARTICLES[:2], {"title": "x"}, ARTICLES[3]]), encoding="utf-8")
    found = list(read_source_file(str(tmp_path / "a.json"), Source("namuwiki", "", name="s")))
    assert [isinstance(item, Document) for item in found] == [True, True, False, True]
    assert not any(item.ends for item in found if isinstance(item, Unreadable))


def page(number: int) -> str:
    return f"<page>\n<title>글 {number}</title>\n<ns>0</ns>\n<revision><text>{number}번째 글이다.</text></revision>\n</page>\n"


@pytest.mark.parametrize("number", [0, 3, 4000])
def test_the_rest_of_a_dump_is_told(number: int, tmp_path: Path) -> None:
    content = f"<mediawiki>\n{''.join(map(page, range(5000)))}</mediawiki>".encode()
    place = content.index(f"글 {number}<".encode())
    (tmp_path / "a.xml").write_bytes(content[:place] + b"\x01" + content[place:])
    documents, told = read(tmp_path / "a.xml", "wikipedia")
    assert documents == number
    assert told.unread == pytest.approx(len(content) - place, abs=100)
    (tmp_path / "a.xml").write_bytes(content[:place])
    documents, told = read(tmp_path / "a.xml", "wikipedia")
    assert documents == number
    assert told.problem == "cut off in this record, and the file cannot be read on from here"


def test_the_rest_of_a_parquet_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    table = pyarrow.table({"text": [f"{number}번째 글이다. {number * 7919}" for number in range(3000)]})
    pyarrow.parquet.write_table(table, path, row_group_size=1000)
    whole = path.read_bytes()
    start = pyarrow.parquet.ParquetFile(path).metadata.row_group(1).column(0).dictionary_page_offset
    path.write_bytes(whole[: start + 40] + b"\xff" * 400 + whole[start + 440 :])
    documents, told = read(path, "parquet")
    assert (documents, told.location) == (1000, "a.parquet:record 1001")
    assert 0.5 < told.unread / len(whole) < 0.75
    path.write_bytes(whole[: len(whole) // 2])
    documents, told = read(path, "parquet")
    assert (documents, told.unread) == (0, len(whole) // 2)


def test_a_row_of_parquet_that_is_not_utf8_is_one_bad_record(tmp_path: Path) -> None:
    bad = pyarrow.array([b"a", b"\xbe\xbf", b"b"], pyarrow.binary()).cast(pyarrow.string(), safe=False)
    pyarrow.parquet.write_table(pyarrow.table({"text": bad}), tmp_path / "a.parquet")
    found = list(read_source_file(str(tmp_path / "a.parquet"), Source("parquet", "", name="s")))
    assert found[1] == Unreadable("a.parquet:record 2", "not UTF-8 (invalid start byte at byte 1)")
    assert [item.text for item in found if isinstance(item, Document)] == ["a", "b"]


@pytest.mark.parametrize(
    ("ending", "compress"), [(".gz", gzip.compress), (".xz", lzma.compress), (".zst", zstandard.compress)]
)
def test_a_compressed_file_that_is_cut_says_so_behind_what_it_held(
    ending: str, compress: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    content = compress("".join(f"{number}번째 줄이다. {number * 7919 % 1009}\n" for number in range(50_000)).encode())
    path = tmp_path / f"a.txt{ending}"
    path.write_bytes(content[: len(content) // 2])
    documents, told = read(path, "lines")
    assert 1000 < documents < 49_000
    assert told.location == f"a.txt{ending}"
    assert told.problem.startswith("cannot be decompressed (")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ('[{"text": "글"},\n {"text": "글"}]', "the file is one JSON array"),
        ('\n[\n{"text": "글"}\n]', "the file is one JSON array"),
        ('[{"text": "글"}, {"text": "글"}]', "the file is one JSON array"),
        ('{\n "text": "글"\n}', "the file is one JSON object over several lines"),
        ('{"data": [\n {"text": "글"}]}', "the file is one JSON object over several lines"),
    ],
)
def test_one_json_value_is_no_json_lines(content: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(content, encoding="utf-8")
    documents, told = read(tmp_path / "a.json", "jsonl")
    assert documents == 0
    assert told.problem.startswith(problem)
    assert told.mend == "read it as json.FIELD:GLOB"
    assert told.unread == pytest.approx(len(content.encode()), abs=2)
