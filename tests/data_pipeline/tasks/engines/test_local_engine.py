"""The pool survives its workers, and its result does not depend on them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from data_pipeline.contract.errors import InputError, WorkError
from data_pipeline.tasks.engines.local import LocalEngine
from data_pipeline.tasks.engines.runner import Runner
from data_pipeline.tasks.shard_task import Done, ShardTask, finished


def make_tasks(folder: Path, number: int, operation: str = "write_text") -> list[ShardTask]:
    return [
        ShardTask(
            "stage",
            f"{index:02d}",
            f"shard_operations:{operation}",
            str(folder / "corpus"),
            parameters={"text": f"글 {index}" * index, "calls": str(folder / "calls")},
        )
        for index in range(number)
    ]


def run_tasks(tasks: Sequence[ShardTask], workers: int, on_done: Callable[[Done], None]) -> list[Done]:
    return Runner(LocalEngine(workers)).run(tasks, lambda found: None, on_done)


def texts(done: list[Done]) -> list[str]:
    return [Path(each.outputs["text.txt"].path).read_text(encoding="utf-8") for each in done]


@pytest.mark.parametrize("workers", [1, 3])
def test_results_come_in_the_order_given_whatever_the_workers(workers: int, tmp_path: Path) -> None:
    tasks, seen = make_tasks(tmp_path, 6), list[str]()
    done = run_tasks(tasks, workers, lambda each: seen.append(each.task.name))
    assert [each.task for each in done] == tasks
    assert texts(done) == [task.parameters["text"] for task in tasks]
    assert sorted(seen) == [task.name for task in tasks]
    assert run_tasks(tasks, workers, lambda each: None) == done
    assert len((tmp_path / "calls").read_text(encoding="utf-8").splitlines()) == 6


def test_a_task_costs_what_its_own_worker_spent(tmp_path: Path) -> None:
    held_here = b"x" * 1_000_000_000
    done = run_tasks(make_tasks(tmp_path, 3, "work_hard"), 2, lambda each: None)
    assert len(held_here) == 1_000_000_000
    for each in done:
        # Not that of the other tasks, in this worker or another: each takes 0.2 s.
        assert -0.001 <= each.cost.cpu_seconds - each.counts["spent"] < 0.2
        assert 100 < each.cost.peak_megabytes < 900


def test_the_pool_goes_on_after_the_death_of_a_worker(tmp_path: Path) -> None:
    tasks = make_tasks(tmp_path, 5)
    tasks[2] = make_tasks(tmp_path, 5, "die_once")[2]
    tasks[4] = make_tasks(tmp_path, 5, "die_once")[4]
    seen: list[str] = []
    done = run_tasks(tasks, 2, lambda each: seen.append(each.task.name))
    assert texts(done) == [task.parameters["text"] for task in tasks]
    assert sorted(seen) == [task.name for task in tasks]


def test_three_deaths_name_the_guilty_task_and_keep_the_rest(tmp_path: Path) -> None:
    tasks = make_tasks(tmp_path, 4)
    tasks[1] = make_tasks(tmp_path, 4, "die_always")[1]
    with pytest.raises(WorkError, match=r"stage/01: a worker died 3 times over this task .*--data\.part-megabytes"):
        run_tasks(tasks, 2, lambda each: None)
    assert finished(tasks[0]) is not None
    assert finished(tasks[1]) is None


@pytest.mark.parametrize("workers", [1, 2])
def test_a_workers_input_error_is_the_commands_error(workers: int, tmp_path: Path) -> None:
    tasks = make_tasks(tmp_path, 3)
    tasks[1] = make_tasks(tmp_path, 3, "wrong_input")[1]
    with pytest.raises(InputError, match=r"^corpus/part\.jsonl:3: not JSON$"):
        run_tasks(tasks, workers, lambda each: None)
    assert finished(tasks[0]) is not None


SCRIPT = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever started the tests may have it ignored
sys.path[:0] = {folders!r}
from data_pipeline.contract.errors import run_command
from test_local_engine import Path, make_tasks, run_tasks
if __name__ == "__main__":
    run_command(lambda: run_tasks(make_tasks(Path({root!r}), 3, "slow"), 2, print))
"""


def start_slow_tasks(folder: Path) -> tuple["subprocess.Popen[str]", list[int]]:
    """A process with two workers that are busy, and their process ids."""
    folders = [str(Path(__file__).parent), str(Path(__file__).parents[3] / "support")]
    script = folder / "script.py"
    script.write_text(SCRIPT.format(folders=folders, root=str(folder)), encoding="utf-8")
    parent = subprocess.Popen([sys.executable, script], stderr=subprocess.PIPE, text=True, start_new_session=True)
    marks = [folder / "calls00", folder / "calls01"]
    wait_until(lambda: all(mark.exists() and mark.read_text(encoding="utf-8") for mark in marks))
    return parent, [int(mark.read_text(encoding="utf-8")) for mark in marks]


def test_workers_end_with_a_killed_parent(tmp_path: Path) -> None:
    parent, workers = start_slow_tasks(tmp_path)
    parent.send_signal(signal.SIGKILL)
    parent.communicate()
    wait_until(lambda: not any(map(is_running, workers)))


def test_ctrl_c_ends_everything_with_one_line(tmp_path: Path) -> None:
    parent, workers = start_slow_tasks(tmp_path)
    os.killpg(parent.pid, signal.SIGINT)
    _, printed = parent.communicate(timeout=30)
    assert parent.returncode == 130
    assert printed == "interrupted: run the same command again to go on from here\n"
    wait_until(lambda: not any(map(is_running, workers)))


def wait_until(condition: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return not Path(f"/proc/{process}/stat").exists() or Path(f"/proc/{process}/stat").read_text().split()[2] != "Z"
