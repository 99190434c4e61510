"""Evaluations of several models as one leaderboard: what was scored, and who is ahead of whom."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import combinations
from pathlib import Path
from typing import Any

from data_pipeline.contract.storage import write_atomically, write_json
from pretrain.evaluate.leaderboard.curves import curves_png
from pretrain.evaluate.leaderboard.evaluated import Evaluated, read_evaluations
from pretrain.evaluate.leaderboard.outcomes import OUTCOMES
from pretrain.evaluate.leaderboard.outcomes_file import read_outcomes
from pretrain.evaluate.leaderboard.page import leaderboard_page
from pretrain.evaluate.leaderboard.statistics import compare_counted
from pretrain.evaluate.tasks.registry import TASKS

log = logging.getLogger("pretrain")

RANKED_ITEMS = 1_000
"""Items from which on models are ranked. Two models that differ on a tenth of the answers are 2 points apart within the 95 % interval of
1,000 items (1.96 sqrt(0.1 / 1000)), which is what separates published base models; below, a rank is mostly chance."""


def write_leaderboard(folders: Sequence[Path], to: Path, skipped: Mapping[str, str] | None = None) -> None:
    """Writes `to`/leaderboard.json, leaderboard.md, and each task's learning curves.

    - `folders`: evaluation/ of the models, or the folders above.
    - `skipped`: tasks that were not evaluated, and why.

    Raises InputError for a folder without evaluations.
    """
    models = read_evaluations(folders)
    facts = board(models, skipped or {})
    curves = {}
    for task in facts["tasks"]:
        drawn = curves_png(
            {model.name: model.results[task["task"]] for model in models if model.name in task["scores"]}
        )
        if drawn:
            curves[task["task"]] = f"{task['task']}.png"
            write_atomically(to / curves[task["task"]], drawn)
    write_json(to / "leaderboard.json", facts)
    write_atomically(to / "leaderboard.md", leaderboard_page(facts, models, to, curves).encode())
    log.info("%s", to / "leaderboard.md")


def board(models: Sequence[Evaluated], skipped: Mapping[str, str]) -> dict[str, Any]:
    """What leaderboard.json says: the models, and for each task its scores and comparisons."""
    known = list(TASKS)
    names = {task for model in models for task in model.results}
    ordered = sorted(names, key=lambda task: (known.index(task) if task in TASKS else len(known), task))
    return {
        "models": [
            {"name": model.name, "model": next(iter(model.results.values()))["model"], "folder": str(model.folder)}
            for model in models
        ],
        "tasks": [_task(task, [model for model in models if task in model.results]) for task in ordered],
        "skipped": dict(skipped),
        "ranked_from_items": RANKED_ITEMS,
    }


def _task(task: str, models: Sequence[Evaluated]) -> dict[str, Any]:
    results = {model.name: model.results[task] for model in models}
    first = next(iter(results.values()))
    # What was scored otherwise has no place in this column.
    alike = {
        name: result
        for name, result in results.items()
        if (result["metric"], result["split"]) == (first["metric"], first["split"])
    }
    items = min(result["items"]["count"] for result in results.values())
    compared: list[dict[str, Any]] = []
    not_compared: list[dict[str, Any]] = []
    for one, other in combinations(models, 2):
        found = _compared(task, one, other)
        (not_compared if "reason" in found else compared).append({"first": one.name, "second": other.name, **found})
    return {
        "task": task,
        "title": first["title"],
        "split": first["split"],
        "metric": first["metric"],
        "items": items,
        "ranked": items >= RANKED_ITEMS,
        "scores": {name: result["scores"][result["metric"]] for name, result in alike.items()},
        "selected": {name: result["selected"] for name, result in results.items()},
        "as_the_suite_selects": {
            name: result["as_the_suite_selects"]["scores"][result["metric"]]
            for name, result in alike.items()
            if "as_the_suite_selects" in result
        },
        "comparisons": compared,
        "not_compared": not_compared,
        "noise": {name: result["noise"] for name, result in alike.items() if "noise" in result},
        "accelerator_hours": {name: result["accelerator_hours"] for name, result in results.items()},
    }


def _compared(task: str, one: Evaluated, other: Evaluated) -> dict[str, Any]:
    """The comparison of two models by the headline metric, in its own unit, or the reason why there is none."""
    results = [model.results[task] for model in (one, other)]
    metric = results[0]["metric"]
    if any(result["metric"] != metric or result["split"] != results[0]["split"] for result in results):
        return {"reason": "they were scored by another metric or on another split"}
    if results[0]["items"] != results[1]["items"]:
        counts = [f"{result['items']['count']:,}" for result in results]
        return {
            "reason": f"they were scored on different items ({' and '.join(counts)}), or on other texts or labels of these"
        }
    if metric not in OUTCOMES:
        return {"reason": f"{metric} is not kept by item"}
    kept = [read_outcomes(model.folder / task, model.results[task].get("outcomes")) for model in (one, other)]
    if not all(kept):
        return {"reason": f"{task}/outcomes.npz is missing"}
    log.info("%s: %s and %s", results[0]["title"], one.name, other.name)
    first, second = ([OUTCOMES[metric].score(values) for values in each] for each in kept)
    return asdict(compare_counted(first, second, len(kept[0][0])))
