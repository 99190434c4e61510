"""Files in other encodings are read where the source says which, and told by what they look like where it does not."""

import codecs
import json
from pathlib import Path
from typing import Any

import pytest

from data_pipeline.contract.errors import InputError
from data_pipeline.corpus.document import Document
from data_pipeline.corpus.sources.encodings import looks_like, mojibake, standard_encoding
from data_pipeline.corpus.sources.lines import Unreadable
from data_pipeline.recipe import DataRecipe, Source
from data_pipeline.recipe_checks import check
from data_pipeline.source_formats import read_source_file

TEXT = "우리 팀은 도서관 앞에서 편지를 17번 찾았어요.\n담임 교수님은 부엌에서 빵을 나누어 주었다. ㅋㅋ\n"
LINES = TEXT.splitlines()
CONVERT = (
    "convert the file (iconv -f {0} -t utf-8), or name its encoding: --source FORMAT@{0}:GLOB, or "
    'encoding="{0}" of the recipe\'s source'
)


def read(path: Path, name: str = "lines", **fields: Any) -> list[Any]:
    return list(read_source_file(str(path), Source(name, "", name="s", **fields)))


def texts(items: list[Any]) -> list[str]:
    return [item.text for item in items if isinstance(item, Document)]


@pytest.mark.parametrize(
    ("encoding", "mark"),
    [
        ("cp949", b""),
        ("euc-kr", b""),
        ("johab", b""),
        ("utf-8", codecs.BOM_UTF8),
        ("utf-16-le", b""),
        ("utf-16-be", b""),
        ("utf-16-le", codecs.BOM_UTF16_LE),
        ("utf-16", b""),
        ("utf-32", b""),
    ],
)
@pytest.mark.parametrize("name", ["lines", "jsonl", "csv", "modu"])
def test_every_text_format_is_read_in_the_encoding_of_its_source(
    encoding: str, mark: bytes, name: str, tmp_path: Path
) -> None:
    records = [json.dumps({"text": line}, ensure_ascii=False) for line in LINES]
    documents = [{"paragraph": [{"form": line}]} for line in LINES]
    content = {
        "lines": TEXT,
        "jsonl": "\n".join(records),
        "csv": "text\n" + TEXT,
        "modu": json.dumps({"document": documents}, ensure_ascii=False),
    }[name]
    (tmp_path / "a").write_bytes(mark + content.encode(encoding))
    assert texts(read(tmp_path / "a", name, encoding=encoding)) == LINES


