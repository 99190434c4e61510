"""A disk that fills up during prepare: one sentence, nothing trusted that is not whole, and the same bytes once there is room."""

import re
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from array_record.python.array_record_module import ArrayRecordReader
from harness import WORK_FAILED, Ran, SmallDisk, assert_only_whole, prepare_command, results, run_process, snapshot

from data_pipeline.contract.errors import WorkError
from data_pipeline.contract.records import bitmap
from data_pipeline.contract.write_records import Shard, write_shard

RunCommandLine = Callable[..., Ran]
MakeDisk = Callable[[str], SmallDisk]
FULL = "no space left on the disk; free some and run the same command again"
PAGE, RECORD_FILE = 4, 128
"""Kilobytes by which a disk grows after it was full; an ArrayRecord file takes 128 at once."""


def full_at(ran: Ran, disk: SmallDisk) -> str:
    """Where a command found the disk full, from the run folder on, without what differs from run to run."""
    place, separator, rest = ran.sentence(WORK_FAILED).partition(": ")
    assert (separator, rest) == (": ", FULL)
    assert place.startswith(str(disk.path))
    return re.sub(r"-[0-9a-f]{12}|\.[0-9a-f]{8}(?=/)", "", place.removeprefix(f"{disk.path}/"))


def fill_and_grow(run: RunCommandLine, disk: SmallDisk, *flags: object, until: str = "") -> list[str]:
    """Runs prepare on a disk that gets a page more after each failure, until it succeeds; returns where it was full."""
    places: list[str] = []
    kilobytes = PAGE
    while True:
        disk.resize(f"{kilobytes}k")
        ran = run(*prepare_command(*flags, run_dir=disk.path / "run"))
        if ran.code == 0:
            return places
        places.append(full_at(ran, disk))
        assert_only_whole(disk.path / "run")
        if until and places[-1].startswith(until):
            return places
        kilobytes += RECORD_FILE if places[-1].endswith(".array_record") else PAGE


def test_a_disk_that_fills_up_at_every_page_of_the_way_costs_nothing(
    workplace: Path, run_command_line: RunCommandLine, unbroken: Path, small_disk: MakeDisk
) -> None:
    disk = small_disk("4k")
    places = fill_and_grow(run_command_line, disk)
    for part in (
        "run/corpus/documents",
        "run/corpus/documents/done/jsonl-part-0.jsonl.json",
        "run/corpus/duplicates/data/000/later.npy",
        "run/corpus/signatures/data/jsonl-part-0.jsonl-00000/rows.npy",
        "run/corpus/near_duplicates/data/000/pairs.npy",
        "run/corpus/survivors/data/all/jsonl-part-1.jsonl-00000.npy",
        "run/corpus/sentences",
        "run/corpus/morphemes",
        "run/corpus/vocabulary",
        "run/corpus/records/data/jsonl-part-0.jsonl-00000/train-64.array_record",
        "run/corpus/records/done/jsonl-part-1.jsonl-00000.json",
        "run/vocabulary/tokenizer.json",
        "run/examples",
        "run/examples/header.json",
        "run/corpus/report.json",
        "run/manifest.json",
    ):
        assert part in places, "\n".join(places)
    assert results(disk.path / "run") == results(unbroken)


def test_records_stand_under_a_header_only_when_all_is_there(
    workplace: Path, run_command_line: RunCommandLine, unbroken: Path, small_disk: MakeDisk
) -> None:
    """At each page of the way a header is absent, or what stands beside it is what a run without failure leaves."""
    disk = small_disk("8m")
    examples = disk.path / "run" / "examples"
    run_command_line(*prepare_command(run_dir=disk.path / "run")).success()
    filler = disk.path / "filler"
    (examples / "header.json").unlink()
    filler.write_bytes(bytes(disk.free_bytes()))
    states = set()
    while (ran := run_command_line(*prepare_command(run_dir=disk.path / "run"))).code:
        full_at(ran, disk)
        has_header = (examples / "header.json").exists()
        states.add(has_header)
        assert not has_header or snapshot(examples) == snapshot(unbroken / "examples")
        filler.write_bytes(bytes(filler.stat().st_size - PAGE * 1024))
    assert False in states
    assert results(disk.path / "run") == results(unbroken)


