"""Parquet and Arrow files are read batch by batch, and only the column that is asked for."""

import io
from itertools import islice
from pathlib import Path

import pyarrow
import pyarrow.ipc
import pyarrow.parquet
import pytest

from data_pipeline.corpus.document import Document
from data_pipeline.corpus.sources.lines import Unreadable
from data_pipeline.recipe import Source
from data_pipeline.source_formats import read_source_file, reader_of


def written(columns: dict[str, list[object]], rows_per_group: int = 1000) -> bytes:
    stream = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(columns), stream, row_group_size=rows_per_group)
    return stream.getvalue()


def read(content: bytes, text_field: str = "text") -> list[Document | Unreadable]:
    source = Source("parquet", "", name="source", text_field=text_field)
    return list(reader_of("parquet")(io.BytesIO(content), "a.parquet", source))


def test_every_row_of_every_group_is_a_document_with_its_number() -> None:
    texts = [f"{number}번째 글이다." for number in range(2500)]
    found = read(written({"id": [*range(2500)], "body": [*texts]}), text_field="body")
    assert found == [Document(f"a.parquet:record {number}", "source", text) for number, text in enumerate(texts, 1)]


def test_rows_without_text_are_named() -> None:
    found = read(written({"text": ["글", None]}))
    assert found[1] == Unreadable("a.parquet:record 2", 'field "text" is not text but NoneType')


def test_a_missing_column_says_which_there_are() -> None:
    found = read(written({"id": [1, 2], "body": ["가", "나"]}))
    problem = 'field "text" is missing (found: id, body)'
    assert found == [Unreadable(f"a.parquet:record {number}", problem) for number in (1, 2)]


@pytest.mark.parametrize("content", [b"", b"PAR1, not really", written({"text": ["글"]})[:-1]])
def test_what_is_no_parquet_says_so(content: bytes) -> None:
    [found] = read(content)
    assert isinstance(found, Unreadable)
    assert found.problem.startswith("damaged, or of another format, and cannot be read on from here (")


def test_a_damaged_page_is_a_damaged_file(tmp_path: Path) -> None:
    content = bytearray(written({"text": [f"{number}번째 글이다." for number in range(5000)]}))
    content[100:400] = b"\xff" * 300
    path = tmp_path / "a.parquet"
    path.write_bytes(content)
    [bad] = read_source_file(str(path), Source("parquet", ""))
    assert isinstance(bad, Unreadable)
    assert bad.location == "a.parquet:record 1"
    assert bad.problem.startswith("damaged, or of another format, and cannot be read on from here (")
    assert bad.ends


def test_a_reader_takes_row_groups_as_its_documents_are_asked_for() -> None:
    content = written({"text": [f"{number} {number * 7919}" for number in range(50_000)], "other": ["x"] * 50_000}, 500)

    class Counted(io.BytesIO):
        taken = 0

        def read(self, size: int | None = -1) -> bytes:
            data = super().read(size)
            self.taken += len(data)
            return data

    stream = Counted(content)
    documents = reader_of("parquet")(stream, "a.parquet", Source("parquet", ""))
    assert len(list(islice(documents, 50))) == 50
    assert stream.taken < len(content) / 2


def saved_dataset(columns: dict[str, list[object]], rows_per_batch: int = 1000) -> bytes:
    """A file as `datasets.Dataset.save_to_disk` writes it: an Arrow stream."""
    stream = io.BytesIO()
    table = pyarrow.table(columns)
    with pyarrow.ipc.new_stream(stream, table.schema) as writer:
        writer.write_table(table, max_chunksize=rows_per_batch)
    return stream.getvalue()


def read_arrow(content: bytes) -> list[Document | Unreadable]:
    return list(reader_of("arrow")(io.BytesIO(content), "data.arrow", Source("arrow", "", name="source")))


def test_every_row_of_a_saved_dataset_is_a_document() -> None:
    texts = [f"{number}번째 글이다." for number in range(2500)]
    found = read_arrow(saved_dataset({"id": [*range(2500)], "text": [*texts]}))
    assert found == [Document(f"data.arrow:record {number}", "source", text) for number, text in enumerate(texts, 1)]


def test_a_saved_dataset_that_breaks_off_is_a_damaged_file(tmp_path: Path) -> None:
    path = tmp_path / "data.arrow"
    content = saved_dataset({"text": [f"{number}번째 글이다." for number in range(2500)]}, 500)
    path.write_bytes(content[: len(content) // 2])
    *whole, cut = read_source_file(str(path), Source("arrow", ""))
    assert len(whole) % 500 == 0
    assert isinstance(cut, Unreadable)
    assert cut.location == f"data.arrow:record {len(whole) + 1}"
    assert "cannot be read on from here (Expected to be able to read" in cut.problem
    assert 0 < cut.unread < path.stat().st_size
    path.write_bytes(b"no table" * 100)
    [bad] = read_source_file(str(path), Source("arrow", ""))
    assert isinstance(bad, Unreadable)


def test_a_saved_dataset_without_the_column_says_which_there_are() -> None:
    [found] = read_arrow(saved_dataset({"id": [1], "body": ["가"]}))
    assert found == Unreadable("data.arrow:record 1", 'field "text" is missing (found: id, body)')
