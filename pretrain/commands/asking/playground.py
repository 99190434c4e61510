"""python -m pretrain playground RUN_DIR ..."""

import logging
from dataclasses import dataclass
from typing import Annotated

import tyro

from data_pipeline.contract.command_line import parse_command_line
from data_pipeline.contract.errors import InputError


@dataclass(frozen=True)
class Playground:
    """Shows a page in the browser on which one types text and sees what models make of it, side by side."""

    models: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="RUN_DIR ...")]
    """Folders of runs that are exported, or Hugging Face folders."""
    host: str = "127.0.0.1"
    """Address to listen at. The default can be reached from this machine only; others from wherever it can be reached."""
    port: int = 8000
    """Port to listen at; 0 takes a free one."""
    name: tuple[str, ...] = ()
    """Further names under which browsers reach this machine; requests for names that are not given are refused."""


def run(arguments: list[str]) -> None:
    program = "python -m pretrain playground"
    command = parse_command_line(Playground, arguments, program)
    if not command.models:
        raise InputError(f"{program}: name the models: {program} RUN_DIR ...")
    from data_pipeline.contract.packages import needed

    for module in ("starlette", "uvicorn", "python_multipart"):
        needed(module, "the playground", extra="playground")
    from pretrain.devices.available import available_devices
    from pretrain.playground.model import load_model
    from pretrain.playground.serve import listen, serve

    with listen(command.host, command.port) as listening:
        available_devices()
        models = []
        for place in command.models:
            models.append(load_model(place))
            logging.info("%s: %s", place, ", ".join(each.does for each in models[-1].abilities.values()))
        serve(models, listening, command.host, command.name)
