"""Operations for the tests of shard tasks and engines; workers find them by name."""

import errno
import os
import signal
import time
from pathlib import Path
from typing import Any

from data_pipeline.contract.errors import InputError
from data_pipeline.tasks.shard_task import ShardTask


def write_text(task: ShardTask, folder: Path) -> dict[str, Any]:
    """Writes `parameters["text"]`, notes the call beside the run, and counts."""
    (folder / "text.txt").write_text(task.parameters["text"], encoding="utf-8")
    with open(task.parameters["calls"], "a", encoding="utf-8") as calls:
        calls.write(f"{task.name}\n")
    return {"characters": len(task.parameters["text"]), "by_length": {"short": 1}}


def work_hard(task: ShardTask, folder: Path) -> dict[str, Any]:
    """Takes at least 0.2 s of the processor, and says how long, and 100 MB of memory."""
    start = time.process_time()
    filled = b"x" * 100_000_000
    while time.process_time() - start < 0.2:
        filled.count(b"y", 0, 1000)
    return {**write_text(task, folder), "text_bytes": 1_000_000, "spent": time.process_time() - start}


def die_once(task: ShardTask, folder: Path) -> dict[str, Any]:
    """Kills its own process the first time, after half of the output."""
    mark = Path(task.parameters["calls"] + task.name)
    if not mark.exists():
        mark.touch()
        (folder / "text.txt").write_text("half", encoding="utf-8")
        os.kill(os.getpid(), signal.SIGKILL)
    return write_text(task, folder)


def die_always(task: ShardTask, folder: Path) -> dict[str, Any]:
    os.kill(os.getpid(), signal.SIGKILL)
    return {}


def wrong_input(task: ShardTask, folder: Path) -> dict[str, Any]:
    (folder / "text.txt").write_text("half", encoding="utf-8")
    raise InputError("corpus/part.jsonl:3: not JSON")


def bug(task: ShardTask, folder: Path) -> dict[str, Any]:
    (folder / "text.txt").write_text("half", encoding="utf-8")
    raise ZeroDivisionError


def full_disk(task: ShardTask, folder: Path) -> dict[str, Any]:
    raise OSError(errno.ENOSPC, "No space left on device")


def slow(task: ShardTask, folder: Path) -> dict[str, Any]:
    """Tells its process id, then takes its time."""
    Path(task.parameters["calls"] + task.name).write_text(str(os.getpid()), encoding="utf-8")
    time.sleep(60)
    return {}


def hold(task: ShardTask, folder: Path) -> dict[str, Any]:
    """Notes its process id, and waits until it is let go."""
    with open(task.parameters["calls"] + task.name, "a", encoding="utf-8") as mark:
        mark.write(f"{os.getpid()}\n")
    end = time.monotonic() + 300
    while not Path(task.parameters["calls"] + "-let-go").exists():
        assert time.monotonic() < end
        time.sleep(0.05)
    return write_text(task, folder)
