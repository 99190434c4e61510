"""A task from its files to `evaluation/TASK.json`: fine-tuning with several seeds, and their scores."""

import logging
from collections.abc import Callable, Mapping, Sequence
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
from pretrain.evaluate.kinds.registry import KINDS
from pretrain.evaluate.leaderboard.errors import confusion, worst_errors
from pretrain.evaluate.leaderboard.outcomes import OUTCOMES, item_values
from pretrain.evaluate.leaderboard.outcomes_file import digest, write_outcomes
from pretrain.evaluate.leaderboard.task_page import write_task_page
from pretrain.evaluate.metrics.libraries import check_libraries
from pretrain.evaluate.noise import noisy
from pretrain.evaluate.scoring import metric_inputs
from pretrain.evaluate.seeds import SeedFile, fingerprint_of
from pretrain.evaluate.selection import LAST, Scorer, in_words, noise_told, noised_split, selected
from pretrain.evaluate.tasks.examples import Example, TagExample, TextExample
from pretrain.evaluate.tasks.files import read_split
from pretrain.evaluate.tasks.task import Settings, Split, Task
from pretrain.evaluate.tuner import TRAIN, Epoch, Tuner
from pretrain.exporting.asked import Asked
from pretrain.exporting.card_of_task import task_card
from pretrain.exporting.fine_tuned import export_tuned
from pretrain.exporting.model_index import Result
from pretrain.models.task_heads import CLASSES, PIPELINES
from pretrain.recipe_fields import limits
from pretrain.subject import Subject

log = logging.getLogger(__name__)

OTHER = "other"
"""What model-index calls a task that the hub has no pipeline for."""
DRAWING = 0
"""Seed of the rows that a part of the training file is."""


@dataclass(frozen=True)
class Trials:
    """How a task is evaluated.

    - `seeds`: how many; they count from `settings.seed`.
    - `train_rows`: examples that are drawn of the training file, the same for all seeds and models; None means all.
    - `frozen`: a linear probe.
    - `every_epoch`: whether every epoch is scored; else the last one is, and selected.
    - `export`: whether the model of the first seed is written, after its last epoch.
    - `noises`: of `pretrain.evaluate.noise.NOISES`: the scored split is predicted with each of them, too, after the last epoch.
    """

    settings: Settings
    hardware: Hardware = field(default_factory=Hardware)
    seeds: int = 5
    train_rows: int | None = None
    frozen: bool = False
    every_epoch: bool = True
    export: bool = False
    noises: tuple[str, ...] = ()


def evaluate(subject: Subject, task: Task, data: Path | None, trials: Trials, to: Path) -> dict[str, Any]:
    """Fine-tunes a model on a task and scores it; returns what `to`/TASK.json says, on the first process.

    - `data`: the folder of the task's files, or None (`pretrain.evaluate.tasks.files.find_file`).
    - `to`: gets TASK.json, the same as a page, TASK.md, and TASK/ with a file for each seed and what each item says of the headline
      metric. What an earlier call with the same model, rows and settings has left there is not computed again.

    Raises InputError where settings, files and model do not go together, and for the export of a head that transformers has not.
    """
    check_libraries()
    _check(trials, task)
    if not trials.every_epoch:
        task = replace(task, select="last")
    head = head_of(task, trials.settings)
    if trials.export and head.kind not in CLASSES:
        raise InputError(f"--export: transformers has no class with a head for {task.title}; leave --export out")
    encoded, parts = _read(subject, task, data, trials)
    scored = encoded[task.scored].examples
    with_noise = {
        noised_split(task.scored, noise): encode_split(
            subject, task, [noisy(example, noise) for example in _texts(scored)], trials.settings
        )
        for noise in trials.noises
    }
    splits, noised = ({split: found.rows for split, found in each.items()} for each in (encoded, with_noise))
    tuner = Tuner(subject, head, splits, trials.settings, trials.hardware, frozen=trials.frozen)
    scorer = Scorer(task, {**encoded, **with_noise})
    decided = {
        "settings": replace(trials.settings, seed=0),
        "head": head,
        "frozen": trials.frozen,
        "every_epoch": trials.every_epoch,
        "compute": [tuner.compute_dtype, trials.hardware.dropout_rng],
        "task": task.name,
        "code": software_versions()["code"],
    }
    fingerprints = [fingerprint_of(subject, rows, decided) for rows in (splits, {**splits, **noised})]
    seeds = [(trials.settings.seed + number) % 2**32 for number in range(trials.seeds)]
    runs: dict[int, list[Epoch]] = {}
    curves: dict[int, list[dict[str, Any]]] = {}

    def export(exported: Path, seed: int, epoch: Mapping[str, Any]) -> str:
        scores, kind = epoch["scores"][task.scored], PIPELINES[head.kind]
        shown = Result(task.name, task.title, kind, task.scored, parts, scores, {}, 1, LAST)
        settings, tuned = {**asdict(trials.settings), "seed": seed}, tuner.tuned()
        card = task_card(tuned, shown, settings, pair=task.pair, frozen=trials.frozen)
        return export_tuned(tuned, exported, card, _asked(task, scored, trials.settings, tuner.longest))

    for seed in seeds:
        files = [
            SeedFile(to / task.name / f"seed-{seed}{ending}.npz", fingerprint)
            for ending, fingerprint in zip(("", "-noise"), fingerprints, strict=True)
        ]
        exported = to / task.name / "model" if trials.export and seed == seeds[0] else None
        runs[seed], curves[seed] = _seed(tuner, seed, files, scorer, noised, trials.every_epoch, exported, export)
    if jax.process_index():
        return {}
    chosen, told_scores = selected(task, trials.settings, curves)
    seconds = {
        what: round(sum(epoch[what] for curve in curves.values() for epoch in curve), 3)
        for what in ("train", "predict", "compile")
    }
    answers = {seed: scorer.answers(runs[seed][place], task.scored) for seed, place in chosen.items()}
    result = {
        "task": task.name,
        "title": task.title,
        "task_type": PIPELINES.get(head.kind, OTHER),
        "model": subject.origin,
        "step": subject.step,
        "split": task.scored,
        "metric": task.metrics[0],
        **told_scores,
        **({"noise": noise_told(task.scored, trials.noises, list(curves.values()))} if trials.noises else {}),
        "part": parts,
        "items": {"count": len(scored), "sha256": digest(scored)},
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
        "seconds": seconds,
        "accelerator_hours": round(tuner.mesh.size * sum(seconds.values()) / 3600, 6),
        "epochs": {str(seed): curve for seed, curve in curves.items()},
        **_errors(task, scored, list(answers.values())),
        "software": software_versions(),
    }
    with machine_errors_at(to):
        if (metric := task.metrics[0]) in OUTCOMES:
            values = {seed: item_values(metric, task, scored, each) for seed, each in answers.items()}
            write_outcomes(to / task.name, values)
        write_json(to / f"{task.name}.json", result)
        write_task_page(result, to)
    return result


