"""Corpus files become documents with their place, whatever the format, the compression and the line ends."""

import bz2
import gzip
import io
import json
import lzma
import os
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.storage import find_input_files, open_input
from data_pipeline.corpus.document import Document
from data_pipeline.corpus.sources.lines import Unreadable
from data_pipeline.recipe import Source
from data_pipeline.source_formats import FORMATS, reader_of

COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".xz": lzma.compress,
    ".bz2": bz2.compress,
    ".zst": zstandard.compress,
}
CONTENT = {
    "text": "첫 줄이다.\n둘째 줄이다.\n\n \n둘째 글이다.\n",
    "lines": "첫 줄이다.\n\n둘째 줄이다.\n",
    "jsonl": '{"text": "첫 글이다."}\n\n{"text": "둘째 글이다.", "id": 3}\n',
    "json": '[{"text": "첫 글이다."},\n {"text": ["둘째 글이다.", "그렇다."], "id": 3}]\n',
    "csv": 'id,text\n1,"첫 ""글""이다, 그렇다.\n둘째 줄."\n\n2,둘째 글이다.\n',
    "tsv": 'id\ttext\n1\t첫 "글"이다, 그렇다.\n2\t"둘째" 글이다.\n',
    "news": '{"title": "제목", "text": "본문이다.", "publisher": "신문"}\n',
    "petitions": '{"title": "제목", "content": "내용이다."}\n',
    "petitions_csv": 'article_id,title,content\n21,제목,"첫 줄.\\n\\t둘째 줄."\n',
    "lm_dataformat": '{"text": "글이다.", "meta": {}}\n{"text": ["하나.", "둘."]}\n{"text": [["하나.", "둘."], ["셋."]]}\n',
    "modu": json.dumps(
        {
            "id": "NWRW1900000001",
            "document": [
                {"metadata": {"title": "제목"}, "paragraph": [{"id": "1", "form": "제목"}, {"form": "본문이다."}]},
                {
                    "utterance": [
                        {"speaker_id": "1", "form": "안녕하세요.", "original_form": "안뇽하세요."},
                        {"speaker_id": "1", "original_form": "오랜만이에요."},
                        {"speaker_id": "2", "form": ""},
                        {"speaker_id": "2", "form": "네."},
                        {"speaker_id": "1", "form": "그럼요."},
                    ]
                },
            ],
        },
        ensure_ascii=False,
    ),
    "namuwiki": '[{"namespace": "0", "title": "섬", "text": "[[섬|작은 섬]]이다.", "contributors": []}]',
    "kowikitext": " = 세종 = \n\n 임금이다.\n\n = = 생애 = = \n\n 태어났다.\n\n = 이순신 = \n\n 장군이다.\n",
    "namuwikitext": " = 섬 =\n\n = = 개요 = =\n\n작은 ''''섬''''이다.\n",
    "wikipedia": "<mediawiki>\n<page>\n<ns>0</ns>\n<revision>\n<text>'''글'''이다.\n</text></revision></page></mediawiki>\n",
}
EXPECTED = {
    "text": [("corpus:1-2", "첫 줄이다.\n둘째 줄이다."), ("corpus:5-5", "둘째 글이다.")],
    "lines": [("corpus:1", "첫 줄이다."), ("corpus:3", "둘째 줄이다.")],
    "jsonl": [("corpus:1", "첫 글이다."), ("corpus:3", "둘째 글이다.")],
    "json": [("corpus:record 1", "첫 글이다."), ("corpus:record 2", "둘째 글이다.\n그렇다.")],
    "csv": [("corpus:2", '첫 "글"이다, 그렇다.\n둘째 줄.'), ("corpus:5", "둘째 글이다.")],
    "tsv": [("corpus:2", '첫 "글"이다, 그렇다.'), ("corpus:3", '"둘째" 글이다.')],
    "news": [("corpus:1", "본문이다.", "제목")],
    "petitions": [("corpus:1", "내용이다.", "제목")],
    "petitions_csv": [("corpus:2", "첫 줄.\n\t둘째 줄.", "제목")],
    "lm_dataformat": [("corpus:1", "글이다."), ("corpus:2", "하나. 둘."), ("corpus:3", "하나. 둘.\n셋.")],
    "modu": [
        ("corpus:record 1", "제목\n본문이다."),
        ("corpus:record 2", "안녕하세요. 오랜만이에요.\n네.\n그럼요."),
    ],
    "namuwiki": [("corpus:record 1", "작은 섬이다.")],
    "kowikitext": [("corpus:1-7", "세종\n임금이다.\n생애\n태어났다."), ("corpus:9-11", "이순신\n장군이다.")],
    "namuwikitext": [("corpus:1-5", "섬\n개요\n작은 섬이다.")],
    "wikipedia": [("corpus:record 1", "글이다.")],
}
ENDLESS = {
    "json": ("[", '{"text": "글"}, '),
    "csv": ("text\n", "글\n"),
    "tsv": ("text\n", "글\n"),
    "petitions_csv": ("title,content\n", "제목,내용\n"),
    "modu": ('{"document": [', '{"paragraph": [{"form": "글"}]}, '),
    "namuwiki": ("[", '{"namespace": "", "text": "글"}, '),
    "wikipedia": ("<mediawiki>", "<page><ns>0</ns><text>글</text></page>"),
}
"""What stands once at the head of a file, and what may follow for ever; other formats may be repeated as a whole."""


