"""A task from its files to `evaluation/TASK.json`: fine-tuning with several seeds, and their scores."""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np

from data_pipeline.contract.errors import InputError, machine_errors_at
from data_pipeline.contract.run_folder import software_versions
from data_pipeline.contract.storage import write_json
from pretrain.devices.broadcast import told
from pretrain.evaluate.encoding import LabelledRows
from pretrain.evaluate.forms import EncodedSplit, encode_split, head_of
from pretrain.evaluate.hardware import Hardware
from pretrain.evaluate.seeds import SeedFile, fingerprint_of
from pretrain.evaluate.statistics import summarize
from pretrain.evaluate.tasks.files import read_split
from pretrain.evaluate.tasks.task import Settings, Split, Task
from pretrain.evaluate.tuner import TRAIN, Epoch, Tuner
from pretrain.exporting.fine_tuned import export_tuned
from pretrain.recipe_fields import limits
from pretrain.subject import Subject

log = logging.getLogger(__name__)

DRAWING = 0
"""Seed of the rows that a part of the training file is."""
LAST, BEST_ON_DEV, BEST_ON_SCORED = "last epoch", "best epoch on dev", "best epoch on the scored file"
"""How the epoch was selected whose scores are told."""


@dataclass(frozen=True)
class Trials:
    """How a task is evaluated.

    - `seeds`: how many; they count from `settings.seed`.
    - `train_rows`: examples that are drawn of the training file, the same for all seeds and models; None means all.
    - `frozen`: a linear probe.
    - `every_epoch`: whether every epoch is scored; else the last one is, and selected.
    - `export`: whether the model of the first seed is written, after its last epoch.
    """

    settings: Settings
    hardware: Hardware = field(default_factory=Hardware)
    seeds: int = 5
    train_rows: int | None = None
    frozen: bool = False
    every_epoch: bool = True
    export: bool = False


def evaluate(subject: Subject, task: Task, data: Path, trials: Trials, to: Path) -> dict[str, Any]:
    """Fine-tunes a model on a task and scores it; returns what `to`/TASK.json says, on the first process.

    - `data`: the folder of the task's files (`pretrain.evaluate.tasks.files.find_file`).
    - `to`: gets TASK.json, and TASK/ with a file for each seed. What an earlier call with the same model, rows and settings has left
      there is not computed again.

    Raises InputError where settings, files and model do not go together.
    """
    _check(trials, task)
    if not trials.every_epoch:
        task = replace(task, select="last")
    head = head_of(task, trials.settings)
    encoded, parts = _read(subject, task, data, trials)
    splits = {split: found.rows for split, found in encoded.items()}
    tuner = Tuner(subject, head, splits, trials.settings, trials.hardware, frozen=trials.frozen)
    decided = {
        "settings": replace(trials.settings, seed=0),
        "head": head,
        "frozen": trials.frozen,
        "every_epoch": trials.every_epoch,
        "compute": [tuner.compute_dtype, trials.hardware.dropout_rng],
        "task": task.name,
        "code": software_versions()["code"],
    }
    fingerprint = fingerprint_of(subject, splits, decided)
    seeds = [(trials.settings.seed + number) % 2**32 for number in range(trials.seeds)]
    curves: dict[int, list[dict[str, Any]]] = {}
    for seed in seeds:
        kept = SeedFile(to / task.name / f"seed-{seed}.npz", fingerprint)
        exported = to / task.name / "model" if trials.export and seed == seeds[0] else None
        curves[seed] = _seed(tuner, seed, kept, encoded, trials.every_epoch, exported)
    if jax.process_index():
        return {}
    result = {
        "task": task.name,
        "title": task.title,
        "model": subject.origin,
        "split": task.scored,
        **_selected(task, trials.settings, curves),
        "part": parts,
        "settings": {
            **asdict(trials.settings),
            "seeds": seeds,
            "train_rows": trials.train_rows,
            "frozen": trials.frozen,
        },
        "longest_row": tuner.longest,
        "steps": tuner.steps,
        "compute": {**asdict(trials.hardware), "compute_dtype": tuner.compute_dtype},
        "devices": f"{tuner.mesh.size} x {tuner.mesh.devices.flat[0].device_kind}",
        "seconds": {
            what: round(sum(epoch[what] for curve in curves.values() for epoch in curve), 3)
            for what in ("train", "predict", "compile")
        },
        "epochs": {str(seed): curve for seed, curve in curves.items()},
        "software": software_versions(),
    }
    with machine_errors_at(to):
        write_json(to / f"{task.name}.json", result)
    return result


def _check(trials: Trials, task: Task) -> None:
    for name, value, limit in limits(trials.settings):
        if not limit.holds(value):
            raise InputError(f"settings.{name} {value}: must be {limit.words}")
    for name in ("seeds", "train_rows"):
        value = getattr(trials, name)
        if value is not None and value < 1:
            raise InputError(f"{name} {value}: must be 1 or more")
    if trials.settings.select_by not in (None, *task.metrics):
        raise InputError(
            f"settings.select_by {trials.settings.select_by}: {task.title} has the metrics {', '.join(task.metrics)}"
        )


