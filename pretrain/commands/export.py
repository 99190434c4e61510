"""python -m pretrain export RUN_DIR."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from data_pipeline.contract.command_line import parse_command_line
from data_pipeline.contract.errors import InputError
from data_pipeline.contract.run_folder import RunFolder, existing_run_folder
from pretrain.api import export, home_of
from pretrain.checkpoints.asked_step import Step, step_number
from pretrain.exporting.formats.format import FormatName


@dataclass(frozen=True)
class Export:
    """Writes a checkpoint as a Hugging Face folder and proves it."""

    run_dir: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="RUN_DIR")]
    """Folder of the run, or its URL (gs://BUCKET/FOLDER/NAME): then what is needed of it is fetched. With --format also a Hugging Face
    folder, such as that of a fine-tuned model."""
    step: Step = None
    """Step of the checkpoint; None or latest means the newest valid one."""
    every: bool = False
    """Exports each checkpoint that is there, to a folder step-N; on the hub to a branch step-N, and the newest to the main one."""
    to: Path | None = None
    """Folder to write; None means RUN_DIR/export, with --every RUN_DIR/revisions, and runs/NAME/ instead of RUN_DIR/ for a URL."""
    format: tuple[FormatName, ...] = ()
    """Further formats to write into the folder: onnx, savedmodel."""
    base_model: str = ""
    """Of the model that the run began with (training.start_from) the id on the hub, for the card: klue/bert-base."""
    base_licence: str = ""
    """Its licence, where its folder did not tell: apache-2.0. The run remembers both."""
    push_to_hub: str | None = None
    """Repository on the Hugging Face hub, [ORGANISATION/]NAME, that gets the export; a new one is private."""
    public: bool = False
    """Makes a new repository public."""


def run(arguments: list[str]) -> None:
    command = parse_command_line(Export, arguments, "python -m pretrain export")
    from pretrain.exporting.exported import REVISIONS
    from pretrain.exporting.formats.conversion import add_formats
    from pretrain.exporting.hub import Hub

    _check(command)
    if _is_hugging_face_folder(command.run_dir):
        add_formats(Path(command.run_dir), command.format)
        return
    hub = Hub(command.push_to_hub, public=command.public) if command.push_to_hub else None

    def publish(place: Path, folder: RunFolder, step: int, branch: str | None = None) -> None:
        if hub:
            address = hub.push(place, f"{folder.path.resolve().name}: step {step}", branch)
            logging.info("%s: on the hub as %s, %s", place, "@".join(filter(None, [hub.repository, branch])), address)

    base = {"base_model": command.base_model, "base_licence": command.base_licence}
    if command.every:
        for folder, step in _checkpoints(command.run_dir):
            place = (command.to or home_of(command.run_dir, folder) / REVISIONS) / f"step-{step}"
            export(folder.path, place, step=step, formats=command.format, **base)
            publish(place, folder, step, f"step-{step}")
    else:
        place, folder, step = export(
            command.run_dir, command.to, step=step_number(command.step), formats=command.format, **base
        )
    publish(place, folder, step)


def _check(command: Export) -> None:
    if command.public and not command.push_to_hub:
        raise InputError("--public goes with --push-to-hub REPOSITORY")
    if command.every and command.step is not None:
        raise InputError(f"--step {command.step}: --every exports each checkpoint; leave one of the two out")
    if not _is_hugging_face_folder(command.run_dir):
        return
    if not command.format:
        raise InputError(f"{command.run_dir}: is a Hugging Face folder already; give --format, or a run")
    for flag, given in (
        ("--step", command.step),
        ("--every", command.every),
        ("--to", command.to),
        ("--push-to-hub", command.push_to_hub),
        ("--base-model", command.base_model),
        ("--base-licence", command.base_licence),
    ):
        if given not in (None, False, ""):
            raise InputError(
                f"{flag} goes with a run, and {command.run_dir} is a Hugging Face folder, into which --format writes; leave it out"
            )


def _is_hugging_face_folder(place: str) -> bool:
    return (Path(place) / "config.json").is_file()


def _checkpoints(place: str) -> Iterator[tuple[RunFolder, int]]:
    """The valid checkpoints of a run, ascending; an InputError or a WorkError where there are none."""
    from pretrain.checkpoints.held import held
    from pretrain.checkpoints.verify import step_folder, valid_steps
    from pretrain.remote.fetched import fetch_each, is_url
    from pretrain.subject import find_step

    if is_url(place):
        yield from fetch_each(place)
        return
    folder = existing_run_folder(place)
    find_step(folder, None)
    for step in valid_steps(folder.checkpoints):
        with held(step_folder(folder.checkpoints, step)) as there:
            if there:
                yield folder, step