def read(name: str, content: bytes, text_field: str = "text") -> list[Document | Unreadable]:
    source = Source(name, "", name="source", text_field=text_field)
    return list(reader_of(name)(io.BytesIO(content), "corpus", source))


def expected(name: str) -> list[Document]:
    return [Document(place, "source", text, summary=next(iter(more), None)) for place, text, *more in EXPECTED[name]]


def test_every_format_is_tested_here_or_has_tests_of_its_own() -> None:
    assert set(FORMATS) - set(CONTENT) == {"parquet", "arrow", "pairs", "tfds", "export"}
    assert set(CONTENT) == set(EXPECTED)


@pytest.mark.parametrize("ending", COMPRESSIONS)
@pytest.mark.parametrize("name", CONTENT)
def test_every_format_reads_alike_through_every_compression(name: str, ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"corpus{ending}"
    path.write_bytes(COMPRESSIONS[ending](CONTENT[name].encode()))
    with open_input(str(path)) as stream:
        found = list(reader_of(name)(stream, "corpus", Source(name, "", name="source")))
    assert found == expected(name)


@pytest.mark.parametrize("name", CONTENT)
def test_byte_order_mark_and_carriage_returns_are_no_text(name: str) -> None:
    changed = b"\xef\xbb\xbf" + CONTENT[name].replace("\n", "\r\n").encode()
    assert read(name, changed) == expected(name)


def test_pairs_have_a_text_and_a_summary_and_neither_may_be_missing_or_blank() -> None:
    rows = [
        {"text": "본문이다.", "summary": "요약"},
        {"text": "본문", "summary": ""},
        {"text": " ", "summary": "요약"},
        {"text": "본문"},
    ]
    content = "".join(json.dumps(row) + "\n" for row in rows)
    assert read("pairs", content.encode()) == [
        Document("corpus:1", "source", "본문이다.", summary="요약"),
        Unreadable("corpus:2", 'field "summary" is blank'),
        Unreadable("corpus:3", 'field "text" is blank'),
        Unreadable("corpus:4", 'field "summary" is missing (found: text)'),
    ]
    source = Source("pairs", "", name="source", text_field="body", summary_field="title")
    [found] = reader_of("pairs")(io.BytesIO(b'{"body": "a", "title": "b"}'), "corpus", source)
    assert found == Document("corpus:1", "source", "a", summary="b")


@pytest.mark.parametrize("ending", COMPRESSIONS)
def test_files_glued_together_are_read_to_the_end(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"corpus{ending}"
    path.write_bytes(COMPRESSIONS[ending]("하나\n".encode()) + COMPRESSIONS[ending]("둘\n".encode()))
    with open_input(str(path)) as stream:
        assert [line.decode() for line in stream] == ["하나\n", "둘\n"]


@given(st.lists(st.binary(max_size=300_000), max_size=3), st.integers(1, 200_000))
@settings(max_examples=25, deadline=None)
def test_zstandard_gives_back_the_bytes(
    tmp_path_factory: pytest.TempPathFactory, frames: list[bytes], step: int
) -> None:
    path = tmp_path_factory.mktemp("frames") / "x.zst"
    frames = ["글".encode(), *frames]  # what begins as a PDF does is refused
    path.write_bytes(b"".join(map(zstandard.compress, frames)))
    with open_input(str(path)) as stream:
        pieces = list(iter(lambda: stream.read(step), b""))
    assert b"".join(pieces) == b"".join(frames)


@pytest.mark.parametrize("ending", [".gz", ".xz", ".bz2", ".zst"])
def test_cut_files_are_never_taken_for_whole_ones(ending: str, tmp_path: Path) -> None:
    whole = COMPRESSIONS[ending]("".join(f"{number}번째 줄\n" for number in range(5000)).encode())
    for size in (len(whole) // 2, len(whole) - 1):
        path = tmp_path / f"cut{ending}"
        path.write_bytes(whole[:size])
        with pytest.raises(EOFError), open_input(str(path)) as stream:
            list(stream)


def test_bad_bytes_are_named_by_line_and_reading_goes_on() -> None:
    found = read("lines", "좋다\n".encode() + b"ab\xff\n" + "또 좋다".encode())
    assert found[1] == Unreadable("corpus:2", "not UTF-8 (byte 0xff at column 3)")
    assert [item.text for item in found if isinstance(item, Document)] == ["좋다", "또 좋다"]


def test_a_block_ends_at_a_bad_line() -> None:
    found = read("text", "하나\n".encode() + b"\xff\n" + "둘\n셋\n".encode())
    assert found == [
        Document("corpus:1-1", "source", "하나"),
        Unreadable("corpus:2", "not UTF-8 (byte 0xff at column 1)"),
        Document("corpus:3-4", "source", "둘\n셋"),
    ]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"title": "가", "body": "나"}', 'field "text" is missing (found: title, body)'),
        ('{"text": 3}', 'field "text" is not text but int'),
        ('["text"]', "not a JSON object but list"),
        ('{"text": ', "not JSON (Expecting value"),
        ("[" * 100_000, "not JSON ("),
    ],
)
def test_wrong_json_says_what_was_found(line: str, problem: str) -> None:
    [found] = read("jsonl", line.encode())
    assert isinstance(found, Unreadable)
    assert found.location == "corpus:1"
    assert found.problem.startswith(problem)


