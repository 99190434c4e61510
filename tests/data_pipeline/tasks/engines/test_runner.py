"""What is done stays done; what an earlier command left is looked at before anything is made from it."""

from dataclasses import replace
from pathlib import Path

import pytest

from data_pipeline.contract.errors import WorkError
from data_pipeline.tasks.engines import runner
from data_pipeline.tasks.engines.local import LocalEngine
from data_pipeline.tasks.engines.runner import DamagedOutputsError, Runner, mending
from data_pipeline.tasks.shard_task import Done, ShardTask, finished


def task(folder: Path, stage: str, text: str, *inputs: Done) -> ShardTask:
    files = tuple(output for done in inputs for output in done.outputs.values())
    parameters = {"text": text, "calls": str(folder / "calls")}
    return ShardTask(stage, "one", "shard_operations:write_text", str(folder / "corpus"), {"text": files}, parameters)


def two_stages(folder: Path, second: str = "둘째") -> list[Done]:
    """Runs a stage and one that reads its files, as one command does."""
    stages = Runner(LocalEngine(1))
    first = stages.run([task(folder, "first", "첫째")], ignore, ignore)
    return [*first, *stages.run([task(folder, "second", second, *first)], ignore, ignore)]


def ignore(done: Done) -> None:
    pass


def damage(done: Done) -> Path:
    """Changes a byte of a task's file, which keeps its size."""
    [output] = done.outputs.values()
    content = bytearray(Path(output.path).read_bytes())
    content[0] ^= 1
    Path(output.path).write_bytes(content)
    return Path(output.path)


def test_an_unbroken_command_hashes_nothing_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[Path] = []
    real = runner.sha256_of_file
    monkeypatch.setattr(runner, "sha256_of_file", lambda path: hashed.append(path) or real(path))
    done = two_stages(tmp_path)
    assert two_stages(tmp_path) == done
    assert hashed == []
    two_stages(tmp_path, "anders")
    assert hashed == [Path(done[0].outputs["text.txt"].path)]


def test_damage_is_found_before_anything_is_made_of_it_and_mended(tmp_path: Path) -> None:
    first, second = two_stages(tmp_path)
    damaged = damage(first)
    with pytest.raises(DamagedOutputsError):
        two_stages(tmp_path, "anders")
    changed = mending(lambda: two_stages(tmp_path, "anders"))
    assert changed[0].outputs["text.txt"].sha256 == first.outputs["text.txt"].sha256
    assert changed[0].outputs["text.txt"].path != str(damaged)
    assert two_stages(tmp_path, "anders") == changed
    assert finished(second.task) is None


def test_damage_that_comes_back_is_the_machines_fault(tmp_path: Path) -> None:
    def work() -> None:
        first, _ = two_stages(tmp_path, text)
        damage(first)
        two_stages(tmp_path, f"{text} again")

    text = "둘째"
    with pytest.raises(WorkError, match=r"text\.txt: damaged again after it was made anew; see to the disk"):
        mending(work)


def test_found_and_done_tasks_are_told_apart(tmp_path: Path) -> None:
    tasks = [replace(task(tmp_path, "first", f"글 {name}"), name=name) for name in ("a", "b", "c")]
    Runner(LocalEngine(1)).run(tasks[1:2], ignore, ignore)
    found, done = list[str](), list[str]()
    names = [each.task.name for each in Runner(LocalEngine(2)).run(
        tasks, lambda each: found.append(each.task.name), lambda each: done.append(each.task.name)
    )]  # fmt: skip
    assert (names, found, sorted(done)) == (["a", "b", "c"], ["b"], ["a", "c"])
