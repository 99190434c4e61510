"""python -m pretrain evaluate MODEL --task TASK."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from data_pipeline.contract.command_line import parse_command_line
from data_pipeline.contract.errors import InputError
from pretrain.evaluate.hardware import Hardware
from pretrain.evaluate.tasks.registry import task_named
from pretrain.evaluate.tasks.task import Settings, Task
from pretrain.evaluate.tasks.user import user_task


@dataclass(frozen=True)
class Evaluate:
    """Fine-tunes a model on a task with several seeds and scores it by the official metrics. Writes evaluation/TASK.json; what is there
    already, of the same model, data and settings, is not computed again."""

    model: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="MODEL")]
    """Folder or URL of a run, or a Hugging Face folder."""
    task: str
    """Name of a task (klue_nli, nsmc, ...), or a description of one's own, NAME.py."""
    data: Path = Path("data")
    """Folder with the official files of the task, or with a folder for each task."""
    seeds: int = 5
    """Fine-tunings, whose seeds count from settings.seed."""
    to: Path | None = None
    """Folder that gets evaluation/; None means the run."""
    step: int | None = None
    """Step of the run's checkpoint; None means the newest valid one."""
    train_rows: int | None = None
    """Examples drawn of the training file, the same for all models and seeds; None means all."""
    frozen: bool = False
    """Trains the head only, on the encoder as it is: a linear probe."""
    every_epoch: bool = True
    """Scores every epoch, and selects among them as the task says; otherwise the last one only."""
    export: bool = False
    """Writes the model of the first seed as a Hugging Face folder, evaluation/TASK/model."""
    settings: Settings = field(default_factory=Settings)
    hardware: Hardware = field(default_factory=Hardware)


def run(arguments: list[str]) -> None:
    asked, data = _value(arguments, "--task"), _value(arguments, "--data")
    task = _task(asked, Path(data) if data else Evaluate.data) if asked else None
    default = Evaluate(tyro.MISSING, asked or tyro.MISSING, settings=task.settings if task else Settings())
    command = parse_command_line(default, arguments, "python -m pretrain evaluate")
    assert task  # or the command line was refused
    from pretrain.devices.processes import join_processes
    from pretrain.evaluate.evaluation import Trials, evaluate
    from pretrain.remote.fetched import is_url
    from pretrain.subject import is_run, load_subject

    if command.to is None and (is_url(command.model) or not is_run(command.model)):
        raise InputError(f"{command.model}: is no run folder on this disk; say with --to where evaluation/ belongs")
    join_processes()
    subject = load_subject(command.model, step=command.step)
    trials = Trials(
        command.settings,
        command.hardware,
        command.seeds,
        command.train_rows,
        command.frozen,
        command.every_epoch,
        command.export,
    )
    evaluate(subject, task, command.data, trials, (command.to or Path(command.model)) / "evaluation")


def _task(name: str, data: Path) -> Task:
    return user_task(Path(name), data) if name.endswith(".py") else task_named(name)


def _value(arguments: Sequence[str], flag: str) -> str | None:
    """The value of a flag that decides the defaults of the others."""
    for place, argument in enumerate(arguments):
        name, separator, value = argument.partition("=")
        if name == flag:
            return value if separator else next(iter(arguments[place + 1 : place + 2]), None)
    return None
