"""A split's file is found in the layouts that people have, and what is missing is named with where to get it."""

import dataclasses
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest

from data_pipeline.contract.errors import InputError
from pretrain.evaluate.tasks.examples import TextExample
from pretrain.evaluate.tasks.files import find_file, hold_out, read_split
from pretrain.evaluate.tasks.registry import TASKS

NSMC, NLI = TASKS["nsmc"], TASKS["klue_nli"]
REVIEWS = "id\tdocument\tlabel\n1\t좋다\t1\n2\t싫다\t0\n3\t\t1\n"


@pytest.mark.parametrize("folder", [".", "nsmc", "tasks/nsmc", "official/nsmc", "klue_benchmark/nsmc"])
def test_a_file_is_found_in_its_own_folder_and_in_collections(tmp_path: Path, folder: str) -> None:
    (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    (tmp_path / folder / "ratings_test.txt").write_text(REVIEWS, encoding="utf-8")
    found = read_split(NSMC, tmp_path, "test")
    assert [example.group for example in found.examples] == ["좋다", "싫다", ""]
    assert found.part == "3 rows (the official test file has 50,000)"


@pytest.mark.parametrize(("ending", "compress"), [(".gz", gzip.compress), (".xz", lzma.compress)])
def test_compressed_files_are_read_and_rows_keep_their_names(
    tmp_path: Path, ending: str, compress: Callable[[bytes], bytes]
) -> None:
    (tmp_path / f"ratings_test.txt{ending}").write_bytes(compress(REVIEWS.encode()))
    assert [example.name for example in read_split(NSMC, tmp_path, "test").examples] == [
        "ratings_test.txt:2", "ratings_test.txt:3", "ratings_test.txt:4",
    ]  # fmt: skip


def test_a_whole_file_comes_before_a_part_and_a_newer_version_before_an_older(tmp_path: Path) -> None:
    names = ["klue-nli-v1.1_dev_40.json.gz", "klue-nli-v1_dev.json", "klue-nli-v1.1_dev.json"]
    for name in names:
        (tmp_path / name).touch()
        assert find_file(NLI, tmp_path, "dev").name == name


def test_a_file_that_only_begins_alike_is_no_part(tmp_path: Path) -> None:
    (tmp_path / "ratings_test_backup.txt").touch()
    with pytest.raises(InputError, match=r"ratings_test.txt of NSMC is missing"):
        find_file(NSMC, tmp_path, "test")


def test_what_is_missing_is_named_with_where_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(InputError) as missing:
        find_file(TASKS["klue_mrc"], tmp_path, "dev")
    assert str(missing.value) == (
        f"--data {tmp_path}: klue-mrc-v1.1_dev.json of KLUE-MRC is missing (nor is it in a folder klue-mrc or klue-mrc-v1.1 "
        "there); get it from https://github.com/KLUE-benchmark/KLUE, folder klue_benchmark/klue-mrc-v1.1"
    )
    with pytest.raises(InputError, match=r"nowhere: no such folder; give the one that has the files of NSMC"):
        find_file(NSMC, tmp_path / "nowhere", "dev")
    with pytest.raises(InputError, match=r"klue_nli: KLUE-NLI has no labelled test file; its splits are train, dev"):
        find_file(NLI, tmp_path, "test")


def texts(count: int) -> list[TextExample]:
    return [TextExample(str(number), f"text {number // 2}", None, "1") for number in range(count)]


def test_held_out_examples_share_no_text_with_the_others() -> None:
    kept, held_out = hold_out(texts(200), 0.25, seed=42)
    assert len(held_out) == 50
    assert len(kept) == 150
    assert {example.group for example in kept}.isdisjoint(example.group for example in held_out)
    assert [example.name for example in held_out] == sorted((example.name for example in held_out), key=int)


def test_what_is_held_out_depends_on_the_seed_and_not_on_the_order() -> None:
    names = {example.name for example in hold_out(texts(200), 0.25, seed=42)[1]}
    assert names == {example.name for example in hold_out(texts(200)[::-1], 0.25, seed=42)[1]}
    assert names != {example.name for example in hold_out(texts(200), 0.25, seed=43)[1]}


def test_a_dev_file_can_be_divided_where_train_is_missing(tmp_path: Path) -> None:
    rows = "".join(f"{number}\treview {number}\t{number % 2}\n" for number in range(100))
    (tmp_path / "ratings_test.txt").write_text(f"id\tdocument\tlabel\n{rows}", encoding="utf-8")
    task = dataclasses.replace(NSMC, files={"train": NSMC.files["test"]}, rows={}, held_out=0.2)
    train, test = (read_split(task, tmp_path, split) for split in ("train", "test"))
    assert (len(train.examples), len(test.examples)) == (80, 20)
    assert test.part == "20 of 100 rows of ratings_test.txt, split at random"
    with pytest.raises(InputError, match=r"no dev split; held_out takes test from"):
        read_split(task, tmp_path, "dev")
