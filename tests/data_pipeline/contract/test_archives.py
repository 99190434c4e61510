"""Zip archives are read member by member, every other archive is refused by one sentence, and no compression is guessed."""

import bz2
import gzip
import io
import json
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.storage import damage_named, find_input_files, name_of, open_input
from data_pipeline.corpus.document import Document
from data_pipeline.corpus.sources.lines import Unreadable
from data_pipeline.recipe import Source
from data_pipeline.source_formats import read_source_file


def zipped(path: Path, members: dict[str, bytes | str], **options: int) -> Path:
    with zipfile.ZipFile(path, "w", **options) as archive:  # type: ignore[arg-type]
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def read(glob: str | Path, format_name: str = "lines") -> list[tuple[str, str]]:
    source = Source(format_name, str(glob), name="s")
    items = [item for file in find_input_files(str(glob)) for item in read_source_file(file.path, source)]
    assert all(isinstance(item, Document) for item in items), items
    return [(item.id, item.text) for item in items if isinstance(item, Document)]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
@pytest.mark.parametrize("name", ["a.zip", "a.ZIP", "[2020] a.zip"])
def test_every_member_is_read_in_order(method: int, name: str, tmp_path: Path) -> None:
    members: dict[str, bytes | str] = {
        "folder/": "",
        "folder/나.txt": "둘째 글\n",
        "가.txt": "첫 글\n또 첫 글\n",
        "다.txt.gz": gzip.compress("셋째 글\n".encode()),
        "__MACOSX/folder/._나.txt": b"\0\5\x16\7\0\2\0\0Mac OS X",
        ".DS_Store": b"\0\0\0\1Bud1",
    }
    path = zipped(tmp_path / name, members, compression=method)
    assert read(path) == [
        (f"{name}!folder/나.txt:1", "둘째 글"),
        (f"{name}!가.txt:1", "첫 글"),
        (f"{name}!가.txt:2", "또 첫 글"),
        (f"{name}!다.txt.gz:1", "셋째 글"),
    ]


def test_a_pattern_chooses_members(tmp_path: Path) -> None:
    zipped(tmp_path / "a.zip", {"설명.pdf": b"%PDF-1.4", "가.txt": "글\n", "x/나.txt": "글글\n"})
    with pytest.raises(InputError, match=r"a\.zip!설명\.pdf: is a PDF document, not text"):
        read(tmp_path / "a.zip")
    assert [place for place, _ in read(tmp_path / "a.zip!*.txt")] == ["a.zip!x/나.txt:1", "a.zip!가.txt:1"]
    assert [place for place, _ in read(tmp_path / "a.zip!x/나.txt")] == ["a.zip!x/나.txt:1"]
    with pytest.raises(InputError, match=r"a\.zip: holds no file that matches \*\.json; name another"):
        read(tmp_path / "a.zip!*.json")


def test_names_of_members_are_read_as_windows_wrote_them(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"xxxx.txt": "글\n"})
    path.write_bytes(path.read_bytes().replace(b"xxxx.txt", "신문".encode("cp949") + b".txt"))
    assert read(path) == [("a.zip!신문.txt:1", "글")]


def test_a_member_is_known_again_by_its_bytes(tmp_path: Path) -> None:
    [before] = find_input_files(str(zipped(tmp_path / "a.zip", {"가.txt": "글\n"})))
    [same] = find_input_files(str(zipped(tmp_path / "a.zip", {"가.txt": "글\n"}, compression=zipfile.ZIP_DEFLATED)))
    [other] = find_input_files(str(zipped(tmp_path / "a.zip", {"가.txt": "말\n"})))
    assert before == same != other


def test_a_file_whose_name_looks_like_a_member_is_itself(tmp_path: Path) -> None:
    (tmp_path / "a.zip!b.txt").write_text("글\n", encoding="utf-8")
    assert read(tmp_path / "a.zip!b.txt") == [("a.zip!b.txt:1", "글")]
    assert name_of(str(tmp_path / "a.zip!b.txt")) == "a.zip!b.txt"


def encrypted(path: Path) -> None:
    zipped(path, {"가.txt": "글\n"})
    content = bytearray(path.read_bytes())
    content[6] |= 1
    content[content.index(b"PK\1\2") + 8] |= 1
    path.write_bytes(content)


def by_deflate64(path: Path) -> None:
    zipped(path, {"가.txt": "글\n"})
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\1\2") + 10] = 9
    path.write_bytes(content)


def cut(path: Path) -> None:
    zipped(path, {"가.txt": "글\n" * 100})
    path.write_bytes(path.read_bytes()[:100])


