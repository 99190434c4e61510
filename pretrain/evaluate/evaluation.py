"""A task from its files to `evaluation/TASK.json`: fine-tuning with several seeds, and their scores."""

import logging
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np

from data_pipeline.contract.errors import InputError, machine_error, machine_errors_at
from data_pipeline.contract.run_folder import software_versions
from data_pipeline.contract.storage import read_json, write_json
from pretrain.evaluate.encoding import LabelledRows
from pretrain.evaluate.forms import EncodedSplit, encode_split, head_of
from pretrain.evaluate.kinds.asked import FILE as ASKED
from pretrain.evaluate.kinds.asked import Asked
from pretrain.evaluate.kinds.registry import KINDS
from pretrain.evaluate.leaderboard.errors import confusion, worst_errors
from pretrain.evaluate.leaderboard.outcomes import OUTCOMES, item_values
from pretrain.evaluate.leaderboard.outcomes_file import digest, write_outcomes
from pretrain.evaluate.leaderboard.task_page import write_task_page
from pretrain.evaluate.metrics.libraries import check_libraries
from pretrain.evaluate.noise import noisy
from pretrain.evaluate.scoring import metric_inputs
from pretrain.evaluate.seeds import Export, FineTunings, fingerprint_of
from pretrain.evaluate.selection import LAST, ScoredEpoch, Scorer, noise_told, noised_split, selected
from pretrain.evaluate.tasks.examples import Example, TagExample, TextExample
from pretrain.evaluate.tasks.files import read_split
from pretrain.evaluate.tasks.task import Settings, Split, Task
from pretrain.evaluate.trials import Trials
from pretrain.evaluate.tuner import TRAIN, Tuner
from pretrain.exporting.card_of_task import task_card
from pretrain.exporting.fine_tuned import export_tuned
from pretrain.exporting.model_index import Result
from pretrain.models.task_heads import CLASSES, PIPELINES
from pretrain.subject import Subject

log = logging.getLogger("pretrain")

OTHER = "other"
"""What model-index calls a task that the hub has no pipeline for."""
DRAWING = 0
"""Seed of the rows that a part of the training file is."""


@dataclass(frozen=True)
class TaskData:
    """The examples of a task as rows of a model.

    - `splits`: each that is needed; `parts`: in words what part of the official data they are.
    - `noised`: the scored split with each noise, `SPLIT/NOISE`.
    """

    splits: Mapping[str, EncodedSplit]
    parts: Mapping[str, str]
    noised: Mapping[str, EncodedSplit]


def evaluate(subject: Subject, task: Task, data: Path | None, trials: Trials, to: Path) -> dict[str, Any]:
    """Fine-tunes a model on a task and scores it; returns what `to`/TASK.json says, on the first process.

    - `data`: the folder of the task's files, or None (`pretrain.evaluate.tasks.files.find_file`).
    - `to`: gets TASK.json, the same as a page, TASK.md, and TASK/ with a file for each seed and what each item says of the headline
      metric. What an earlier call with the same model, rows and settings has left there is not computed again.

    Raises InputError where settings, files and model do not go together, and for the export of a head that transformers has not.
    """
    check_libraries()
    trials.check(task)
    if not trials.every_epoch:
        task = replace(task, select="last")
    head = head_of(task, trials.settings)
    if trials.export and head.kind not in CLASSES:
        raise InputError(f"--export: transformers has no class with a head for {task.title}; leave --export out")
    _check_folder(to / task.name)
    _ = subject.head_maker  # raises before files are read
    found = _read(subject, task, data, trials)
    splits, noised = ({split: each.rows for split, each in all_.items()} for all_ in (found.splits, found.noised))
    tuner = Tuner(subject, head, splits, trials.settings, trials.hardware, frozen=trials.frozen)
    scorer = Scorer(task, {**found.splits, **found.noised})
    fingerprints = _fingerprints(subject, task, trials, tuner, noised)
    fine_tunings = FineTunings(tuner, scorer, noised, to / task.name, fingerprints, trials.every_epoch)
    first, *others = trials.each_seed
    model = to / task.name / "model"
    fine_tuned = f"{fingerprints[0]}, seed {first}"
    export = _export(model, task, found, trials, tuner.longest, fine_tuned) if trials.export else None
    exported = export is None or _is_export_of(model, fine_tuned)
    runs = {first: fine_tunings.of(first, export, exported=exported)}
    runs |= {seed: fine_tunings.of(seed) for seed in others}
    if jax.process_index():
        return {}
    chosen, scores = selected(task, trials.settings, {seed: [each.point for each in run] for seed, run in runs.items()})
    answers = {seed: runs[seed][place].answers for seed, place in chosen.items()}
    result = _result(subject, task, found, trials, tuner, runs, scores, list(answers.values()))
    with machine_errors_at(to):
        if (metric := task.metrics[0]) in OUTCOMES:
            examples = found.splits[task.scored].examples
            values = {seed: item_values(metric, task, examples, each) for seed, each in answers.items()}
            result["outcomes"] = write_outcomes(to / task.name, values)
        write_json(to / f"{task.name}.json", result)
        write_task_page(result, to)
    return result


