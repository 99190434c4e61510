"""python -m pretrain export RUN_DIR."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from data_pipeline.contract.command_line import parse_command_line
from data_pipeline.contract.errors import InputError
from data_pipeline.contract.run_folder import existing_run_folder
from pretrain.exporting.formats.format import FormatName


@dataclass(frozen=True)
class Export:
    """Writes a checkpoint as a Hugging Face folder and proves it."""

    run_dir: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="RUN_DIR")]
    """Folder of the run, or its URL (gs://BUCKET/FOLDER/NAME): then what is needed of it is fetched. With --format also a Hugging Face
    folder, such as that of a fine-tuned model."""
    step: int | None = None
    """Step of the checkpoint; None means the newest valid one."""
    to: Path | None = None
    """Folder to write; None means RUN_DIR/export, and runs/NAME/export for a URL."""
    format: tuple[FormatName, ...] = ()
    """Further formats to write into the folder: onnx, savedmodel."""
    push_to_hub: str | None = None
    """Repository on the Hugging Face hub, [ORGANISATION/]NAME, that gets the export; a new one is private."""
    public: bool = False
    """Makes a new repository public."""


def run(arguments: list[str]) -> None:
    command = parse_command_line(Export, arguments, "python -m pretrain export")
    from pretrain.exporting.export import export
    from pretrain.exporting.formats.conversion import add_formats
    from pretrain.exporting.hub import Hub
    from pretrain.remote.fetched import fetch_run, is_url

    _check(command)
    if _is_hugging_face_folder(command.run_dir):
        add_formats(Path(command.run_dir), command.format)
        return
    hub = Hub(command.push_to_hub, public=command.public) if command.push_to_hub else None

    if is_url(command.run_dir):
        folder = fetch_run(command.run_dir, command.step)
        to = command.to or Path("runs") / folder.path.name / "export"
    else:
        folder = existing_run_folder(command.run_dir)
        to = command.to or folder.export
    step = export(folder, command.step, to, command.format)
    if hub:
        address = hub.push(to, f"{folder.path.resolve().name}: step {step}")
        logging.info("%s: on the hub as %s, %s", to, hub.repository, address)


def _check(command: Export) -> None:
    if command.public and not command.push_to_hub:
        raise InputError("--public goes with --push-to-hub REPOSITORY")
    if not _is_hugging_face_folder(command.run_dir):
        return
    if not command.format:
        raise InputError(f"{command.run_dir}: is a Hugging Face folder already; give --format, or a run")
    for flag, given in (
        ("--step", command.step),
        ("--to", command.to),
        ("--push-to-hub", command.push_to_hub),
    ):
        if given is not None:
            raise InputError(
                f"{flag} goes with a run, and {command.run_dir} is a Hugging Face folder, into which --format writes; leave it out"
            )


def _is_hugging_face_folder(place: str) -> bool:
    return (Path(place) / "config.json").is_file()