def twice(path: Path) -> None:
    zipped(path, {"가.txt": "글\n", "나.txt": "글글\n"})
    path.write_bytes(path.read_bytes().replace("나.txt".encode(), "가.txt".encode()))


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (encrypted, r"a\.zip!가\.txt: is encrypted with a password; unpack the archive and name its files"),
        (by_deflate64, r"a\.zip!가\.txt: is compressed by method 9 of zip, which is not read; unpack the archive"),
        (cut, r"a\.zip: not readable as a zip archive \(.+\); fetch it again"),
        (twice, r"a\.zip: holds two files named 가\.txt; unpack it and name its files"),
        (lambda path: zipped(path, {}), r"a\.zip: holds no file; name another"),
        (lambda path: zipped(path, {"b.zip": "x"}), r"a\.zip!b\.zip: is an archive inside another; unpack .*a\.zip"),
        (lambda path: zipped(path, {"b.tar": "x"}), r"a\.zip!b\.tar: is a \.tar archive, which is not read; unpack it"),
    ],
)
def test_an_archive_that_cannot_be_read_is_named(make: Callable[[Path], object], problem: str, tmp_path: Path) -> None:
    make(tmp_path / "a.zip")
    with pytest.raises(InputError, match=problem):
        find_input_files(str(tmp_path / "*.zip"))


def test_a_member_that_is_damaged_is_named(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"가.txt": "한 줄\n" * 50})
    path.write_bytes(path.read_bytes().replace("한 줄\n".encode(), "두 줄\n".encode(), 1))
    [file] = find_input_files(str(path))
    *_, last = read_source_file(file.path, Source("lines", "", name="s"))
    assert last == Unreadable(
        "a.zip!가.txt", "cannot be decompressed (Bad CRC-32 for file '가.txt')", "fetch it again", ends=True
    )


def tar(mode: str) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode=mode) as archive:  # type: ignore[call-overload]
        member = tarfile.TarInfo("가.txt")
        member.size = 4
        archive.addfile(member, io.BytesIO("글\n".encode()))
    return content.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.tar", tar("w"), "is a .tar archive, which is not read; unpack it (tar -xf a.tar) and name its files"),
        ("a.tar.gz", tar("w:gz"), "is a .tar archive, which is not read; unpack it (tar -xf a.tar.gz)"),
        ("a.TGZ", tar("w:gz"), "is a .tgz archive, which is not read; unpack it (tar -xf a.TGZ)"),
        ("a.gz", tar("w:gz"), "is a tar archive, which is not read; unpack it (tar -xf a.gz)"),
        ("a.txt", tar("w"), "is a tar archive, which is not read; unpack it (tar -xf a.txt)"),
        ("a.alz", b"ALZ\x01", "is a .alz archive, which is not read; unpack it (unalz a.alz)"),
        ("a.txt", b"EGGA\0\1", "is an EGG archive, which is not read; unpack it (unegg a.txt)"),
        ("a.lz4", b"\x04\x22\x4d\x18", ".lz4 is not read; decompress it, or compress it as .gz, .xz, .bz2, .zst"),
        ("a.txt", gzip.compress(b"x"), "holds gzip data, but its name does not end with .gz; rename it"),
        ("a.gz", gzip.compress(gzip.compress(b"x")), "holds gzip data inside another compression; decompress it once"),
        ("a.zst", zstandard.compress(lzma.compress(b"x")), "holds xz data inside another compression"),
        ("a.txt", zipfile.ZipFile, "is a zip archive, but its name does not end with .zip; rename it"),
        ("a.xlsx", zipfile.ZipFile, "is an office document, not text; save its text as a text file"),
        ("a.hwp", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "is a Hangul, Word or Excel document, not text; save its text"),
    ],
    ids=lambda value: value if isinstance(value, str) else "content",  # gzip headers hold the time
)
def test_what_is_no_text_is_told_by_name_or_content(name: str, content: object, problem: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        zipped(path, {"가.txt": "글\n"})
    with pytest.raises(InputError) as told:
        read(path)
    assert str(told.value).startswith(f"{path}: {problem}")


@pytest.mark.parametrize(
    ("ending", "compress"),
    [(".GZ", gzip.compress), (".Xz", lzma.compress), (".BZ2", bz2.compress), (".ZST", zstandard.compress)],
)
def test_endings_in_capitals_are_endings(ending: str, compress: Callable[[bytes], bytes], tmp_path: Path) -> None:
    path = tmp_path / f"UP.JSONL{ending}"
    path.write_bytes(compress(json.dumps({"text": "글"}).encode()))
    assert read(path, "jsonl") == [(f"UP.JSONL{ending}:1", "글")]


@pytest.mark.parametrize(
    ("ending", "compress"),
    [(".gz", gzip.compress), (".xz", lzma.compress), (".bz2", bz2.compress), (".zst", zstandard.compress)],
)
def test_what_follows_a_whole_stream_is_never_passed_over(
    ending: str, compress: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    """Python's readers of xz and bzip2 end in silence at a second stream that is damaged."""
    whole = compress(b"first\n")
    second = bytearray(compress(b"second\n"))
    second[1] ^= 0xFF
    path = tmp_path / f"a.txt{ending}"
    path.write_bytes(whole + bytes(second))
    with pytest.raises(InputError, match="cannot be decompressed"), damage_named(path), open_input(str(path)) as stream:
        stream.read()
    padded = whole + bytes(8) if ending in (".gz", ".xz") else whole
    path.write_bytes(padded)
    with open_input(str(path)) as stream:
        assert stream.read() == b"first\n"