def _check_folder(folder: Path) -> None:
    """Raises InputError or WorkError, before anything is trained, where the first process cannot write what it keeps."""
    if jax.process_index():
        return
    page = folder.with_name(f"{folder.name}.json")
    if page.is_dir():
        raise InputError(f"{page}: is a folder, but is to be written as a file; move it away")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise machine_error(error, folder) or InputError(
            f"{folder}: no folder can be made there ({error.strerror}); choose another with --to"
        ) from None


def _read(subject: Subject, task: Task, data: Path | None, trials: Trials) -> TaskData:
    wanted: list[Split] = ["train", "dev", task.scored] if task.select == "dev" else ["train", task.scored]
    splits: dict[str, EncodedSplit] = {}
    parts: dict[str, str] = {}
    for split in dict.fromkeys(wanted):
        found = read_split(task, data, split)
        examples, parts[split] = found.examples, found.part
        if split == TRAIN and trials.train_rows is not None and trials.train_rows < len(examples):
            examples = drawn(examples, trials.train_rows)
            parts[split] += f", of which {len(examples):,} were drawn"
        splits[split] = encode_split(subject, task, examples, trials.settings)
        log.info("%s: %s; %s", task.title, parts[split], _in_words(splits[split].rows))
    # `Trials.check` has refused noise for all but texts.
    texts = [example for example in splits[task.scored].examples if isinstance(example, TextExample)]
    noised = {
        noised_split(task.scored, noise): encode_split(
            subject, task, [noisy(example, noise) for example in texts], trials.settings
        )
        for noise in trials.noises
    }
    return TaskData(splits, parts, noised)


def drawn(examples: Sequence[Example], count: int | None) -> list[Example]:
    """So many of the examples, always the same ones, in their order; None means all."""
    chosen = np.random.default_rng(DRAWING).permutation(len(examples))[:count]
    return [examples[number] for number in np.sort(chosen)]


def _in_words(rows: LabelledRows) -> str:
    lengths = rows.lengths
    return f"{lengths.mean():.1f} tokens a row, {lengths.max()} at most"


def _fingerprints(
    subject: Subject, task: Task, trials: Trials, tuner: Tuner, noised: Mapping[str, LabelledRows]
) -> tuple[str, str]:
    """Of what decides the predictions of a seed, and those with noise."""
    decided = {
        "settings": replace(trials.settings, seed=0),
        "head": tuner.head,
        "frozen": trials.frozen,
        "every_epoch": trials.every_epoch,
        "compute": [tuner.compute_dtype, trials.hardware.dropout_rng],
        "task": task.name,
        "code": software_versions()["code"],
    }
    clean = fingerprint_of(subject, tuner.splits, decided)
    return clean, fingerprint_of(subject, {**tuner.splits, **noised}, decided) if noised else clean


