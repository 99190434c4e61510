"""Records come back as they were written, any TFDS reader opens them, and unfinished ones are refused."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from array_record.python.array_record_module import ArrayRecordReader
from tensorflow_datasets.proto import tf_example_pb2

from data_pipeline.contract import write_records
from data_pipeline.contract.errors import InputError, WorkError
from data_pipeline.contract.record_bytes import serialised
from data_pipeline.contract.records import (
    HEADER,
    PAIRS,
    Layout,
    Records,
    RecordsHeader,
    bitmap,
    features,
    from_bitmap,
    header_from_plain,
    read_header,
    row_fields,
    source_names,
)
from data_pipeline.contract.write_records import NAME, Shard, is_published, publish, withdraw, write_shard

LENGTH, TARGET_LENGTH = 16, 24
LAYOUTS: tuple[Layout, ...] = get_args(Layout)
Row = dict[str, np.ndarray]


def target_length(layout: Layout) -> int:
    return TARGET_LENGTH if layout == "source_target" else 0


def make_rows(number: int, layout: Layout, dtype: str = "uint16", seed: int = 0) -> list[Row]:
    random = np.random.default_rng(seed)
    rows = []
    for index in range(number):
        tokens = random.integers(5, 60_000, LENGTH).astype(dtype)
        tokens[LENGTH - index % 4 :] = 0
        row = {name: bitmap(random.random(LENGTH) < 0.3) for name in ("word_starts", "segment_starts")}
        rows.append({"tokens": tokens, **row})
        if layout in PAIRS:
            rows[-1]["label"] = np.array(index % 2, np.uint8)
        if layout == "source_target":
            rows[-1]["target_tokens"] = random.integers(0, 60_000, TARGET_LENGTH).astype(dtype)
            rows[-1]["target_word_starts"] = bitmap(random.random(TARGET_LENGTH) < 0.3)
    return rows


def make_header(layout: Layout, rows: dict[str, int], dtype: str = "uint16") -> RecordsHeader:
    return RecordsHeader(
        layout=layout, length=LENGTH, vocabulary_size=60_000, token_dtype=dtype, pad_id=0, unk_id=1, cls_id=2, sep_id=3,
        mask_id=4, reserved_ids=(0, 1, 2, 3, 4), word_unit="token", tokenizer_sha256="t", rows=rows,
        tokens=dict.fromkeys(rows, 1), fingerprint="f", target_length=target_length(layout),
    )  # fmt: skip


def write(
    folder: Path, rows: list[Row], layout: Layout = "packed", dtype: str = "uint16", shards: int = 2
) -> RecordsHeader:
    written: dict[str, list[tuple[Path, Shard]]] = {"train": []}
    folder.mkdir(parents=True, exist_ok=True)
    for index, part in enumerate(np.array_split(np.arange(len(rows)), shards)):
        path = folder.parent / f"shard-{index}.array_record"
        shard = write_shard(path, layout, LENGTH, dtype, 0, [rows[row] for row in part], target_length(layout))
        written["train"].append((path, shard))
    header = make_header(layout, {"train": len(rows)}, dtype)
    publish(folder, written, header)
    return header


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["uint16", "uint32"])
def test_rows_come_back_as_written(tmp_path: Path, layout: Layout, dtype: str) -> None:
    rows = make_rows(11, layout, dtype)
    header = write(tmp_path / "examples", rows, layout, dtype)
    records = Records(tmp_path / "examples", "train")
    assert (len(records), records.header) == (11, header)
    order = [10, 0, 5, 5, 6]
    read = records.read(order)
    assert set(read) == set(rows[0])
    for name, values in read.items():
        assert values.dtype == rows[0][name].dtype
        assert np.array_equal(values, np.stack([rows[index][name] for index in order]))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["uint16", "uint32"])
def test_row_fields_are_those_of_the_tfds_features_and_of_the_rows_read(
    tmp_path: Path, layout: Layout, dtype: str
) -> None:
    header = write(tmp_path / "examples", make_rows(4, layout, dtype), layout, dtype)
    fields = {name: (field.shape, field.dtype) for name, field in row_fields(header).items()}
    declared = features(layout, LENGTH, dtype, target_length(layout))
    assert fields == {name: (feature.shape, np.dtype(feature.np_dtype)) for name, feature in declared.items()}
    records = Records(tmp_path / "examples", "train")
    read = records.read(range(4))
    assert list(records.row_fields) == list(read) == list(fields)
    assert fields == {name: (values.shape[1:], values.dtype) for name, values in read.items()}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_row_fields_are_a_row_of_padding(layout: Layout) -> None:
    fields = dict(row_fields(replace(make_header(layout, {"train": 1}), pad_id=7)))
    assert fields.pop("segment_starts").tolist() == [1, *[0] * (LENGTH // 8 - 1)]
    for name, field in fields.items():
        assert (field == (7 if name.endswith("tokens") else 0)).all()
    of_layout = {"label"} if layout in PAIRS else {"target_tokens", "target_word_starts"}
    assert fields.keys() - {"tokens", "word_starts"} == (of_layout if layout in (*PAIRS, "source_target") else set())


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_record_is_what_tfds_itself_would_write(tmp_path: Path, layout: Layout) -> None:
    rows = make_rows(3, layout)
    write_shard(tmp_path / "a", layout, LENGTH, "uint16", 0, rows, target_length(layout))
    serialise = features(layout, LENGTH, "uint16", target_length(layout)).serialize_example
    for row, record in zip(rows, ArrayRecordReader(str(tmp_path / "a")).read_all(), strict=True):
        assert tf_example_pb2.Example.FromString(record) == tf_example_pb2.Example.FromString(serialise(row))


def test_bitmaps_number_their_bits_as_documented() -> None:
    flags = np.zeros(24, bool)
    flags[[0, 9, 23]] = True
    packed = bitmap(flags)
    assert packed.tolist() == [1, 2, 128]
    assert np.array_equal(from_bitmap(packed), flags)


def test_shards_tell_rows_tokens_bytes_and_content(tmp_path: Path) -> None:
    rows = make_rows(5, "packed")
    shard = write_shard(tmp_path / "a", "packed", LENGTH, "uint16", 0, rows)
    assert (shard.rows, shard.bytes) == (5, (tmp_path / "a").stat().st_size)
    assert shard.tokens == sum(int(np.count_nonzero(row["tokens"])) for row in rows)
    again = write_shard(tmp_path / "b", "packed", LENGTH, "uint16", 0, rows)
    assert again == replace(shard, file="b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert write_shard(tmp_path / "c", "packed", LENGTH, "uint16", 0, rows[::-1]).sha256 != shard.sha256


def test_other_processes_write_the_same_bytes(tmp_path: Path) -> None:
    """Protobuf's order of fields changes with the process."""
    code = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_records import LENGTH, make_rows, write_shard