def test_a_benchmark_index_that_does_not_fit_is_made_again(
    workplace: Path, run_command_line: RunCommandLine, small_disk: MakeDisk
) -> None:
    Path("benchmark.txt").write_text("평가용 자료에만 나오는 보라색 코끼리가 피아노를 연주한다.\n", encoding="utf-8")
    flags = ("--benchmark", "benchmark.txt")
    disk = small_disk("4k")
    places = fill_and_grow(run_command_line, disk, *flags, until="run/corpus/documents")
    for name in ("idf.npy", "records.npy", "index.json"):
        assert f"run/corpus/benchmarks/data/index/{name}" in places, places
    disk.resize("8m")
    for run_dir in (disk.path / "run", workplace / "never-failed"):
        run_command_line(*prepare_command(*flags, run_dir=run_dir)).success()
    assert results(disk.path / "run") == results(workplace / "never-failed")


@pytest.mark.parametrize("left", [0, 300])
def test_real_processes_on_a_full_disk(left: int, workplace: Path, unbroken: Path, small_disk: MakeDisk) -> None:
    """The command as a person runs it, with a pool of two workers; `left` kilobytes are free when it starts."""
    disk = small_disk("1m")
    filler = disk.path / "filler"
    filler.write_bytes(bytes(disk.free_bytes() - left * 1024))
    command = prepare_command(run_dir=disk.path / "run", workers=2)
    full_at(run_process(*command, cwd=workplace), disk)
    assert_only_whole(disk.path / "run")
    assert not (disk.path / "run" / "examples").exists()
    filler.unlink()
    run_process(*command, cwd=workplace).success()
    assert results(disk.path / "run") == results(unbroken)


def test_a_full_scratch_disk_cannot_cut_the_vocabulary(
    workplace: Path,
    run_command_line: RunCommandLine,
    unbroken: Path,
    small_disk: MakeDisk,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """sentencepiece writes its files short on a full disk and says nothing; so it gets none to write."""
    monkeypatch.setattr(tempfile, "tempdir", str(small_disk("8k").path))
    run_command_line(*prepare_command()).success()
    assert results(workplace / "run") == results(unbroken)


def test_no_record_is_lost_in_silence(small_disk: MakeDisk) -> None:
    """On a disk of any size a shard holds every record, or a WorkError names it."""
    length, rows = 512, 700
    random = np.random.default_rng(0)
    flags = bitmap(np.ones(length, bool))
    outcomes = set()
    disk = small_disk("4k")
    for number, kilobytes in enumerate(range(4, 1200, 60)):
        disk.resize(f"{kilobytes}k")
        path = disk.path / f"{number}.array_record"
        tokens = random.integers(5, 30_000, (rows, length)).astype(np.uint16)
        listed = ({"tokens": row, "word_starts": flags, "segment_starts": flags} for row in tokens)
        try:
            shard: Shard | WorkError = write_shard(path, "packed", length, "uint16", 0, listed)
        except WorkError as error:
            shard = error
        if isinstance(shard, WorkError):
            assert str(shard) == f"{path}: {FULL}"
        else:
            assert shard.rows == ArrayRecordReader(str(path)).num_records() == rows
            assert shard.bytes == path.stat().st_size > tokens.nbytes // 2
        outcomes.add(type(shard))
        path.unlink()
    assert outcomes == {Shard, WorkError}


def test_what_a_killed_write_left_behind_goes(
    workplace: Path, run_command_line: RunCommandLine, unbroken: Path
) -> None:
    run_command_line(*prepare_command()).success()
    for name in (
        ".manifest.json",
        "vocabulary/.vocab.txt",
        "examples/.header.json",
        "corpus/records/done/.000000.json",
    ):
        Path("run", f"{name}.0123abcd").write_bytes(b"{")
    run_command_line(*prepare_command()).success()
    assert_only_whole(Path("run"))
    assert results(Path("run")) == results(unbroken)