def _is_export_of(folder: Path, fine_tuned: str) -> bool:
    """Whether a folder holds the model of this fine-tuning, not of one before with other settings, data or model."""
    said = read_json(folder / ASKED) if folder.is_dir() else None
    return isinstance(said, dict) and said.get("fine_tuned") == fine_tuned


def _export(to: Path, task: Task, data: TaskData, trials: Trials, longest: int, fine_tuned: str) -> Export:
    """Writes a fine-tuned model as a Hugging Face folder.

    - `longest`: the most tokens of a row. - `fine_tuned`: as in `Asked`.
    """

    def export(tuned: Subject, seed: int, last: ScoredEpoch) -> None:
        assert tuned.task
        scores, kind = last.point["scores"][task.scored], PIPELINES[tuned.task.kind]
        shown = Result(task.name, task.title, kind, task.scored, data.parts, scores, {}, 1, LAST)
        settings = {**asdict(trials.settings), "seed": seed}
        card = task_card(tuned, shown, settings, pair=task.pair, frozen=trials.frozen)
        asked = _asked(task, data.splits[task.scored].examples, trials.settings, longest)
        asked = replace(asked, fine_tuned=fine_tuned)
        log.info("%s: %s", to, export_tuned(tuned, to, card, {ASKED: asdict(asked)}))

    return export


def _asked(task: Task, examples: Sequence[Example], settings: Settings, longest: int) -> Asked:
    """How the model is asked for what it is scored by here."""
    return Asked(
        task.kind,
        pairs=task.pair,
        characters=any(isinstance(example, TagExample) and not example.separator for example in examples),
        answerable=task.answerable,
        max_length=longest,
        document_stride=settings.document_stride,
        max_query_length=settings.max_query_length,
        max_answer_length=settings.max_answer_length,
    )


def _result(
    subject: Subject,
    task: Task,
    data: TaskData,
    trials: Trials,
    tuner: Tuner,
    runs: Mapping[int, Sequence[ScoredEpoch]],
    scores: Mapping[str, Any],
    answers: Sequence[Sequence[Any]],
) -> dict[str, Any]:
    """What TASK.json says.

    - `runs`: by seed. - `scores`: of `selected`. - `answers`: of the selected epochs.
    """
    curves = {seed: [each.point for each in run] for seed, run in runs.items()}
    seconds = {
        what: round(sum(epoch[what] for curve in curves.values() for epoch in curve), 3)
        for what in ("train", "predict", "compile")
    }
    examples = data.splits[task.scored].examples
    own_settings = {"seeds": list(runs), "train_rows": trials.train_rows, "frozen": trials.frozen}
    return {
        "task": task.name,
        "title": task.title,
        "task_type": PIPELINES.get(tuner.head.kind, OTHER),
        "model": subject.origin,
        "step": subject.step,
        "tensors_sha256": subject.digest,
        "split": task.scored,
        "metric": task.metrics[0],
        **scores,
        **({"noise": noise_told(task.scored, trials.noises, list(curves.values()))} if trials.noises else {}),
        "part": data.parts,
        "items": {"count": len(examples), "sha256": digest(examples)},
        "settings": {**asdict(trials.settings), **own_settings},
        "longest_row": tuner.longest,
        "steps": tuner.steps,
        "compute": {**asdict(trials.hardware), "compute_dtype": tuner.compute_dtype},
        "devices": f"{tuner.mesh.size} x {tuner.mesh.devices.flat[0].device_kind}",
        "seconds": seconds,
        "accelerator_hours": round(tuner.mesh.size * sum(seconds.values()) / 3600, 6),
        "epochs": {str(seed): curve for seed, curve in curves.items()},
        **_errors(task, examples, answers),
        "software": software_versions(),
    }


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
