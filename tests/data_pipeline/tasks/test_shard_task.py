"""A task's files count when its done-record says so, and not before."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from data_pipeline.contract.errors import InputError, WorkError
from data_pipeline.contract.storage import InputFile, read_json, write_json
from data_pipeline.tasks.shard_task import Done, Output, ShardTask, finished, remove_leftovers, run_task, stage_costs


@pytest.fixture
def task(tmp_path: Path) -> ShardTask:
    parameters = {"text": "안녕", "calls": str(tmp_path / "calls")}
    return ShardTask("stage", "one", "shard_operations:write_text", str(tmp_path / "corpus"), {}, parameters)


def calls(task: ShardTask) -> int:
    path = Path(task.parameters["calls"])
    return len(path.read_text(encoding="utf-8").splitlines()) if path.exists() else 0


def attempts(task: ShardTask) -> list[Path]:
    return list(task.attempts.glob("*"))


def with_parameter(task: ShardTask, **changed: Any) -> ShardTask:
    return replace(task, parameters={**task.parameters, **changed})


def test_a_done_task_is_not_done_again(task: ShardTask) -> None:
    assert finished(task) is None
    done = run_task(task)
    assert run_task(task) == done == finished(task)
    assert calls(task) == 1
    assert done.counts == {"characters": 2, "by_length": {"short": 1}}
    assert Path(done.outputs["text.txt"].path).read_text(encoding="utf-8") == "안녕"


@pytest.mark.parametrize("damage", ["cut", "removed", "longer"])
def test_a_damaged_output_is_made_again(task: ShardTask, damage: str) -> None:
    output = Path(run_task(task).outputs["text.txt"].path)
    if damage == "removed":
        output.unlink()
    else:
        output.write_bytes(output.read_bytes()[:-1] if damage == "cut" else output.read_bytes() + b"x")
    assert finished(task) is None
    again = run_task(task)
    assert Path(again.outputs["text.txt"].path).read_text(encoding="utf-8") == "안녕"
    assert calls(task) == 2


def test_other_parameters_inputs_or_code_are_another_task(task: ShardTask, monkeypatch: pytest.MonkeyPatch) -> None:
    run_task(task)
    others = [
        with_parameter(task, text="다른 글"),
        replace(task, operation="shard_operations:die_once"),
        replace(task, inputs={"file": (InputFile("a", 1, "1"),)}),
    ]
    assert all(finished(other) is None for other in others)
    file = InputFile("a", 1, "1")
    for changed in (replace(file, path="b"), replace(file, size=2), replace(file, stamp="2")):
        both = [replace(task, inputs={"file": (each,)}).fingerprint() for each in (file, changed)]
        assert both[0] != both[1]
    monkeypatch.setattr("data_pipeline.tasks.shard_task.code_fingerprint", lambda modules: "another")
    assert finished(task) is None


def test_limits_do_not_make_another_task(task: ShardTask) -> None:
    run_task(task)
    assert finished(replace(task, limits={"bad_records": 7})) is not None


@pytest.mark.parametrize(
    ("operation", "error"),
    [("wrong_input", InputError), ("bug", ZeroDivisionError), ("full_disk", WorkError), ("missing", AttributeError)],
)
def test_a_failed_attempt_leaves_nothing(task: ShardTask, operation: str, error: type[Exception]) -> None:
    failing = replace(task, operation=f"shard_operations:{operation}")
    with pytest.raises(error):
        run_task(failing)
    assert finished(failing) is None
    assert attempts(task) == []
    assert not task.done_path.exists()


def test_a_full_disk_says_what_to_do(task: ShardTask) -> None:
    with pytest.raises(WorkError, match="no space left on the disk; free some and run the same command again"):
        run_task(replace(task, operation="shard_operations:full_disk"))


def test_a_failed_commit_leaves_nothing_trusted(task: ShardTask, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path, value: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("data_pipeline.tasks.shard_task.write_json", fail)
    with pytest.raises(KeyboardInterrupt):
        run_task(task)
    assert finished(task) is None


def test_of_two_attempts_at_once_one_counts(task: ShardTask, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run_task(task)
    monkeypatch.setattr("data_pipeline.tasks.shard_task.finished", lambda task: None)  # as if both had started before
    second = run_task(task)
    monkeypatch.undo()
    assert first.outputs != second.outputs
    assert finished(task) == second
    remove_leftovers(Path(task.root), "stage", [task])
    assert [path.name for path in attempts(task)] == [read_json(task.done_path)["attempt"]]
    assert finished(task) == second


def test_leftovers_go_and_done_tasks_stay(task: ShardTask) -> None:
    other = replace(with_parameter(task, text="다른 글"), name="two")
    run_task(task)
    run_task(other)
    (task.attempts / "one.dead").mkdir()
    (task.attempts / "one.dead" / "text.txt").write_text("half", encoding="utf-8")
    (task.attempts / "stray").write_text("", encoding="utf-8")
    remove_leftovers(Path(task.root), "stage", [task])
    assert finished(task) is not None
    assert finished(other) is None
    assert len(attempts(task)) == 1
    remove_leftovers(Path(task.root), "a stage that never ran", [])


def test_a_done_task_knows_what_it_cost(task: ShardTask) -> None:
    hard = replace(task, operation="shard_operations:work_hard")
    cost = run_task(hard).cost
    assert 0.2 <= cost.cpu_seconds < 2
    assert cost.seconds >= 0.2
    assert 100 < cost.peak_megabytes < 4000
    again = run_task(hard)
    assert again.cost == cost  # of the run that did it, not of the one that found it done
    assert stage_costs(Path(task.root), "stage") == [cost]


def test_what_a_task_cost_does_not_make_it_another(task: ShardTask) -> None:
    done = run_task(task)
    record = read_json(task.done_path)
    record["cost"]["cpu_seconds"] = 12345.0
    write_json(task.done_path, record)
    found = finished(task)
    assert found is not None
    assert found.cost == replace(done.cost, cpu_seconds=12345.0)
    assert found.outputs == done.outputs
    assert downstream(found).fingerprint() == downstream(done).fingerprint()


def downstream(done: Done) -> ShardTask:
    task = done.task
    return replace(task, stage="next", inputs={"text": tuple(done.outputs.values())})


def test_a_moved_run_folder_stays_done(task: ShardTask) -> None:
    later = downstream(run_task(task))
    run_task(later)
    moved = str(Path(task.root).with_name("elsewhere"))
    shutil.move(task.root, moved)
    found = finished(replace(task, root=moved))
    assert found is not None
    found_later = finished(downstream(found))
    assert found_later is not None
    assert all(output.path.startswith(moved) for output in found_later.outputs.values())


def test_a_changed_file_of_the_run_is_another_input(task: ShardTask) -> None:
    done = run_task(task)
    later = downstream(done)
    [output] = done.outputs.values()
    changed = replace(later, inputs={"text": (Output(output.path, output.size, "0" * 64),)})
    assert later.fingerprint() != changed.fingerprint()
