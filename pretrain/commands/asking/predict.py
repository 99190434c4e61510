"""python -m pretrain predict MODEL --input FILE."""

import json
import logging
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from data_pipeline.contract.command_line import parse_command_line
from pretrain.inference.running import Running


@dataclass(frozen=True, kw_only=True)
class Predict(Running):
    """Asks a fine-tuned model for the class or the score of each text of a file, one JSON object a line."""

    model: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="MODEL")]
    """Hugging Face folder of a fine-tuned model: evaluation/TASK/model of `evaluate --export`."""
    input: Path
    """Texts: .txt (one a line), .jsonl, .json (a list), .csv or .tsv, which may be compressed."""
    column: str | None = None
    """Field or column of the text; None means `text`, and of .txt the whole line. With it, a .txt is a table as a .tsv is."""
    second: str | None = None
    """Field or column of the second text, for models of pairs."""
    to: Path | None = None
    """File to write, OUT.jsonl; None prints."""


def run(arguments: list[str]) -> None:
    command = parse_command_line(Predict, arguments, "python -m pretrain predict")
    command.check()
    from data_pipeline.contract.storage import write_atomically
    from pretrain.inference.predictions import predict
    from pretrain.inference.texts import read_texts
    from pretrain.subject import load_subject

    texts = read_texts(command.input, command.column, command.second)
    found = predict(load_subject(command.model), texts, command)
    lines = "".join(f"{json.dumps(each, ensure_ascii=False)}\n" for each in found)
    if command.to:
        write_atomically(command.to, lines.encode())
        logging.info("%s: %s predictions", command.to, f"{len(texts):,}")
    else:
        sys.stdout.write(lines)
