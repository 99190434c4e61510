import json
import time
from pathlib import Path
from typing import Any

import pytest

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
        "goodput 80.0% of 1 h 06 min in 2 starts: compile 3.8%, data wait 0.5%, checkpoint 1.5%, evaluation 0.0%, "
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
    goodput.add_training(0.3, 0.1)
    goodput.write()
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