def test_sentences_that_are_no_text_are_named() -> None:
    found = read("lm_dataformat", b'{"text": ["a", ["b"]]}\n{"text": [["a", 1]]}\n{"text": {}}\n')
    problem = 'field "text" is neither text nor a list of sentences'
    assert found == [Unreadable(f"corpus:{number}", problem) for number in (1, 2, 3)]


def test_json_lines_take_the_named_field() -> None:
    [found] = read("jsonl", json.dumps({"text": "가", "body": "나"}).encode(), text_field="body")
    assert isinstance(found, Document)
    assert found.text == "나"


@pytest.mark.parametrize("line", ['[{"text": "가"},', "{", "[", '{"id": 3,'])
def test_a_file_that_is_one_json_value_says_how_to_read_it(line: str) -> None:
    [found] = read("jsonl", line.encode())
    assert isinstance(found, Unreadable)
    assert found.problem.startswith("the file is one JSON ")
    assert (found.mend, found.ends) == ("read it as json.FIELD:GLOB", True)


def test_a_byte_order_mark_in_the_middle_is_of_another_file_that_was_glued_on() -> None:
    content = '\ufeff{"text": "가"}\n\ufeff{"text": "나"}\n'
    assert [item.text for item in read("jsonl", content.encode()) if isinstance(item, Document)] == ["가", "나"]


@pytest.mark.parametrize("name", CONTENT)
def test_an_empty_file_holds_nothing(name: str) -> None:
    assert read(name, b"") == []


class Endless(io.RawIOBase):
    """A file that begins with `head`, goes on with `repeated`, and counts the bytes taken."""

    def __init__(self, head: str, repeated: str) -> None:
        self._waiting, self._repeated, self.taken = head.encode(), repeated.encode(), 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while len(self._waiting) < len(buffer):
            self._waiting += self._repeated
        buffer[:] = self._waiting[: len(buffer)]
        self._waiting = self._waiting[len(buffer) :]
        self.taken += len(buffer)
        return len(buffer)


@pytest.mark.parametrize("name", CONTENT)
def test_readers_stream(name: str) -> None:
    """A reader takes bytes as its documents are asked for, so that a corpus never stands in memory."""
    endless = Endless(*ENDLESS.get(name, ("", CONTENT[name])))
    documents = reader_of(name)(io.BufferedReader(endless), "corpus", Source(name, "", name="source"))
    assert len([item for item in islice(documents, 50) if isinstance(item, Document)]) == 50
    assert endless.taken < 300_000


def test_globs_match_sorted_files_and_say_when_there_is_none(tmp_path: Path) -> None:
    for name in ("b.txt", "a.txt", "c.md", "odd[1].txt"):
        (tmp_path / name).write_text("글", encoding="utf-8")
    (tmp_path / "folder.txt").mkdir()
    (tmp_path / "link.txt").symlink_to(tmp_path / "a.txt")
    found = [Path(file.path).name for file in find_input_files(str(tmp_path / "*.txt"))]
    assert found == ["a.txt", "b.txt", "link.txt", "odd[1].txt"]
    assert [file.size for file in find_input_files(str(tmp_path / "odd[1].txt"))] == [3]
    with pytest.raises(InputError, match=r"nothing-\*\.txt: no such file; check the path or the glob"):
        find_input_files(str(tmp_path / "nothing-*.txt"))
    with pytest.raises(InputError, match="no such file"):
        find_input_files(str(tmp_path / "folder.txt"))


def test_a_changed_file_is_another_input(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("가", encoding="utf-8")
    [before] = find_input_files(str(path))
    path.write_text("나", encoding="utf-8")
    os.utime(path, ns=(1, 1))
    [after] = find_input_files(str(path))
    assert before != after
