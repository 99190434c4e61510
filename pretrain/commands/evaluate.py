"""python -m pretrain evaluate MODEL ... --task TASK."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from data_pipeline.contract.command_line import parse_command_line
from data_pipeline.contract.errors import InputError
from data_pipeline.contract.storage import check_writable
from pretrain.checkpoints.asked_step import Step, step_number
from pretrain.evaluate.hardware import Hardware
from pretrain.evaluate.kinds.registry import KINDS
from pretrain.evaluate.noise import noises_named
from pretrain.evaluate.tasks.registry import is_description, suite_named, task_named
from pretrain.evaluate.tasks.task import Settings, Task
from pretrain.evaluate.tasks.user import user_task

PROGRAM = "python -m pretrain evaluate"


@dataclass(frozen=True)
class Evaluate:
    """Fine-tunes models on a task or a suite with several seeds and scores them by the official metrics. Writes evaluation/TASK.json and
    TASK.md, and of several models a leaderboard; what is there already, of the same model, data and settings, is not computed again."""

    models: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="MODEL ...")]
    """Folders or URLs of runs, or Hugging Face folders."""
    task: str | None = None
    """Name of a task (klue_nli, nsmc, ...), or a description of one's own, NAME.py."""
    suite: str | None = None
    """All tasks of a suite instead: klue or korean."""
    data: Path | None = None
    """Folder with the official files of the task, or with a folder for each task. None means data/, and what is missing there is fetched
    to ~/.cache/korean-pretrain/tasks."""
    skip_missing: bool = False
    """Skips tasks of the suite whose files are missing; otherwise they are an error."""
    seeds: int = 5
    """Fine-tunings, whose seeds count from settings.seed."""
    to: Path | None = None
    """Folder that gets evaluation/, of several models a folder for each; None means the runs."""
    leaderboard: Path | None = None
    """Folder that gets the leaderboard of several models; None means that of --to, or leaderboard/."""
    step: Step = None
    """Step of the runs' checkpoints; None or latest means the newest valid one."""
    train_rows: int | None = None
    """Examples drawn of the training file, the same for all models and seeds; None means all."""
    frozen: bool = False
    """Trains the head only, on the encoder as it is: a linear probe."""
    every_epoch: bool = True
    """Scores every epoch, and selects among them as the task says; otherwise the last one only."""
    noise: tuple[str, ...] = ()
    """Scores the last epoch on noised texts, too: names of noises, or all."""
    export: bool = False
    """Writes the model of the first seed as a Hugging Face folder, evaluation/TASK/model."""
    settings: Settings = field(default_factory=Settings)
    hardware: Hardware = field(default_factory=Hardware)


def run(arguments: list[str]) -> None:
    asked, suite, data = (_value(arguments, flag) for flag in ("--task", "--suite", "--data"))
    tasks = [_task(asked, Path(data) if data else None)] if asked else list(suite_named(suite)) if suite else []
    # Flags that are not given are those of each task.
    defaults = [task.settings for task in tasks] or [Settings()]
    commands = [
        parse_command_line(Evaluate(tyro.MISSING, settings=settings), arguments, PROGRAM) for settings in defaults
    ]
    command = commands[0]
    if (command.task is None) == (command.suite is None):
        raise InputError(f"{PROGRAM}: say with --task what the models are evaluated on, or with --suite klue or korean")
    if not command.models:
        raise InputError(f"{PROGRAM}: name the models, folders of runs or Hugging Face folders: {PROGRAM} MODEL ...")
    places = _places(command)
    for to in places.values():
        check_writable(to, "say with --to where evaluation/ belongs")
    _check_step(command)
    noises = noises_named(command.noise)
    from pretrain.devices.processes import join_processes
    from pretrain.evaluate.suite import evaluate_models, tasks_at_hand, write_board
    from pretrain.evaluate.trials import Trials

    join_processes()
    settings_of = {task.name: each.settings for task, each in zip(tasks, commands, strict=True)}
    found, skipped = tasks_at_hand(tasks, command.data, skip_missing=command.skip_missing)
    trials = [
        Trials(
            settings_of[task.name],
            command.hardware,
            command.seeds,
            command.train_rows,
            command.frozen,
            command.every_epoch,
            command.export,
            # A task that was asked for by name is not scored without what was asked for.
            noises if command.task or KINDS[task.kind].of_texts else (),
        )
        for task in found
    ]
    evaluate_models(places, list(zip(found, trials, strict=True)), command.data, step=step_number(command.step))
    if len(places) > 1 or command.leaderboard:
        write_board(list(places.values()), command.leaderboard or command.to or Path("leaderboard"), skipped)


def _places(command: Evaluate) -> dict[str, Path]:
    """Each model and the folder that gets its evaluation/."""
    from pretrain.monitoring.curves.compare import names_of
    from pretrain.remote.fetched import is_url
    from pretrain.subject import is_run

    if command.to is None:
        for model in command.models:
            if is_url(model) or not is_run(model):
                raise InputError(f"{model}: is no run folder on this disk; say with --to where evaluation/ belongs")
        return {model: Path(model) for model in command.models}
    if len(command.models) == 1:
        return {command.models[0]: command.to}
    names = names_of([Path(model) for model in command.models])
    if any(Path(name).name != name for name in names):
        raise InputError(
            f"{' and '.join(command.models)}: some have the same name, which their folders below --to have, too; evaluate them one by "
            "one, each with --to, then `python -m pretrain leaderboard`"
        )
    return {model: command.to / name for model, name in zip(command.models, names, strict=True)}


def _check_step(command: Evaluate) -> None:
    from pretrain.subject import is_run

    if command.step is not None and not any(map(is_run, command.models)):
        raise InputError(f"--step {command.step}: {command.models[0]} is no run, and has no checkpoints; leave it out")


def _task(name: str, data: Path | None) -> Task:
    return user_task(Path(name), data) if is_description(name) else task_named(name)


def _value(arguments: Sequence[str], flag: str) -> str | None:
    """The value of a flag that decides the defaults of the others."""
    for place, argument in enumerate(arguments):
        name, separator, value = argument.partition("=")
        if name == flag:
            return value if separator else next(iter(arguments[place + 1 : place + 2]), None)
    return None
