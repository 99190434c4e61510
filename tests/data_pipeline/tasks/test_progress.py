"""On a terminal a stage shows how fast it goes and how long it will take; elsewhere it is one line."""

import io
import logging
import re
import time

import pytest
from rich.console import Console

from data_pipeline.contract.storage import InputFile
from data_pipeline.tasks.cost import Cost
from data_pipeline.tasks.progress import StageProgress
from data_pipeline.tasks.shard_task import Done, ShardTask


def tasks(sizes: list[int]) -> list[ShardTask]:
    return [
        ShardTask("documents", str(number), "shard_operations:write_text", "corpus", {"file": (InputFile("a", size, ""),)})
        for number, size in enumerate(sizes)
    ]  # fmt: skip


def done(task: ShardTask) -> Done:
    return Done(task, {}, {"documents": 5, "text_bytes": 3_000_000}, Cost(1.0, 1.0, 50.0))


def test_the_bar_tells_megabytes_a_second_and_the_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    screen, clock = io.StringIO(), [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    [found, first, second] = listed = tasks([500, 100, 300])
    console = Console(file=screen, force_terminal=True, width=100)
    with StageProgress("documents", listed, "documents", console) as progress:
        progress.task_found(done(found))
        clock[0] += 10
        progress.task_done(done(first))
        assert progress._bar is not None
        progress._bar.refresh()
        shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.getvalue())
        # 3 MB in 10 s; 300 of 400 bytes are left. What an earlier run did is in neither.
        assert re.search(r"documents .* 2/3, 0\.30 MB/s 0:00:\d\d 0:00:30 left", shown), shown
        clock[0] += 30
        progress.task_done(done(second))


def test_elsewhere_there_is_one_line(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    [task] = tasks([100])
    with caplog.at_level(logging.INFO, "data_pipeline"), StageProgress("documents", [task], "documents") as progress:
        progress.task_done(done(task))
    assert re.fullmatch(
        r"documents       5 documents in 0\.0 s \(1\.0 CPU s, 3\.0 MB of text, 3\.00 MB/s per core, peak 50 MB a worker\)",
        caplog.messages[0],
    )
    assert capfd.readouterr().out == ""


def test_amounts_are_counted_whatever_holds_them_and_units_have_blanks(caplog: pytest.LogCaptureFixture) -> None:
    [task] = tasks([100])
    for counts, told in (
        ({"near_duplicates": 3}, "survivors       3 near duplicates in"),
        ({"examples": {"near duplicates, and what stays": [{}, {}]}}, "survivors       2 examples in"),
    ):
        [unit] = counts
        with caplog.at_level(logging.INFO, "data_pipeline"), StageProgress("survivors", [task], unit) as progress:
            progress.task_done(Done(task, {}, counts, Cost(1.0, 1.0, 50.0)))
        assert caplog.messages[-1].startswith(told)
