"""Mistakes in the text: each is one sentence that names the place and the mend, and costs nothing once mended."""

import bz2
import gzip
import json
import lzma
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from harness import (
    WRONG_INPUT,
    Mistake,
    assert_only_whole,
    documents,
    prepare_command,
    results,
    run_process,
    write_json_lines,
)

PART = Path("corpus/part-1.jsonl")
HERE = r"/.*/\w+/corpus"
BUDGET = r"or allow more than 0 bad records with --data\.max-bad-records"
MEND_LINE = rf"mend the file, read another field with --source jsonl\.FIELD:GLOB, {BUDGET}"
COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "zst": zstandard.compress,
}  # fmt: skip


def spoiled_line(line: bytes) -> Callable[[], None]:
    """Puts a line behind the 24 good ones of the second file."""
    return lambda: PART.write_bytes(PART.read_bytes() + line + b"\n")


def write_texts(texts: list[str]) -> None:
    for path in Path("corpus").iterdir():
        path.unlink()
    write_json_lines(PART, texts)


def write_compressed(ending: str, content: Callable[[bytes], bytes]) -> Callable[[], object]:
    """Replaces the corpus by one compressed file: of `content`, given the text."""

    def write() -> None:
        write_texts(documents(48))
        text = PART.read_bytes()
        PART.unlink()
        Path(f"corpus/all.jsonl.{ending}").write_bytes(content(text))

    return write


def empty_files() -> None:
    for path in Path("corpus").iterdir():
        path.write_bytes(b"")


MISTAKES = [
    Mistake(
        "a source that is missing",
        r"nowhere\.jsonl: no such file; check the path or the glob of --source or of the recipe",
        flags=("--source", "jsonl:nowhere.jsonl"),
        mend=lambda: write_json_lines(Path("nowhere.jsonl"), documents(48)),
        early=True,
    ),
    Mistake(
        "a glob that matches nothing",
        r"corpora/\*\.jsonl: no such file; check the path or the glob of --source or of the recipe",
        flags=("--source", "jsonl:corpora/*.jsonl"),
        mend=lambda: write_json_lines(Path("corpora/a.jsonl"), documents(48)),
        early=True,
    ),
    Mistake(
        "a folder as a source",
        r"corpus: no such file, only a folder; name its files, as in corpus/\*",
        flags=("--source", "jsonl:corpus"),
        mended_flags=("--source", "jsonl:corpus/*"),
        early=True,
    ),
    Mistake(
        "a source flag without a source",
        r"--source FORMAT:GLOB: its value is missing; leave the flag out to take what the recipe says",
        flags=("--source",),
        mended_flags=(),
        early=True,
    ),
    Mistake(
        "a source of an unknown format",
        r"--source xls:corpus/\*: expected FORMAT:GLOB with FORMAT one of text, lines, jsonl, .*, or FORMAT\.FIELD:GLOB with FORMAT one of jsonl, .*",
        flags=("--source", "xls:corpus/*"),
        mended_flags=("--source", "jsonl:corpus/*"),
        early=True,
    ),
    Mistake(
        "a file system that wants a package",
        r"s3://bucket/a: cannot be reached \(.*s3fs.*\); see to the address and the network, install what is missing, or copy .*",
        flags=("--source", "text:s3://bucket/a"),
        mended_flags=(),
        early=True,
    ),
    Mistake(
        "files without any text",
        r"no document in corpus/\*\.jsonl: 0 records; give files with text in them",
        make=empty_files,
    ),
    Mistake(
        "documents that are all empty",
        r'no document in corpus/\*\.jsonl: 1 records, dropped by source and reason: \{"jsonl": \{"empty after cleaning": 1\}\}; '
        r"give files with text in them",
        make=lambda: write_texts(["<br> &nbsp;"]),
    ),
    Mistake(
        "a text without any Korean",
        r'no document is left to train on; dropped by source and reason: \{"jsonl": \{"not Korean": 2, "too short": 1\}\}; '
        r"give Korean text, or loosen the rules under --data\.korean, --data\.long-words, --data\.length and --data\.evaluation-fraction",
        make=lambda: write_texts(["Nothing here is Korean.", "Nor is this one, alas.", "네."]),
    ),
    Mistake(
        "bytes that are not UTF-8",
        rf"{HERE}/part-1\.jsonl:25: not UTF-8 \(byte 0xff at column 11\); {MEND_LINE}",
        make=spoiled_line(b'{"text": "\xff\xfe"}'),
    ),
    Mistake(
        "JSON that is not JSON",
        rf"{HERE}/part-1\.jsonl:25: not JSON \(Expecting value: line 1 column 10 \(char 9\)\); {MEND_LINE}",
        make=spoiled_line(b'{"text": '),
    ),
    Mistake(
        "JSON without the field",
        rf'{HERE}/part-1\.jsonl:25: field "text" is missing \(found: title, body\); {MEND_LINE}',
        make=spoiled_line(b'{"title": "a", "body": "b"}'),
    ),
    Mistake(
        "a field that is no text",
        rf'{HERE}/part-1\.jsonl:25: field "text" is not text but int; {MEND_LINE}',
        make=spoiled_line(b'{"text": 3}'),
    ),
    Mistake(
        "a line that is no object",
        rf"{HERE}/part-1\.jsonl:25: not a JSON object but list; {MEND_LINE}",
        make=spoiled_line(b'["text"]'),
    ),
    *(
        Mistake(
            f"a .{ending} file that is cut",
            rf"{HERE}/all\.jsonl\.{ending}: cannot be decompressed \(.+\); fetch it again(, or keep what stands before it with --data\.read-up-to-damage)?",
            flags=("--source", "jsonl:corpus/*"),
            make=write_compressed(ending, lambda text, compress=compress: compress(text)[:-9]),
            mend=write_compressed(ending, compress),
        )
        for ending, compress in COMPRESS.items()
    ),
    *(
        Mistake(
            f"plain text that is called .{ending}",
            rf"{HERE}/all\.jsonl\.{ending}: cannot be decompressed \(.+\); fetch it again(, or keep what stands before it with --data\.read-up-to-damage)?",
            flags=("--source", "jsonl:corpus/*"),
            make=write_compressed(ending, lambda text: text),
            mend=write_compressed(ending, compress),
        )
        for ending, compress in COMPRESS.items()
    ),
]


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_a_mistake_in_the_text_is_one_sentence_and_costs_nothing(
    mistake: Mistake, make_and_mend: Callable[[Mistake], None]
) -> None:
    make_and_mend(mistake)