def _asked(task: Task, examples: Sequence[Example], settings: Settings, longest: int) -> Asked:
    """How the model is asked for what it is scored by here."""
    return Asked(
        task.kind,
        characters=any(isinstance(example, TagExample) and not example.separator for example in examples),
        answerable=task.answerable,
        max_length=longest,
        document_stride=settings.document_stride,
        max_query_length=settings.max_query_length,
        max_answer_length=settings.max_answer_length,
    )


def _errors(task: Task, examples: Sequence[Example], answers: Sequence[Sequence[Any]]) -> dict[str, Any]:
    """Where the model is wrong, for tasks with one class or score for each item.

    - `answers`: of each seed a prediction for each example.
    """
    if KINDS[task.kind].head != "classifier":
        return {}
    inputs = [metric_inputs(task, examples, each) for each in answers]
    matrix = (
        {"confusion": {"labels": list(task.labels), "items": confusion(inputs, task.labels)}} if task.labels else {}
    )
    return {**matrix, "worst_errors": worst_errors(inputs, examples, task.labels)}


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
    if trials.noises and not KINDS[task.kind].of_texts:
        raise InputError(
            f"--noise: changes texts with a class or a score; {task.title} is a task of the kind {task.kind}"
        )


def _read(
    subject: Subject, task: Task, data: Path | None, trials: Trials
) -> tuple[dict[str, EncodedSplit], dict[str, str]]:
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


def _texts(examples: Sequence[Example]) -> list[TextExample]:
    """The same, as texts: `_check` has refused noise for all others."""
    return [example for example in examples if isinstance(example, TextExample)]


def _seed(
    tuner: Tuner,
    seed: int,
    files: Sequence[SeedFile],
    scorer: Scorer,
    noised: Mapping[str, LabelledRows],
    every_epoch: bool,
    exported: Path | None,
    export: Callable[[Path, int, Mapping[str, Any]], str],
) -> tuple[list[Epoch], list[dict[str, Any]]]:
    """The epochs of a seed and its curve, whose last point also has the scores of the noised splits.

    - `files`: which keep the epochs, and the predictions on the noised splits.
    """
    kept, kept_noise = files
    stored, stored_noise = kept.read(), kept_noise.read() if noised else []
    # The first process has the files, and all must do the same.
    if told(stored is not None and stored_noise is not None and (exported is None or exported.is_dir())):
        log.info("seed %d: is in %s", seed, kept.path)
        epochs = stored or []
        curve = [scorer.told(seed, epoch) for epoch in epochs]
        noise = stored_noise[0] if stored_noise else None
    else:
        epochs, curve, noise = [], [], None
        for epoch in tuner.epochs(seed, predict_each=every_epoch):
            epochs.append(epoch)
            curve.append(scorer.told(seed, epoch))
        if noised:
            predictions = {split: tuner.predict(tuner.params, rows) for split, rows in noised.items()}
            noise = replace(epochs[-1], predictions=predictions)
        if jax.process_index() == 0:
            with machine_errors_at(kept.path):
                kept.write(epochs, tuner.splits)
                if noise is not None:
                    kept_noise.write([noise], noised)
            if exported is not None:
                log.info("%s: %s", exported, export(exported, seed, curve[-1]))
    if noise is not None:
        scores = scorer.scores(noise)
        for split, found in scores.items():
            log.info("seed %d, %s: %s", seed, split, in_words(found))
        curve[-1]["scores"] = {**curve[-1]["scores"], **scores}
    return epochs, curve
