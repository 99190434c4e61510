"""Several tasks of several models, and their leaderboard."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import jax

from data_pipeline.contract.errors import InputError
from pretrain.evaluate.evaluation import evaluate
from pretrain.evaluate.leaderboard.board import write_leaderboard
from pretrain.evaluate.leaderboard.evaluated import EVALUATION
from pretrain.evaluate.tasks.files import DATA, find_file
from pretrain.evaluate.tasks.task import Split, Task
from pretrain.evaluate.trials import Trials
from pretrain.subject import load_subject

log = logging.getLogger("pretrain")


def evaluate_models(
    models: Mapping[str, Path], tasks: Sequence[tuple[Task, Trials]], data: Path | None, *, step: int | None = None
) -> None:
    """Evaluates every model on every task; what is done already is not computed again.

    - `models`: place of a model -> the folder that gets evaluation/.
    - `step`: of the runs' checkpoints; None means the newest valid one.

    Raises InputError where one of them cannot be read or is not fine-tuned here, before anything is evaluated.
    """
    if len(models) > 1:  # a wrong one is found before hours of work on those before it
        for place in models:
            _ = load_subject(place, step=step).head_maker
    for place, to in models.items():
        subject = load_subject(place, step=step)
        for task, trials in tasks:
            log.info("%s: %s", place, task.title)
            evaluate(subject, task, data, trials, to / EVALUATION)


def write_board(folders: Sequence[Path], to: Path, skipped: Mapping[str, str]) -> None:
    """`write_leaderboard`, by the first process alone."""
    if jax.process_index() == 0:
        write_leaderboard(folders, to, skipped)


def tasks_at_hand(tasks: Sequence[Task], data: Path | None, *, skip_missing: bool) -> tuple[list[Task], dict[str, str]]:
    """The tasks whose files are there; and of the others, why they cannot be evaluated.

    Raises InputError for these unless `skip_missing`.
    """
    reasons = {task.name: reason for task in tasks if (reason := _why_not(task, data))}
    if reasons and not skip_missing:
        first, *others = reasons.values()
        more = f"; {len(others)} other tasks cannot be evaluated, either" if others else ""
        rest = "; --skip-missing evaluates the rest" if len(reasons) < len(tasks) else ""
        raise InputError(f"{first}{more}{rest}")
    for name, reason in reasons.items():
        log.info("skipped: %s: %s", name, reason)
    found = [task for task in tasks if task.name not in reasons]
    if not found:
        raise InputError(
            f"--data {data or DATA}: none of the tasks {', '.join(reasons)} can be evaluated; {next(iter(reasons.values()))}"
        )
    return found, reasons


def _why_not(task: Task, data: Path | None) -> str:
    """Why a task cannot be evaluated; empty where it can be."""
    needed: list[Split] = ["train"]
    if not task.held_out:
        needed += ["dev", task.scored] if task.select == "dev" else [task.scored]
    try:
        for split in needed:
            find_file(task, data, split)
    except InputError as error:
        return str(error)
    return ""