print(write_shard(Path(sys.argv[1]), "packed", LENGTH, "uint16", 0, make_rows(3, "packed")).sha256)
"""
    processes = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path / str(number))], stdout=subprocess.PIPE)
        for number in range(3)
    ]
    printed = {process.communicate(timeout=120)[0] for process in processes}
    assert len(printed) == 1
    assert len({(tmp_path / str(number)).read_bytes() for number in range(3)}) == 1


def test_any_tfds_reader_opens_records_without_tensorflow(tmp_path: Path) -> None:
    rows = make_rows(40, "packed")
    write(tmp_path / "examples", rows)
    code = """
import sys
import tensorflow_datasets as tfds
source = tfds.builder_from_directory(sys.argv[1]).as_data_source("train")
print(len(source), [row["tokens"].tolist() for row in source.__getitems__([2, 39, 17])])
assert "tensorflow" not in sys.modules and "jax" not in sys.modules
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "examples")], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == f"40 {[rows[index]['tokens'].tolist() for index in (2, 39, 17)]}"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_shards_of_one_row_a_chunk_as_older_code_wrote_them_hold_the_same_records(
    tmp_path: Path, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = make_rows(40, layout)
    write(tmp_path / "now" / "examples", rows, layout)
    monkeypatch.setattr(write_records, "ROWS_PER_CHUNK", 1)
    write(tmp_path / "older" / "examples", rows, layout)
    now, older = (Records(tmp_path / when / "examples", "train") for when in ("now", "older"))
    assert_same_rows(older.read(range(40)), now.read(range(40)))
    shards = [tmp_path / when / "shard-0.array_record" for when in ("now", "older")]
    options = [ArrayRecordReader(str(path)).writer_options_string() for path in shards]
    assert [option.split(",")[0] for option in options] == ["group_size:4", "group_size:1"]
    hashes = {write_shard(tmp_path / "one", layout, LENGTH, "uint16", 0, rows, target_length(layout)).sha256}
    monkeypatch.undo()
    assert {
        write_shard(tmp_path / "several", layout, LENGTH, "uint16", 0, rows, target_length(layout)).sha256
    } == hashes


def assert_same_rows(found: Row, expected: Row) -> None:
    assert found.keys() == expected.keys()
    for name, values in found.items():
        np.testing.assert_array_equal(values, expected[name])


def test_threads_that_read_at_once_get_what_each_asked_for(tmp_path: Path) -> None:
    write(tmp_path / "examples", make_rows(200, "packed"), shards=5)
    records = Records(tmp_path / "examples", "train")
    expected = Records(tmp_path / "examples", "train").read(range(200))

    def look(seed: int) -> None:
        order = np.random.default_rng(seed).permutation(200)
        assert_same_rows(records.read(order), {name: values[order] for name, values in expected.items()})

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(look, range(32)))


