import contextlib
import json
import time
from pathlib import Path
from typing import Any

import pytest

from data_pipeline.contract.errors import WorkError
from pretrain.monitoring import goodput as module
from pretrain.monitoring.goodput import Goodput, goodput_line, lost_seconds


def line(step: int, seconds: float, data_wait: float = 0.0) -> dict[str, Any]:
    return {"step": step, "loss": 1.0, "seconds": seconds, "data_wait": data_wait}


def test_what_was_trained_after_the_checkpoint_is_lost_and_evaluations_are_no_training() -> None:
    lines = [line(10, 5), line(20, 6), {"step": 20, "evaluation_loss": 1.0}, line(30, 7, 0.5), line(40, 8)]
    assert lost_seconds(lines, 20) == 11.5
    assert lost_seconds(lines, 40) == 0


def test_the_line_tells_where_the_time_went_over_all_starts() -> None:
    nothing = {"compile": 0.0, "data_wait": 0.0, "checkpoint": 0.0, "evaluation": 0.0, "lost": 0.0}
    first = {**nothing, "from_step": 0, "seconds": 3000.0, "training": 2700.0, "compile": 150.0, "checkpoint": 60.0}
    second = {**nothing, "from_step": 20, "seconds": 1000.0, "training": 900.0, "lost": 400.0, "data_wait": 20.0}
    assert goodput_line([first, second]) == (
        "goodput 80.0% of 1 h 06 min in 2 starts: compile 3.8%, data wait 0.5%, checkpoint 1.5%, evaluation 0.0%, probes 0.0%, "
        "lost to restarts 10.0%, other 4.2%"
    )


def test_the_parts_of_a_restarted_run_add_up_to_its_time(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line(step, 0.5)) + "\n" for step in (1, 2, 3)))
    earlier = {
        "seconds": 3.0,
        "training": 1.5,
        "compile": 1.0,
        "data_wait": 0,
        "checkpoint": 0,
        "evaluation": 0,
        "lost": 0,
    }
    (tmp_path / "goodput.json").write_text(json.dumps([{"from_step": 0, **earlier}]))
    goodput = Goodput(tmp_path, 2, time.perf_counter())
    with goodput.spent_on("compile"):
        time.sleep(0.05)
    goodput.add_training(3, 0.3, 0.1)
    goodput.keep()
    first, second = json.loads((tmp_path / "goodput.json").read_text())
    assert first["seconds"] == 3.0
    assert second["from_step"] == 2
    assert second["lost"] == 0.5
    assert second["training"] == pytest.approx(0.2)
    assert second["data_wait"] == 0.1
    assert second["compile"] >= 0.05
    assert goodput.hourly_line() is None
    goodput._told -= 3601
    assert "in 2 starts" in (goodput.hourly_line() or "")
    assert goodput.hourly_line() is None


def test_the_share_of_a_part_is_that_over_all_starts_with_what_it_would_take_more(tmp_path: Path) -> None:
    """The first start is of older code, which had no probes."""
    (tmp_path / "goodput.json").write_text(json.dumps([{"from_step": 0, "seconds": 100.0, "training": 90.0}]))
    goodput = Goodput(tmp_path, 0, time.perf_counter() - 60)
    goodput.now["probes"] = 10.0
    assert goodput.share_with("probes", 40.0) == pytest.approx((10 + 40) / (100 + 60 + 40), rel=1e-3)


def stored(folder: Path) -> list[dict[str, float]]:
    found: list[dict[str, float]] = json.loads((folder / "goodput.json").read_text())
    return found


def test_a_start_that_is_killed_before_its_first_log_line_leaves_its_time(tmp_path: Path) -> None:
    killed = Goodput(tmp_path, 0, time.perf_counter() - 100)
    killed.keep()
    assert stored(tmp_path)[0]["seconds"] >= 100
    with contextlib.suppress(MemoryError), killed.spent_on("compile"):
        time.sleep(0.05)
        raise MemoryError
    Goodput(tmp_path, 0, time.perf_counter()).keep()
    first, second = stored(tmp_path)
    assert first["compile"] >= 0.05
    assert second["lost"] == 0, "no step was taken"


@pytest.mark.parametrize(("resumed_from", "lost"), [(10, 8.0), (12, 4.0), (14, 0.0), (15, 0.0), (8, 8.0)])
def test_steps_after_the_last_log_line_are_known_and_lost_as_far_as_they_are_taken_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resumed_from: int, lost: float
) -> None:
    monkeypatch.setattr(module, "KEPT", -1.0)
    killed = Goodput(tmp_path, 0, time.perf_counter() - 20)
    killed.keep()
    killed.add_training(10, 5.0, 1.0)
    for step in (11, 12, 13, 14):
        killed.reached(step, 2.25 * (step - 10), 0.25 * (step - 10))
    (start,) = stored(tmp_path)
    assert (start["training"], start["data_wait"]) == (12.0, 2.0)
    Goodput(tmp_path, resumed_from, time.perf_counter()).keep()
    assert stored(tmp_path)[1]["lost"] == lost
    third = Goodput(tmp_path, resumed_from, time.perf_counter())
    assert third.now["lost"] == 0, "what was lost is counted once"


def test_between_log_lines_the_file_is_written_now_and_then(tmp_path: Path) -> None:
    goodput = Goodput(tmp_path, 0, time.perf_counter())
    goodput.reached(1, 0.1, 0.0)
    assert not goodput.path.exists(), "of several processes one writes"
    goodput.keep()
    before = goodput.path.stat().st_ino
    goodput.reached(2, 0.2, 0.0)
    assert goodput.path.stat().st_ino == before
    goodput._kept -= module.KEPT
    goodput.reached(3, 0.3, 0.0)
    assert stored(tmp_path)[0]["unlogged"] == pytest.approx(0.3)


def test_what_failed_is_told_though_the_disk_is_too_full_for_this_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    goodput = Goodput(tmp_path, 0, 0.0)
    goodput.keep()

    def full(path: Path, value: Any) -> None:
        raise WorkError(f"{path}: no space left on the disk")

    monkeypatch.setattr(module, "write_json", full)
    with pytest.raises(ValueError, match="the checkpoint"), goodput.spent_on("checkpoint"):
        raise ValueError("the checkpoint")
    with pytest.raises(WorkError, match="no space"), goodput.spent_on("evaluation"):
        """Nothing fails but the file."""
