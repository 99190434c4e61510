"""The curve of a seed, and which of its epochs is selected."""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from pretrain.evaluate.forms import EncodedSplit
from pretrain.evaluate.leaderboard.statistics import summarize
from pretrain.evaluate.scoring import score
from pretrain.evaluate.tasks.task import Settings, Task
from pretrain.evaluate.tuner import Epoch

log = logging.getLogger("pretrain")

LAST, BEST_ON_DEV, BEST_ON_SCORED = "last epoch", "best epoch on dev", "best epoch on the scored file"
"""How the reported epoch was selected."""
Curve = Sequence[Mapping[str, Any]]
"""Of each epoch of a seed: losses, seconds, and scores by split and metric (None where a metric is undefined)."""


class ScoredEpoch(NamedTuple):
    """An epoch as a point of the curve, and its predictions of the scored split, one for each example; none where it was not predicted."""

    point: dict[str, Any]
    answers: list[Any]


@dataclass(frozen=True)
class Scorer:
    """Scores the predictions of a task.

    - `splits`: those that are predicted; `task.scored/NOISE` are noised.
    """

    task: Task
    splits: Mapping[str, EncodedSplit]

    def score(self, epoch: Epoch, split: str) -> tuple[dict[str, float | None], list[Any]]:
        """The scores of a split by metric, and the predictions that they are of, one for each example."""
        found = self.splits[split]
        answers = found.answers(epoch.predictions[split])
        return {name: _finite(value) for name, value in score(self.task, found.examples, answers).items()}, answers

    def scored(self, seed: int, epoch: Epoch) -> ScoredEpoch:
        """An epoch as a point of the curve; a line of the log says it, too."""
        found = {split: self.score(epoch, split) for split in epoch.predictions}
        scores = {split: values for split, (values, _) in found.items()}
        shown = "".join(f"; {split} {in_words(values)}" for split, values in scores.items())
        right = "" if self.task.kind == "score" else f", accuracy {epoch.accuracy:.4f}"
        log.info(
            "seed %d, epoch %d: loss %.4f%s%s (%d steps in %.1f s)",
            *(seed, epoch.number, epoch.loss, right, shown, epoch.steps, epoch.seconds),
        )
        point = {
            "epoch": epoch.number,
            "loss": epoch.loss,
            "accuracy": epoch.accuracy,
            "scores": scores,
            "train": epoch.seconds,
            "predict": epoch.prediction_seconds,
            "compile": epoch.compile_seconds,
        }
        _, answers = found.get(self.task.scored, ({}, []))
        return ScoredEpoch(point, answers)


def in_words(scores: Mapping[str, float | None]) -> str:
    return ", ".join(f"{name} {math.nan if value is None else value:.4f}" for name, value in scores.items())


def _finite(value: float) -> float | None:
    """JSON has no NaN."""
    return value if math.isfinite(value) else None


def selected(task: Task, settings: Settings, curves: Mapping[int, Curve]) -> tuple[dict[int, int], dict[str, Any]]:
    """Which epoch of each seed is selected cleanly, counted from 0; and its scores, beside those of a suite that selects on the scored
    file."""
    by = settings.select_by or task.metrics[0]

    def best(split: str) -> dict[int, int]:
        def score(epoch: Mapping[str, Any]) -> float:
            value = epoch["scores"][split][by]
            return -math.inf if value is None else float(value)

        return {seed: max(range(len(curve)), key=lambda place: score(curve[place])) for seed, curve in curves.items()}

    def scores(chosen: Mapping[int, int]) -> dict[str, Any]:
        return summaries([curves[seed][place]["scores"][task.scored] for seed, place in chosen.items()])

    clean = best("dev") if task.select == "dev" else {seed: len(curve) - 1 for seed, curve in curves.items()}
    found = {"selected": BEST_ON_DEV if task.select == "dev" else LAST, "scores": scores(clean)}
    if task.select == "best_on_scored":
        found["as_the_suite_selects"] = {"selected": BEST_ON_SCORED, "scores": scores(best(task.scored))}
    return clean, found


def summaries(by_seed: Sequence[Mapping[str, float | None]]) -> dict[str, dict[str, Any]]:
    """By metric: mean, deviation (None of a single seed) and each seed."""
    found = {}
    for name in by_seed[0]:
        each = [scores[name] for scores in by_seed]
        summary = summarize([math.nan if value is None else value for value in each])
        deviation = None if summary.deviation is None else _finite(summary.deviation)
        found[name] = {"mean": _finite(summary.mean), "deviation": deviation, "seeds": each}
    return found


def noise_told(scored: str, noises: Sequence[str], curves: Sequence[Curve]) -> dict[str, Any]:
    """Of the last epoch: its scores on the scored split, and on the split with each noise, with how many points these are lower.

    - `curves`: of each seed; the scores of their last points hold the noised splits.
    """
    last = [curve[-1]["scores"] for curve in curves]
    clean = summaries([scores[scored] for scores in last])
    found: dict[str, Any] = {"selected": LAST, "clean": clean}
    for noise in noises:
        found[noise] = summaries([scores[noised_split(scored, noise)] for scores in last])
        for name, summary in found[noise].items():
            means = clean[name]["mean"], summary["mean"]
            summary["drop"] = None if None in means else means[0] - means[1]
    return found


def noised_split(scored: str, noise: str) -> str:
    """What a split with noise is called."""
    return f"{scored}/{noise}"
