"""What was evaluated, as the hub reads it: the `model-index` of a card's metadata, and the same as a table for people."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.storage import read_json

EVALUATION = "evaluation"
"""The folder of a run that has a JSON file for each task."""

TYPES: Mapping[str, str] = {
    "acc": "accuracy",
    "accuracy": "accuracy",
    "f1": "f1",
    "pearson": "pearsonr",
    "pearsonr": "pearsonr",
    "spearman": "spearmanr",
    "em": "exact_match",
    "exact": "exact_match",
}
"""The metrics of the hub, by a word in the names of ours."""


@dataclass(frozen=True)
class Result:
    """The scores of a task.

    - `name`, `title`: the task's, `nsmc` and `NSMC`. - `task_type`: the hub's, `text-classification`.
    - `split`: whose scores these are. - `part`: how much of it, and of the training data, by split in words.
    - `scores`: by metric; None where it is not defined. - `deviations`: over the seeds, None for one seed.
    - `seeds`: how many. - `selected`: the epoch in words.
    """

    name: str
    title: str
    task_type: str
    split: str
    part: Mapping[str, str]
    scores: Mapping[str, float | None]
    deviations: Mapping[str, float | None]
    seeds: int
    selected: str


def evaluated(run: Path, step: int) -> list[Result]:
    """What was evaluated of a run's checkpoint, by the name of the task; what is of another step is left out.

    Raises InputError for a file that evaluate did not write.
    """
    found = []
    for path in sorted((run / EVALUATION).glob("*.json")):
        told = read_json(path)
        if not isinstance(told, dict) or told.get("step") != step:
            continue
        try:
            scores: Mapping[str, Mapping[str, Any]] = told["scores"]
            found.append(
                Result(
                    told["task"],
                    told["title"],
                    told["task_type"],
                    told["split"],
                    told["part"],
                    {name: each["mean"] for name, each in scores.items()},
                    {name: each["deviation"] for name, each in scores.items()},
                    len(told["settings"]["seeds"]),
                    told["selected"] + (", linear probe" if told["settings"]["frozen"] else ""),
                )
            )
        except (AttributeError, KeyError, TypeError) as error:
            raise InputError(f"{path}: not as evaluate writes it ({error!r}); evaluate again or move it away") from None
    return found


def model_index(name: str, results: Sequence[Result]) -> list[str]:
    """Lines of a card's metadata; none where nothing was evaluated. What JSON writes is YAML, too."""
    if not results:
        return []
    lines = ["model-index:", f"- name: {_quoted(name)}", "  results:"]
    for result in results:
        lines += [
            f"  - task: {{type: {result.task_type}}}",
            f"    dataset: {{type: {_quoted(result.name)}, name: {_quoted(result.title)}, split: {_quoted(result.split)}}}",
            "    metrics:",
        ]
        for metric, value in result.scores.items():
            if value is not None:
                lines.append(
                    f"    - {{type: {_type(metric)}, value: {value!r}, name: {_quoted(_words(result, metric))}}}"
                )
    return lines


def results_table(results: Sequence[Result]) -> str:
    """A Markdown table of the results."""
    lines = ["| task | split | metric | score | of | data |", "|---|---|---|---|---|---|"]
    for result in results:
        part = "; ".join(f"{split}: {words}" for split, words in result.part.items())
        for metric, value in result.scores.items():
            deviation = result.deviations.get(metric)
            score = "not defined" if value is None else f"{value:.4g}"
            spread = "" if deviation is None else f" ± {deviation:.2g}"
            cells = (result.title, result.split, f"`{metric}`", f"{score}{spread}", _of(result), part)
            lines.append(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |")
    return "\n".join(lines)


def _of(result: Result) -> str:
    return f"{result.selected}, {f'mean of {result.seeds} seeds' if result.seeds > 1 else 'one seed'}"


def _words(result: Result, metric: str) -> str:
    return f"{metric} ({_of(result)})"


def _type(metric: str) -> str:
    """The hub's name for metrics of this kind; the card's `name` says which it is."""
    return next((theirs for ending, theirs in TYPES.items() if ending in metric.split("_")), "other")


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