def benchmark(content: bytes, name: str = "tests/a.txt") -> Callable[[], object]:
    """Makes the folder of benchmarks anew, with one file."""

    def write() -> None:
        path = Path(name)
        path.parent.mkdir(exist_ok=True)
        for other in path.parent.iterdir():
            other.unlink()
        path.write_bytes(content)

    return write


GOOD_BENCHMARK = benchmark("평가용 자료에만 나오는 보라색 코끼리가 피아노를 연주한다.\n".encode())
WHERE = r"--benchmark or --data\.decontamination\.benchmarks"
BENCHMARKS = [
    ("a benchmark that is missing", rf"tests: no such benchmark file or folder; check {WHERE}", lambda: None),
    ("a benchmark folder without files", rf"tests: no benchmark file in this folder; check {WHERE}", lambda: Path("tests").mkdir()),
    (
        "a benchmark of an unknown format",
        r'/.*/tests/a\.csv: unknown benchmark format \(first line "a;b"\); known are KorSTS, .*KorQuAD.*, CoNLL-U, plain text '
        rf"\(\.txt\), one sentence a line; convert the file, or take it out of {WHERE}",
        benchmark(b"a;b\n1;2\n", "tests/a.csv"),
    ),
    (
        "a benchmark without content",
        rf"/.*/tests/a\.txt: the file is empty; restore it, or take it out of {WHERE}",
        benchmark(b""),
    ),
    (
        "a benchmark that is cut",
        r"/.*/tests/a\.txt\.gz: cannot be decompressed \(.+\); fetch it again",
        benchmark(gzip.compress("보라색 코끼리\n".encode() * 99)[:-9], "tests/a.txt.gz"),
    ),
    (
        "a benchmark that is not UTF-8",
        r"/.*/tests/a\.txt:2: not UTF-8 \(invalid start byte\); convert the file to UTF-8",
        benchmark(b"abc\n\xff\n"),
    ),
    (
        "a benchmark of broken JSON",
        r"/.*/tests/a\.json:1: not readable as JSON \(.+\); restore the file",
        benchmark(json.dumps({"data": [1]}).encode()[:-2], "tests/a.json"),
    ),
    (
        "a benchmark of too short texts",
        rf"the benchmarks hold no text of 12 letters and digits or more; check {WHERE}",
        benchmark("네.\n".encode()),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("name", "message", "make"), BENCHMARKS, ids=[name for name, _, _ in BENCHMARKS])
def test_a_wrong_benchmark_is_found_before_the_corpus_is_read(
    name: str, message: str, make: Callable[[], object], make_and_mend: Callable[[Mistake], None], workplace: Path
) -> None:
    def mend() -> None:
        assert not (workplace / "run" / "corpus" / "documents").exists()
        for path in Path("tests").glob("*"):
            path.unlink()
        GOOD_BENCHMARK()

    make_and_mend(Mistake(name, message, make, mend, flags=("--benchmark", "tests")))


def test_an_empty_file_among_others_is_told_and_loses_nothing(workplace: Path, unbroken: Path) -> None:
    Path("corpus/part-2.jsonl").write_bytes(b"")
    ran = run_process(*prepare_command(), cwd=workplace).success()
    assert f"files without a record: {workplace}/corpus/part-2.jsonl\n" in ran.error
    parts = {name: digest for name, digest in results(workplace / "run").items() if name.startswith("vocabulary/vocab")}
    assert parts.items() <= results(unbroken).items()
    assert "48 documents" in ran.error


def test_a_pool_of_processes_tells_one_mistake_and_keeps_what_is_done(workplace: Path, unbroken: Path) -> None:
    """Both files are wrong, and are read at the same time."""
    good = {path: path.read_bytes() for path in Path("corpus").iterdir()}
    for path, content in good.items():
        path.write_bytes(content + b'{"text": "\xff"}\n')
    sentence = run_process(*prepare_command(workers=2), cwd=workplace).sentence(WRONG_INPUT)
    assert re.fullmatch(rf"{HERE}/part-[01]\.jsonl:25: not UTF-8 .*", sentence), sentence
    assert_only_whole(workplace / "run")
    for path, content in good.items():
        path.write_bytes(content)
    run_process(*prepare_command(workers=2), cwd=workplace).success()
    assert results(workplace / "run") == results(unbroken)