def test_a_flipped_bit_is_found_in_whichever_row_of_a_chunk_it_lies(tmp_path: Path) -> None:
    """Rows of the chunk are refused with the shard's name; those of others are what they were."""
    rows = make_rows(24, "packed")
    write(tmp_path / "examples", rows)
    whole = Records(tmp_path / "examples", "train").read(range(24))
    [_, shard] = sorted((tmp_path / "examples").glob(f"{NAME}-*"))
    content, size = shard.read_bytes(), write_records.ROWS_PER_CHUNK
    first = content.index(rows[12]["tokens"][:6].tobytes())  # the first record is stored as it is, copies of it are not
    for place in range(first, first + 8 * size, 7):
        shard.unlink()
        shard.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        records = Records(tmp_path / "examples", "train")
        for index in range(12, 12 + size):
            with pytest.raises(
                InputError, match=rf"{shard.name}: damaged \(.*hash mismatch.*\); restore it from a copy, or"
            ):
                records.read([0, index])
        others = [*range(12), *range(12 + size, 24)]
        assert_same_rows(records.read(others), {name: values[others] for name, values in whole.items()})


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda record: record + b"\x00", r"record 3 has (\d+) bytes, not \d+"),
        (lambda record: record[:-1], r"record 3 has (\d+) bytes, not \d+"),
        (lambda record: record.replace(b"tokens", b"tokenz"), "record 3 does not hold the fields of its header"),
        (lambda record: bytes([record[0] ^ 1]) + record[1:], "record 3 does not hold the fields of its header"),
    ],
    ids=["longer", "shorter", "another field", "another wire type"],
)
def test_a_record_that_is_not_one_of_ours_is_damage_and_never_a_row(
    tmp_path: Path, layout: Layout, change: Callable[[bytes], bytes], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = make_rows(10, layout)
    odd = serialised(rows[8])
    monkeypatch.setattr(write_records, "serialised", lambda row: change(odd) if row is rows[8] else serialised(row))
    write(tmp_path / "examples", rows, layout)
    records = Records(tmp_path / "examples", "train")
    assert len(records.read([7, 9])["tokens"]) == 2
    with pytest.raises(InputError, match=rf"{NAME}-train.array_record-00001-of-00002: damaged \({said}\); restore"):
        records.read([7, 8])


def test_a_shard_of_fewer_rows_than_its_metadata_say_is_damage(tmp_path: Path) -> None:
    write(tmp_path / "examples", make_rows(10, "packed"))
    [first, second] = sorted((tmp_path / "examples").glob(f"{NAME}-*"))
    write_shard(tmp_path / "other", "packed", LENGTH, "uint16", 0, make_rows(4, "packed"))
    second.unlink()
    (tmp_path / "other").rename(second)
    assert second.stat().st_size == first.stat().st_size
    with pytest.raises(InputError, match=rf"{second.name}: damaged \(it holds 4 records instead of 5\)"):
        Records(tmp_path / "examples", "train").open_all()


def test_publishing_twice_touches_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "examples"
    header = write(folder, make_rows(4, "packed"))
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert is_published(folder, header)
    write(folder, make_rows(4, "packed"))
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()}.keys() == before.keys()
    assert (folder / "header.json").stat().st_mtime_ns == before[folder / "header.json"]