@pytest.mark.parametrize("order", ["utf-16-le", "utf-16-be"])
def test_the_byte_order_of_utf16_is_found_without_a_mark(order: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(TEXT.encode(order))
    assert texts(read(tmp_path / "a", encoding="utf-16")) == LINES


def test_euc_kr_is_read_as_the_cp949_that_it_mostly_is(tmp_path: Path) -> None:
    assert standard_encoding("EUC-KR") == "cp949"
    (tmp_path / "a").write_bytes("똠방각하와 펲시콜라\n".encode("cp949"))
    assert texts(read(tmp_path / "a", encoding="euc-kr")) == ["똠방각하와 펲시콜라"]


def test_a_line_that_is_not_in_the_encoding_is_one_bad_record(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes("하나\n".encode("cp949") + b"ab\xff\xff\n" + "둘\n".encode("cp949"))
    found = read(tmp_path / "a", encoding="cp949")
    assert found[1] == Unreadable("a:2", "not cp949 (behind 2 characters)")
    assert texts(found) == ["하나", "둘"]


@pytest.mark.parametrize("name", ["lines", "text", "jsonl", "csv"])
@pytest.mark.parametrize("encoding", ["cp949", "euc-kr"])
def test_cp949_is_told_on_the_first_bad_line(encoding: str, name: str, tmp_path: Path) -> None:
    content = "text\n" * (name == "csv") + (f'{{"text": "{LINES[0]}"}}' if name == "jsonl" else LINES[0])
    (tmp_path / "a").write_bytes(content.encode(encoding))
    [told] = read(tmp_path / "a", name)
    assert told.problem.startswith("looks like CP949 (EUC-KR), not UTF-8 (byte 0x")
    assert told.mend == CONVERT.format("cp949")
    assert not told.ends


def test_cp949_in_a_json_array_is_told_without_bytes_of_python(tmp_path: Path) -> None:
    content = json.dumps({"document": [{"paragraph": [{"form": line}]} for line in LINES]}, ensure_ascii=False)
    (tmp_path / "a").write_bytes(content.encode("cp949"))
    [told] = read(tmp_path / "a", "modu")
    assert (told.problem, told.mend) == ("looks like CP949 (EUC-KR), not UTF-8", CONVERT.format("cp949"))
    assert told.ends


@pytest.mark.parametrize("name", ["lines", "jsonl", "csv", "modu", "namuwiki"])
@pytest.mark.parametrize("content", [TEXT, json.dumps([{"text": line} for line in LINES], ensure_ascii=False)])
def test_utf16_is_told_with_a_mark_and_without(name: str, content: str, tmp_path: Path) -> None:
    path = tmp_path / "a"
    for mark, encoding, problem in (
        (
            codecs.BOM_UTF16_LE,
            "utf-16-le",
            "is UTF-16 (by its byte order mark), not UTF-8; " + CONVERT.format("utf-16"),
        ),
        (
            codecs.BOM_UTF16_BE,
            "utf-16-be",
            "is UTF-16 (by its byte order mark), not UTF-8; " + CONVERT.format("utf-16"),
        ),
        (b"", "utf-16-le", "looks like UTF-16 without a byte order mark, not UTF-8; " + CONVERT.format("utf-16-le")),
        (b"", "utf-16-be", "looks like UTF-16 without a byte order mark, not UTF-8; " + CONVERT.format("utf-16-be")),
    ):
        path.write_bytes(mark + content.encode(encoding))
        with pytest.raises(InputError) as told:
            read(path, name)
        assert str(told.value) == f"{path}: {problem}"


def test_bytes_that_are_korean_in_no_encoding_are_not_guessed_at() -> None:
    assert looks_like("한국어 글".encode() + b"\xff") is None
    assert looks_like("caf\xe9".encode("latin-1")) is None
    assert looks_like(b"\x80\x81\xff\xfe\x90") is None


def test_a_parquet_file_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"PAR1" + bytes(100))
    with pytest.raises(InputError, match="is a Parquet file, not text; read it with the format parquet"):
        read(tmp_path / "a", "jsonl")


@pytest.mark.parametrize(
    ("spoilt", "problem"),
    [
        (TEXT.encode("cp949").decode("latin-1"), "mojibake: CP949 that was read as Latin-1 (¿ì¸® for 우리)"),
        (TEXT.encode().decode("latin-1"), "mojibake: UTF-8 that was read as Latin-1"),
        (TEXT.encode().decode("cp1252", "replace"), "mojibake: UTF-8 that was read as Latin-1"),
        (TEXT.encode().decode("cp949", "replace"), "mojibake: UTF-8 that was read as CP949"),
    ],
)
def test_mojibake_is_a_bad_record_that_says_what_it_was(spoilt: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_text(json.dumps({"text": spoilt}) + "\n" + json.dumps({"text": TEXT}), encoding="utf-8")
    told, good = read(tmp_path / "a", "jsonl")
    assert isinstance(told, Unreadable)
    assert told.problem.startswith(problem)
    assert "iconv" in told.mend
    assert good.text == TEXT


@pytest.mark.parametrize(
    "text",
    [
        "Ève et Zoë à l'Élysée: «ça va?» Ça ira, naïve créature. Größe, Übermaß, Fußgängerübergänge.",
        "大韓民國은 民主共和國이다. 國民의 權利와 義務.",
        "中华人民共和国 中國語 日本語の文章です。",
        "ㅋㅋㅋ 헐 대박 ♥♥ ★★★ ½ × ÷ ±5% 25℃",
        "Ÿ€™ 가격은 10€ ™ “따옴표” … – —",
        "",
    ],
)
def test_other_languages_are_no_mojibake(text: str) -> None:
    assert mojibake(text) == ""


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        (Source("lines", "a", encoding="cp9494"), "encoding 'cp9494': no encoding of text that Python knows"),
        (Source("lines", "a", encoding="rot13"), "encoding 'rot13': no encoding of text that Python knows"),
        (Source("parquet", "a", encoding="cp949"), "encoding 'cp949': files of the format parquet name their own"),
    ],
)
def test_an_encoding_that_cannot_be_is_refused(source: Source, problem: str) -> None:
    with pytest.raises(InputError, match=f"source {source.format}: {problem}"):
        check(DataRecipe(sources=(source,)))


def test_johab_is_not_taken_for_cp949() -> None:
    """Converted as CP949 it would be Hangul, and nonsense: 오늘 is 봁뒃."""
    text = "오늘은 날씨가 아주 좋아서 공원에 갔습니다. 번호는 하나였습니다.\n"
    assert looks_like(text.encode("johab")) == ("Johab", "johab")
    assert looks_like(text.encode("cp949")) == ("CP949 (EUC-KR)", "cp949")
    assert looks_like("똠방각하와 펲시콜라\n".encode("cp949")) == ("CP949 (EUC-KR)", "cp949")
