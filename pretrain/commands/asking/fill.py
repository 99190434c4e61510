"""python -m pretrain fill RUN_DIR."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import tyro

from data_pipeline.contract.command_line import parse_command_line


@dataclass(frozen=True)
class Fill:
    """Asks an exported model: for the likeliest words for [MASK], for the tokens that were replaced, for continuations of a
    text, or for what is to be written from it (a summary); which of them, its head decides."""

    run_dir: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN_DIR")]
    """Folder of the run, or an exported or another Hugging Face folder."""
    text: tuple[str, ...] = ()
    """Sentences with [MASK] in them, sentences, or beginnings of texts; empty means two examples."""
    top: int | None = None
    """Answers to each text: words for [MASK] (5 unless given) or continuations (3)."""
    tokens: int | None = None
    """Most tokens of a continuation (32 unless given, or half of what the model reads), or of what is written from a text."""
    temperature: float | None = None
    """Continuations: 0 writes the likeliest tokens, more than 1 unlikelier ones than the model would (1 unless given)."""
    seed: int | None = None
    """Continuations: another seed, other draws (0 unless given)."""


def run(arguments: list[str]) -> None:
    command = parse_command_line(Fill, arguments, "python -m pretrain fill")
    from pretrain.exporting.answers.by_head import print_answers

    flags = asdict(command)
    folder, texts = flags.pop("run_dir"), flags.pop("text")
    print_answers(folder, texts, flags)
