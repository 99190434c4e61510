"""The sample comes from everywhere, is the same every time, holds nothing twice, and reads little of what is large."""

import gzip
import json
import lzma
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_pipeline.contract import storage
from data_pipeline.dry_run import sample
from data_pipeline.dry_run.sample import Sample, draw
from data_pipeline.recipe import Source


def lines(first: int, number: int, width: int = 40) -> bytes:
    return b"".join(f"{index:08d} {'가나다 ' * (width // 10)}\n".encode() for index in range(first, first + number))


def numbers(drawn: Sample) -> list[int]:
    return [int(document.text[:8]) for document in drawn.documents]


def test_every_stretch_of_every_file_gives_documents(tmp_path: Path) -> None:
    for file in range(4):
        (tmp_path / f"{file}.txt").write_bytes(lines(file * 20_000, 20_000, 50))
    [drawn] = draw([Source("lines", str(tmp_path / "*.txt"), name="s")], 640)
    found = numbers(drawn)
    assert len(found) == 640
    assert len(set(found)) == 640
    assert found == sorted(found)
    assert {number // 1250 for number in found} == set(range(64))
    assert drawn.factor == pytest.approx(80_000 / 640, rel=0.01)
    assert numbers(draw([drawn.source], 640)[0]) == found


def test_little_of_a_large_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "large.txt"
    path.write_bytes(lines(0, 400_000))
    read = 0

    class Counting:
        def seekable(self) -> bool:
            return True

        def __init__(self, stream: Any) -> None:
            self.stream, self.seek = stream, stream.seek

        def read(self, size: int) -> bytes:
            nonlocal read
            content: bytes = self.stream.read(size)
            read += len(content)
            return content

    class Opened:
        def __init__(self, path: str, mode: str) -> None:
            self.file = open(path, mode)  # noqa: SIM115 (closed by __exit__)

        def __enter__(self) -> Counting:
            return Counting(self.file)

        def __exit__(self, *_: object) -> None:
            self.file.close()

    monkeypatch.setattr(storage.fsspec, "open", Opened)
    [drawn] = draw([Source("lines", str(path), name="s")], 1000)
    assert len(drawn.documents) == 1000
    assert path.stat().st_size == 20_000_000
    assert 0 < read < path.stat().st_size / 2


def test_every_one_of_many_small_files_gives_documents(tmp_path: Path) -> None:
    for file in range(300):
        (tmp_path / f"{file:03d}.txt").write_bytes(lines(file * 10, 10))
    [drawn] = draw([Source("lines", str(tmp_path / "*.txt"), name="s")], 600)
    assert {number // 10 for number in numbers(drawn)} == set(range(300))
    assert len(drawn.documents) == 600
    assert drawn.documents[2].id == "001.txt:1"


def test_sources_share_the_sample_by_their_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(lines(0, 9000))
    (tmp_path / "b.txt").write_bytes(lines(0, 1000))
    drawn = draw([Source("lines", str(tmp_path / f"{name}.txt"), name=name) for name in "ab"], 100)
    assert [len(each.documents) for each in drawn] == [90, 10]


@pytest.mark.parametrize("ending", ["gz", "xz", "zst"])
def test_compressed_files_project_by_their_ratio(tmp_path: Path, ending: str) -> None:
    import zstandard

    compress = {"gz": gzip.compress, "xz": lzma.compress, "zst": zstandard.compress}[ending]
    (tmp_path / f"a.{ending}").write_bytes(compress(lines(0, 20_000)))
    [drawn] = draw([Source("lines", str(tmp_path / f"a.{ending}"), name="s")], 500)
    assert len(drawn.documents) == 500
    assert numbers(drawn)[-1] > 18_000
    assert drawn.factor == pytest.approx(40, rel=0.02)


def test_only_the_beginning_of_a_large_compressed_file_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Large beside what Python 3.12's gzip reads ahead, 128 KiB, which counts as unpacked.
    monkeypatch.setattr(sample, "PREFIX_BYTES", 2_000_000)
    content = b"".join(
        json.dumps({"text": f"{n:08d} {n * n * 7919 % 10**12:012d}"}).encode() + b"\n" for n in range(300_000)
    )
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(content))
    [drawn] = draw([Source("jsonl", str(tmp_path / "a.jsonl.gz"), name="s")], 500)
    assert len(drawn.documents) == 500
    assert max(numbers(drawn)) < 2_000_000 / (len(content) / 300_000) + 1
    assert drawn.factor == pytest.approx(600, rel=0.25)


def test_formats_without_lines_give_their_first_documents(tmp_path: Path) -> None:
    rows = "".join(f'{n},"{n:08d} line one\nline two"\n' for n in range(3000))
    (tmp_path / "a.csv").write_text("id,text\n" + rows, encoding="utf-8")
    [drawn] = draw([Source("csv", str(tmp_path / "a.csv"), name="s")], 100)
    assert numbers(drawn) == list(range(100))
    [everything] = draw([Source("csv", str(tmp_path / "a.csv"), name="s")], 5000)
    assert len(everything.documents) == 3000
    assert everything.factor == 1


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.text("가나다라 a\r", min_size=1, max_size=12), min_size=1, max_size=4), max_size=30),
    st.integers(1, 40),
    st.sampled_from(["\n", " \n", "\r\n"]),
)
def test_blocks_are_never_cut_or_taken_twice(
    tmp_path_factory: pytest.TempPathFactory, blocks: list[list[str]], number: int, blank: str
) -> None:
    path = tmp_path_factory.mktemp("blocks") / "a.txt"
    texts = [[f"{index}:{line}" for line in block] for index, block in enumerate(blocks)]
    path.write_bytes(blank.join("".join(f"{line}\n" for line in block) for block in texts).encode())
    source = Source("text", str(path), name="s")
    whole = draw([source], 1_000_000)[0].documents
    assert len(whole) == len(blocks)
    drawn = [document.text for document in draw([source], number)[0].documents]
    every = [document.text for document in whole]
    assert [text for text in every if text in drawn] == drawn
    assert len(drawn) <= number
