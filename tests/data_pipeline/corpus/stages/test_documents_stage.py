"""Source files become parts, duplicates are found over all of them, and what is wrong with a file is said."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_pipeline.contract.errors import InputError, WorkError
from data_pipeline.contract.storage import find_input_files
from data_pipeline.corpus.corpus_files import SplitDocument, read_documents
from data_pipeline.corpus.document import Sentence
from data_pipeline.corpus.stages.documents import document_key
from data_pipeline.corpus.stages.duplicates import KEYS_PER_TASK, duplicates_of_part, find_duplicates, key_ranges
from data_pipeline.corpus.stages.sentences import split_of
from data_pipeline.corpus.tally import EXAMPLES_PER_REASON, total_dropped
from data_pipeline.tasks.shard_task import Done, Output, ShardTask, run_task


def documents_task(
    path: Path, root: Path, budget: int = 0, part_bytes: int = 1_000_000, up_to_damage: bool = False, **source: str
) -> ShardTask:
    [file] = find_input_files(str(path))
    return ShardTask(
        "documents",
        path.name,
        "data_pipeline.corpus.stages.documents:make_documents",
        str(root),
        {"file": (file,)},
        {
            "source": {"format": "jsonl", "glob": "", "name": "s", **source},
            "reader": "json_lines:read_json_lines",
            "opens": False,
            "binary": False,
            "repair": {},
            "clean": {},
            "categories": [],
            "part_bytes": part_bytes,
        },
        {
            "bad_records": budget,
            "up_to_damage": up_to_damage,
            "mend": "mend the file, read another field with --source jsonl.FIELD:GLOB",
        },
    )


def outputs(done: Done, ending: str) -> list[str]:
    return [output.path for name, output in done.outputs.items() if name.endswith(ending)]


def test_parts_hold_all_documents_in_order(
    tmp_path: Path, json_lines: Callable[[Path, list[str]], Path], document: Callable[..., str]
) -> None:
    texts = [document(seed) for seed in range(60)]
    done = run_task(documents_task(json_lines(tmp_path / "a.jsonl", texts), tmp_path / "corpus", part_bytes=3000))
    parts = outputs(done, ".zst")
    assert len(parts) > 3
    read = [list(read_documents(part)) for part in parts]
    assert [each.text for part in read for each in part] == texts
    assert [each.id for part in read for each in part] == [f"a.jsonl:{number}" for number in range(1, 61)]
    for part, keys in zip(read, outputs(done, ".keys.npy"), strict=True):
        table = np.load(keys)
        assert table["key"].tolist() == sorted(table["key"].tolist())
        in_order = np.sort(table, order="index")
        assert [key.ljust(16, b"\0") for key in in_order["key"].tolist()] == [document_key(each.text) for each in part]


BAD = '{"text": "좋은 글입니다."}\n{"body": "글"}\n{"text": "또 좋은 글입니다."}\nnot json\n'


def test_bad_records_stop_the_work_by_their_place(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(BAD, encoding="utf-8")
    with pytest.raises(InputError, match=rf'{path}:2: field "text" is missing \(found: body\); mend the file'):
        run_task(documents_task(path, tmp_path / "corpus"))
    with pytest.raises(InputError, match=rf"{path}:4: not JSON .*more than 1 bad records with --data\.max-bad-records"):
        run_task(documents_task(path, tmp_path / "corpus", budget=1))


def test_bad_records_under_the_budget_are_counted_and_shown(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(BAD, encoding="utf-8")
    counts = run_task(documents_task(path, tmp_path / "corpus", budget=2)).counts
    assert (counts["records"], counts["documents"], counts["bad"]) == (4, 2, 2)
    assert [example["id"] for example in counts["examples"]["records: unreadable"]] == ["a.jsonl:2", "a.jsonl:4"]


def test_only_a_few_bad_records_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("x\n" * 100, encoding="utf-8")
    counts = run_task(documents_task(path, tmp_path / "corpus", budget=100)).counts
    assert counts["bad"] == 100
    assert len(counts["examples"]["records: unreadable"]) == EXAMPLES_PER_REASON


def test_half_a_surrogate_pair_is_no_accident(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "\\ud83d"}\n{"text": "글\\ud83d입니다"}\n{"\\ud83d": 1}\n', encoding="utf-8")
    done = run_task(documents_task(path, tmp_path / "corpus", budget=1))
    assert (done.counts["documents"], total_dropped(done.counts, "documents"), done.counts["bad"]) == (1, 1, 1)
    assert [each.text for each in read_documents(outputs(done, ".zst")[0])] == ["글입니다"]


def cut(path: Path) -> None:
    content = gzip.compress(b'{"text": "x"}\n' * 5000)
    path.write_bytes(content[: len(content) // 2])


def changed(path: Path) -> None:
    content = bytearray(gzip.compress(b'{"text": "x"}\n' * 5000))
    content[-6] ^= 0xFF  # the checksum
    path.write_bytes(content)


def not_gzip(path: Path) -> None:
    path.write_text('{"text": "x"}\n', encoding="utf-8")


@pytest.mark.parametrize("damage", [cut, changed, not_gzip])
def test_a_damaged_file_is_an_input_error(damage: Callable[[Path], None], tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    damage(path)
    task = documents_task(path, tmp_path / "corpus")
    with pytest.raises(InputError, match=rf"{path}: cannot be decompressed \(.+\); fetch it again"):
        run_task(task)
    assert not task.done_path.exists()


def test_a_file_that_vanished_or_cannot_be_read_is_a_work_error(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(BAD, encoding="utf-8")
    task = documents_task(path, tmp_path / "corpus")
    path.unlink()
    with pytest.raises(WorkError, match="vanished while the work ran"):
        run_task(task)
    path.mkdir()
    with pytest.raises(WorkError, match=r"cannot be read \(Is a directory\)"):
        run_task(task)


def key_files(tmp_path: Path, parts: list[list[bytes]]) -> tuple[Output, ...]:
    from data_pipeline.corpus.stages.documents import KEY_TABLE

    files = []
    for number, keys in enumerate(parts):
        path = tmp_path / f"{number}.keys.npy"
        np.save(
            path, np.sort(np.array([(key, index) for index, key in enumerate(keys)], KEY_TABLE), order=("key", "index"))
        )
        files.append(Output(str(path), path.stat().st_size, ""))
    return tuple(files)


@pytest.mark.parametrize("keys_per_task", [KEYS_PER_TASK, 10, 1])
def test_the_first_of_equal_documents_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keys_per_task: int
) -> None:
    monkeypatch.setattr("data_pipeline.corpus.stages.duplicates.KEYS_PER_TASK", keys_per_task)
    random = np.random.default_rng(0)
    texts = [[str(number) for number in random.integers(0, 40, size)] for size in (30, 0, 25, 10)]
    keys = [[document_key(text) for text in part] for part in texts]
    keys[3] += [b"\xff" * 16, b"\x00" * 16, b"a" + b"\x00" * 15, b"\x00" * 16]
    texts[3] += ["high", "low", "short", "low"]
    files = key_files(tmp_path, keys)
    found: list[str] = []
    for number, bounds in enumerate(key_ranges(sum(map(len, texts)))):
        folder = tmp_path / str(number)
        folder.mkdir()
        parameters: dict[str, Any] = {"range": bounds}
        find_duplicates(ShardTask("duplicates", "0", "", "", {"keys": files}, parameters), folder)
        found.append(str(folder / "later.npy"))
    seen: set[str] = set()
    for part, part_texts in enumerate(texts):
        expected = set()
        for index, text in enumerate(part_texts):
            if text in seen:
                expected.add(index)
            seen.add(text)
        assert duplicates_of_part(found, part) == expected


def test_documents_are_held_out_by_their_text() -> None:
    texts = [f"글 {number}" for number in range(4000)]
    held_out = {
        fraction: {text for text in texts if split_of(text, fraction) == "evaluation"} for fraction in (0, 0.1, 0.2, 1)
    }
    assert held_out[0] == set()
    assert held_out[1] == set(texts)
    assert len(held_out[0.1]) == pytest.approx(400, abs=60)
    assert held_out[0.1] < held_out[0.2]


def test_runs_end_at_breaks() -> None:
    flags = [False, False, True, False, True, True]
    sentences = tuple(Sentence(str(number), " ", flag) for number, flag in enumerate(flags))
    runs = SplitDocument("id", "source", "train", sentences).runs()
    assert [[sentence.text for sentence in run] for run in runs] == [["0", "1"], ["2", "3"], ["4"], ["5"]]
    first_broken = SplitDocument("id", "source", "train", (Sentence("0", "", True),))
    assert [len(run) for run in first_broken.runs()] == [1]