def test_a_damaged_published_shard_is_published_again(tmp_path: Path) -> None:
    rows = make_rows(4, "packed")
    write(tmp_path / "examples", rows)
    [first, _] = sorted((tmp_path / "examples").glob(f"{NAME}-*"))
    content = first.read_bytes()
    first.unlink()
    first.write_bytes(content[:-10])
    write(tmp_path / "examples", rows)
    assert first.read_bytes() == content


def test_a_header_comes_back_as_written_and_an_older_one_names_no_sources(tmp_path: Path) -> None:
    folder = tmp_path / "examples"
    header = replace(write(folder, make_rows(4, "packed")), sources={"train": (("petitions", 3), ("뉴스", 1))})
    plain = json.loads(json.dumps(asdict(header)))
    assert header_from_plain(plain) == header
    del plain["categories"]  # written where rows are of one each
    (folder / HEADER).write_text(json.dumps(plain))
    assert is_published(folder, header)
    assert read_header(folder) == header
    del plain["sources"]
    (folder / HEADER).write_text(json.dumps(plain))
    assert read_header(folder) == replace(header, sources={})


def test_rows_are_named_after_the_source_that_stands_where_they_do() -> None:
    sources = (("petitions", 3), ("empty", 0), ("뉴스", 1))
    assert source_names(sources, np.array([3, 0, 2])) == ["뉴스", "petitions", "petitions"]
    assert source_names((), np.array([3, 0])) == ["", ""]


def test_other_records_replace_the_old_ones_whole(tmp_path: Path) -> None:
    folder = tmp_path / "examples"
    write(folder, make_rows(9, "packed"), shards=3)
    write(folder, make_rows(4, "packed", seed=1), shards=2)
    assert len(list(folder.glob(f"{NAME}-*"))) == 2
    assert len(Records(folder, "train")) == 4


def test_records_without_a_header_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "examples"
    write(folder, make_rows(4, "packed"))

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "link", die)
        with pytest.raises(KeyboardInterrupt):
            write(folder, make_rows(6, "packed"))
    with pytest.raises(InputError, match="holds no finished records; run `python -m data_pipeline prepare` first"):
        Records(folder, "train")
    write(folder, make_rows(6, "packed"))
    assert len(Records(folder, "train")) == 6
    withdraw(folder)
    withdraw(folder)
    with pytest.raises(InputError, match="holds no finished records"):
        read_header(folder)


def test_wrong_folders_and_splits_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "examples"
    write(folder, make_rows(4, "packed"))
    with pytest.raises(InputError, match=r"the split 'evaluation' has no records \(rows: \{'train': 4\}\)"):
        Records(folder, "evaluation")
    header = (folder / "header.json").read_text(encoding="utf-8")
    (folder / "header.json").write_text(header.replace('"train": 4', '"train": 5', 1), encoding="utf-8")
    with pytest.raises(InputError, match="4 train records, the header says 5"):
        Records(folder, "train")
    (folder / "header.json").write_text(header.replace('"format_version": 1', '"format_version": 9'), encoding="utf-8")
    with pytest.raises(InputError, match="records of format 9, this code reads 1"):
        Records(folder, "train")
    (folder / "header.json").write_text(header, encoding="utf-8")
    shard = next(folder.glob(f"{NAME}-*"))
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(InputError, match=r"the train shards hold \d+ bytes instead of"):
        Records(folder, "train")
    shard.unlink()
    with pytest.raises(InputError, match="records cannot be opened"):
        Records(folder, "train")
    assert len(Records(folder, "train", staged=False)) == 4


@pytest.mark.parametrize("length", [0, 8, 20])
def test_lengths_that_no_bitmap_fits_are_refused(tmp_path: Path, length: int) -> None:
    with pytest.raises(ValueError, match=rf"rows of {length} tokens: must be a multiple of 8 and at least 16"):
        write_shard(tmp_path / "a", "packed", length, "uint16", 0, [])


def test_a_disk_that_takes_no_more_is_a_work_error(tmp_path: Path) -> None:
    """In a process of its own, whose files may not grow."""
    code = f"""
import resource, signal, sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_records import LENGTH, make_rows, write_shard
from data_pipeline.contract.errors import WorkError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    write_shard(Path({str(tmp_path / "a")!r}), "packed", LENGTH, "uint16", 0, make_rows(500, "packed"))
except WorkError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert "cannot be written" in done.stdout, done.stderr
    assert issubclass(WorkError, Exception)
