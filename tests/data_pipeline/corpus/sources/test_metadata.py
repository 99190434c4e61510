"""Title, url and date of a record are kept, and nothing else that its source tells of it."""

import json
from pathlib import Path

import pytest

from data_pipeline.corpus.corpus_files import PartWriter, read_documents
from data_pipeline.corpus.document import NO_METADATA, Document, Metadata
from data_pipeline.recipe import Source
from data_pipeline.source_formats import read_source_file

XML = (
    "<mediawiki><page><title>제목 &amp;amp; 뜻</title><ns>0</ns><revision><timestamp>2020-01-02T03:04:05Z</timestamp>"
    "<contributor><username>홍길동</username></contributor><text>글이다.</text></revision></page></mediawiki>"
)
RECORDS = {
    "jsonl": ({"text": "글이다.", "title": " 제목\u200b &amp; 뜻 ", "url": "https://a.kr/1", "date": "2020-01-02", "author": "홍길동"}, "https://a.kr/1", "2020-01-02"),
    "lm_dataformat": ({"text": "글이다.", "meta": {"title": "제목 & 뜻", "url": "글", "created": "2020"}}, "", "2020"),
    "news": ({"title": "제목 & 뜻", "text": "글이다.", "publisher": "신문사", "date": 20200102}, "", ""),
    "petitions": ({"title": "제목 & 뜻", "content": "글이다.", "begin": "2020-01-02", "end": "2020-02-02", "num_agree": 3}, "", "2020-01-02"),
    "modu": ({"document": [{"id": "NWRW1", "metadata": {"title": "제목 & 뜻", "author": "홍길동", "date": "20200102"}, "paragraph": [{"form": "글이다."}]}]}, "", "20200102"),
    "namuwiki": ([{"namespace": "0", "title": "제목 & 뜻", "text": "글이다.", "contributors": ["홍길동"]}], "", ""),
    "wikipedia": (XML, "", "2020-01-02T03:04:05Z"),
    "kowikitext": (" = 제목 & 뜻 = \n\n글이다.\n", "", ""),
}  # fmt: skip
"""Format -> a file's content, and the url and date in it."""


@pytest.mark.parametrize("name", RECORDS)
def test_a_format_that_tells_them_has_them_kept(name: str, tmp_path: Path) -> None:
    content, url, day = RECORDS[name]
    path = tmp_path / "file"
    path.write_text(content if isinstance(content, str) else json.dumps(content, ensure_ascii=False), encoding="utf-8")
    [document] = [each for each in read_source_file(str(path), Source(name, str(path))) if isinstance(each, Document)]
    assert document.metadata == Metadata("제목 & 뜻", url, day)


@pytest.mark.parametrize(
    "record", [{"text": "글이다."}, {"text": "글이다.", "title": 3, "url": ["a"], "date": None, "meta": "x"}]
)
def test_what_tells_nothing_of_the_kind_has_none(record: dict[str, object], tmp_path: Path) -> None:
    path = tmp_path / "file.jsonl"
    path.write_text(json.dumps(record), encoding="utf-8")
    [document] = read_source_file(str(path), Source("jsonl", str(path)))
    assert isinstance(document, Document)
    assert document.metadata == NO_METADATA


def test_a_part_ends_where_it_did_without_metadata(tmp_path: Path) -> None:
    """Its size is counted without them: where parts end, rows end."""
    sizes = []
    for metadata in (NO_METADATA, Metadata("제목", "https://a.kr/1", "2020-01-02")):
        document = Document("a:1", "source", "글이다.", metadata=metadata)
        with PartWriter(tmp_path / "part.zst") as part:
            part.write_document(document)
            sizes.append(part.bytes)
        [again] = read_documents(str(tmp_path / "part.zst"))
        assert (again, again.metadata) == (document, metadata)
    assert sizes[0] == sizes[1]
