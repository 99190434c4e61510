"""Published rows."""

import re
from pathlib import Path

import pytest

from pretrain.evaluate.leaderboard.published import PUBLISHED, best_on_scored
from pretrain.evaluate.metrics import METRICS
from pretrain.evaluate.tasks.registry import TASKS

RECIPES = Path(__file__).parents[4].parent / "shared" / "recipes.md"


def test_rows_have_the_metrics_of_the_tasks_and_nothing_for_an_empty_cell() -> None:
    headlines = {task.metrics[0] for task in TASKS.values()}
    assert headlines <= {metric for row in PUBLISHED for metric in row.scores} <= set(METRICS)
    (funnel,) = (row for row in PUBLISHED if row.model == "funnel-kor-base")
    assert "kornli_acc" not in funnel.scores
    assert funnel.scores["korsts_spearman"] == 84.52


def test_every_score_is_that_of_the_survey() -> None:
    if not RECIPES.is_file():
        pytest.skip(f"{RECIPES} is not here: the survey from which the rows were taken")
    rows = [
        [float(value) for value in re.findall(r"\d+\.\d+", line)]
        for line in RECIPES.read_text(encoding="utf-8").splitlines()
        if line.startswith("| ")
    ]
    for row in PUBLISHED:
        scores = list(row.scores.values())
        # The dev table has the average as its last column.
        assert scores in [other[: len(scores)] for other in rows if len(other) - len(scores) in (0, 1)], row


def test_the_best_epoch_on_the_scored_file_is_marked_where_a_suite_prints_it() -> None:
    marked = {
        (row.split, name): best_on_scored(row, TASKS[name])
        for row in PUBLISHED
        for name in TASKS
        if TASKS[name].metrics[0] in row.scores
    }
    assert marked["dev", "klue_nli"]
    assert not marked["test", "klue_nli"], "its labels are private"
    assert marked[None, "nsmc"]
    assert not marked[None, "korsts"]
