"""A cell of a study: one model on one task."""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.studies import n_grams
from benchmarks.studies.grid import Cell
from benchmarks.studies.results import Facts, Values
from pretrain.evaluate.evaluation import evaluate
from pretrain.evaluate.hardware import Hardware
from pretrain.evaluate.leaderboard.outcomes_file import read_outcomes
from pretrain.evaluate.noise import NOISES
from pretrain.evaluate.trials import Trials
from pretrain.subject import load_subject

KEPT = (
    "task", "title", "split", "metric", "scores", "part", "items", "longest_row", "steps", "devices", "compute", "seconds",
    "software",
)  # fmt: skip
"""Of what TASK.json says."""


def run_cell(cell: Cell, place: Path | None, data: Path, work: Path) -> tuple[Facts, Sequence[Values]]:
    """What a cell gives, and what each item says of the headline metric by fine-tuning seed.

    - `place`: of the model; None where it has none.
    - `work`: gets the predictions of each fine-tuning; a killed cell resumes at the next one.
    """
    if place is None:
        return n_grams.run_cell(cell, data)
    task, to = cell.task.task, work / "evaluations" / place.name / cell.task.column
    trials = Trials(
        cell.task.settings,
        Hardware(),
        seeds=cell.fine_tuning_seeds,
        train_rows=cell.task.train_rows,
        frozen=cell.task.frozen,
        every_epoch=False,
    )
    subject, noise = load_subject(place), {}
    if cell.task.noise:
        began = time.perf_counter()
        noised = evaluate(subject, task, data, replace(trials, seeds=1, noises=tuple(NOISES)), to)
        noise = {
            "noise": noised["noise"],
            "noise_seconds": round(time.perf_counter() - began - sum(noised["seconds"].values()), 1),
        }
    result = evaluate(subject, task, data, trials, to)
    return {**{name: result[name] for name in KEPT}, **noise}, read_outcomes(to / task.name)