def _read(subject: Subject, task: Task, data: Path, trials: Trials) -> tuple[dict[str, EncodedSplit], dict[str, str]]:
    """Each split that is needed, and in words what part of the official data they are."""
    wanted: list[Split] = ["train", "dev", task.scored] if task.select == "dev" else ["train", task.scored]
    splits: dict[str, EncodedSplit] = {}
    parts: dict[str, str] = {}
    for split in dict.fromkeys(wanted):
        found = read_split(task, data, split)
        examples, parts[split] = found.examples, found.part
        if split == TRAIN and trials.train_rows is not None and trials.train_rows < len(examples):
            drawn = np.random.default_rng(DRAWING).permutation(len(examples))[: trials.train_rows]
            examples = [examples[number] for number in np.sort(drawn)]
            parts[split] += f", of which {len(examples):,} were drawn"
        splits[split] = encode_split(subject, task, examples, trials.settings)
        log.info("%s: %s; %s", task.title, parts[split], _in_words(splits[split].rows))
    return splits, parts


def _in_words(rows: LabelledRows) -> str:
    lengths = rows.lengths
    return f"{lengths.mean():.1f} tokens a row, {lengths.max()} at most"


def _seed(
    tuner: Tuner,
    seed: int,
    kept: SeedFile,
    encoded: Mapping[str, EncodedSplit],
    every_epoch: bool,
    exported: Path | None,
) -> list[dict[str, Any]]:
    """The curve of a seed: of each epoch its losses, seconds and scores by split."""
    stored = kept.read()
    # The first process has the files, and all must do the same.
    if told(stored is not None and (exported is None or exported.is_dir())):
        log.info("seed %d: is in %s", seed, kept.path)
        return [_scored(seed, epoch, encoded) for epoch in stored or ()]
    epochs, curve = [], []
    for epoch in tuner.epochs(seed, predict_each=every_epoch):
        epochs.append(epoch)
        curve.append(_scored(seed, epoch, encoded))
    if jax.process_index() == 0:
        with machine_errors_at(kept.path):
            kept.write(epochs, tuner.splits)
        if exported is not None:
            log.info("%s: %s", exported, export_tuned(tuner.tuned(), exported))
    return curve


def _scored(seed: int, epoch: Epoch, encoded: Mapping[str, EncodedSplit]) -> dict[str, Any]:
    scores = {split: encoded[split].score(said) for split, said in epoch.predictions.items()}
    shown = "".join(
        f"; {split} {', '.join(f'{name} {value:.4f}' for name, value in found.items())}"
        for split, found in scores.items()
    )
    right = "" if encoded[TRAIN].task.kind == "score" else f", accuracy {epoch.accuracy:.4f}"
    log.info(
        "seed %d, epoch %d: loss %.4f%s%s (%d steps in %.1f s)",
        *(seed, epoch.number, epoch.loss, right, shown, epoch.steps, epoch.seconds),
    )
    return {
        "epoch": epoch.number,
        "loss": epoch.loss,
        "accuracy": epoch.accuracy,
        "scores": {split: {name: _finite(value) for name, value in found.items()} for split, found in scores.items()},
        "train": epoch.seconds,
        "predict": epoch.prediction_seconds,
        "compile": epoch.compile_seconds,
    }


def _finite(value: float) -> float | None:
    """JSON has no NaN."""
    return value if math.isfinite(value) else None


def _selected(task: Task, settings: Settings, curves: Mapping[int, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    """The scores of the epoch that is selected cleanly, and beside them those of a suite that selects on the scored file."""
    by = settings.select_by or task.metrics[0]

    def best(split: str) -> list[Mapping[str, Any]]:
        def score(epoch: Mapping[str, Any]) -> float:
            value = epoch["scores"][split][by]
            return -math.inf if value is None else float(value)

        return [max(curve, key=score) for curve in curves.values()]

    clean = best("dev") if task.select == "dev" else [curve[-1] for curve in curves.values()]
    found = {"selected": BEST_ON_DEV if task.select == "dev" else LAST, "scores": _scores(task, clean)}
    if task.select == "best_on_scored":
        found["as_the_suite_selects"] = {"selected": BEST_ON_SCORED, "scores": _scores(task, best(task.scored))}
    return found


def _scores(task: Task, epochs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """By metric: mean, deviation (None of a single seed) and each seed."""
    found = {}
    for name in task.metrics:
        each = [epoch["scores"][task.scored][name] for epoch in epochs]
        summary = summarize([math.nan if value is None else value for value in each])
        deviation = None if summary.deviation is None else _finite(summary.deviation)
        found[name] = {"mean": _finite(summary.mean), "deviation": deviation, "seeds": each}
    return found
