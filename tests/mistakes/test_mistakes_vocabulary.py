"""Mistakes about the vocabulary: the number that would do is said, and old records never stand beside a new vocabulary."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from harness import WORK_FAILED, WRONG_INPUT, Ran, SmallDisk, assert_only_whole, prepare_command, results, snapshot

from data_pipeline.contract.records import RecordsHeader, read_header

SIZE = "--data.vocabulary.size"
GIVEN = "--data.vocabulary.given"


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (5000, r"--data\.vocabulary\.size 5000: the corpus yields only (\d+) rows; lower the size to that or give more text"),
        (
            100,
            r"--data\.vocabulary\.size 100: too small for 82 characters in both forms and 8 reserved rows; at least (\d+) are "
            r"needed, or a lower --data\.vocabulary\.character-coverage",
        ),
    ],
)  # fmt: skip
def test_a_size_that_cannot_be_is_told_with_one_that_can(
    size: int, message: str, workplace: Path, run_command_line: Callable[..., Ran]
) -> None:
    sentence = run_command_line(*prepare_command(SIZE, size)).sentence(WRONG_INPUT)
    found = re.fullmatch(message, sentence)
    assert found, sentence
    assert_only_whole(workplace / "run")
    assert not (workplace / "run" / "examples").exists()
    would_do = int(found[1])
    run_command_line(*prepare_command(SIZE, would_do)).success()
    assert read_header(workplace / "run" / "examples").vocabulary_size == would_do
    run_command_line(*prepare_command(SIZE, would_do, run_dir="never-failed")).success()
    assert results(workplace / "run") == results(workplace / "never-failed")
    # And it is the very border: one further is refused again.
    beyond = would_do + (1 if size > would_do else -1)
    run_command_line(*prepare_command(SIZE, beyond)).sentence(WRONG_INPUT)


@pytest.mark.parametrize(
    ("name", "content", "given", "message"),
    [
        ("vocab.txt", "[PAD]\n[UNK]\n가\n", "mine", r"mine/vocab\.txt: the vocabulary has no \[CLS\], \[SEP\], \[MASK\] \(found 3 rows\); add them"),
        ("vocab.txt", "[PAD]\n[UNK]\n가\n", "mine/vocab.txt", r"mine/vocab\.txt: the vocabulary has no \[CLS\], .*; add them"),
        ("vocab.txt", "[PAD]\n가\n나\n가\n", "mine", r"mine/vocab\.txt:4: the row '가' stands already at line 2; remove one of them"),
        ("tokenizer.json", "{", "mine", r"mine/tokenizer\.json: not a tokenizer \(.*\); restore the file"),
        ("words.txt", "[PAD]\n", "mine", r"--data\.vocabulary\.given mine: holds neither tokenizer\.json nor vocab\.txt; give a .*"),
        ("words.txt", "[PAD]\n", "mine/words.txt", r"--data\.vocabulary\.given mine/words\.txt: must be a file named vocab\.txt or .*"),
        ("words.txt", "[PAD]\n", "nowhere", r"--data\.vocabulary\.given nowhere: holds neither tokenizer\.json nor vocab\.txt; give a .*"),
    ],
)  # fmt: skip
def test_a_given_vocabulary_that_is_none_is_found_before_the_corpus_is_read(
    name: str, content: str, given: str, message: str, workplace: Path, unbroken: Path, run_command_line: Callable[..., Ran]
) -> None:  # fmt: skip
    Path("mine").mkdir()
    Path("mine", name).write_text(content, encoding="utf-8")
    sentence = run_command_line(*prepare_command(GIVEN, given)).sentence(WRONG_INPUT)
    assert re.fullmatch(message, sentence), sentence
    assert not Path("run").exists()
    shutil.rmtree("mine")
    mended = Path(given).with_name("vocab.txt") if given == "mine/words.txt" else Path(given)
    file = mended if mended.suffix else mended / "vocab.txt"
    file.parent.mkdir()
    shutil.copyfile(unbroken / "vocabulary" / "vocab.txt", file)
    run_command_line(*prepare_command(GIVEN, mended)).success()
    # Written down by hand or trained here: the same rows give the same records.
    assert snapshot(Path("run/examples")) == snapshot(unbroken / "examples")


def other_vocabulary(unbroken: Path, folder: Path) -> Path:
    """A folder with another vocabulary: the same pieces in another order, and more of them."""
    rows = (unbroken / "vocabulary" / "vocab.txt").read_text(encoding="utf-8").splitlines()
    rows = [*rows[:8], *reversed(rows[8:]), *(f"덧붙인{number}" for number in range(1000))]
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder


def test_another_given_vocabulary_makes_other_records(
    workplace: Path, unbroken: Path, run_command_line: Callable[..., Ran]
) -> None:
    """Also where the path stays and only the file in it changes."""
    given = other_vocabulary(unbroken, workplace / "given")
    run_command_line(*prepare_command()).success()
    run_command_line(*prepare_command(GIVEN, given)).success()
    run_command_line(*prepare_command(GIVEN, given, run_dir="other")).success()
    assert results(workplace / "run") == results(workplace / "other")
    assert read_header(Path("run/examples")).fingerprint != read_header(unbroken / "examples").fingerprint
    shutil.copyfile(unbroken / "vocabulary" / "vocab.txt", given / "vocab.txt")
    run_command_line(*prepare_command(GIVEN, given)).success()
    assert snapshot(Path("run/examples")) == snapshot(unbroken / "examples")


def test_a_run_that_fails_over_another_vocabulary_never_mixes_the_two(
    workplace: Path, unbroken: Path, run_command_line: Callable[..., Ran], small_disk: Callable[[str], SmallDisk]
) -> None:
    """The disk fills up at many places of the way from one vocabulary to the other: a header always fits what stands by it."""
    given = other_vocabulary(unbroken, workplace / "given")
    run_command_line(*prepare_command(GIVEN, given, run_dir="other")).success()
    disk = small_disk("8m")
    run_dir, filler = disk.path / "run", disk.path / "filler"
    run_command_line(*prepare_command(run_dir=run_dir)).success()
    old, new = state(run_dir), state(Path("other"))
    filler.write_bytes(bytes(disk.free_bytes()))
    seen = [state(run_dir)]
    while (ran := run_command_line(*prepare_command(GIVEN, given, run_dir=run_dir))).code:
        ran.sentence(WORK_FAILED)
        assert_only_whole(run_dir, ran_before=True)
        seen.append(state(run_dir))
        step = 132 if ".array_record" in ran.error else 16
        filler.write_bytes(bytes(filler.stat().st_size - step * 1024))
    assert state(run_dir) == new
    between = [found for found in seen if found not in (old, new)]
    assert seen[0] == old
    assert between, "no failure fell between the two vocabularies"
    assert all(header is None for header, _, _ in between)
    assert results(run_dir) == results(Path("other"))


State = tuple[RecordsHeader | None, str, str]


def state(run_dir: Path) -> State:
    """The header that stands there, and what vocabulary and shards stand beside it."""
    header = read_header(run_dir / "examples") if (run_dir / "examples" / "header.json").exists() else None
    files = {name: digest for name, digest in snapshot(run_dir / "vocabulary").items() if name != "report.json"}
    shards = {name: digest for name, digest in snapshot(run_dir / "examples").items() if "array_record" in name}
    return header, json.dumps(files), json.dumps(shards)
