"""python -m pretrain predict MODEL --input FILE."""

import json
import logging
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from data_pipeline.contract.command_line import parse_command_line
from pretrain.inference.running import Running


@dataclass(frozen=True, kw_only=True)
class Predict(Running):
    """Asks a fine-tuned model for the class, score, tags or entities of each text of a file, for answers from passages, or for relations of
    two entities; one JSON object a line."""

    model: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="MODEL")]
    """Hugging Face folder of a fine-tuned model: evaluation/TASK/model of `evaluate --export`."""
    input: Path
    """Texts: .txt (one a line), .jsonl, .json (a list), .csv or .tsv, which may be compressed; for relations rows of KLUE-RE's form."""
    column: str | None = None
    """Field or column of the text; None means `text`, and of .txt the whole line. With it, a .txt is a table as a .tsv is."""
    second: str | None = None
    """Field or column of the second text, for models of pairs; of the passage, for models that answer questions."""
    to: Path | None = None
    """File to write, OUT.jsonl; None prints."""


def run(arguments: list[str]) -> None:
    command = parse_command_line(Predict, arguments, "python -m pretrain predict")
    command.check()
    from data_pipeline.contract.storage import check_output, write_atomically
    from pretrain.evaluate.kinds.asked import read_asked
    from pretrain.inference.predictions import head_asked, predict
    from pretrain.inference.texts import read_relations, read_texts
    from pretrain.subject import load_subject

    if command.to:
        check_output(command.to, "--to")
    subject = load_subject(command.model)
    asked = read_asked(command.model, head_asked(subject))
    texts: list[Any]
    if asked.kind == "relation":
        texts = list(read_relations(command.input))
    else:
        texts = list(
            read_texts(command.input, command.column, command.second, as_written=asked.kind in ("tags", "span"))
        )
    found = predict(subject, asked, texts, command)
    lines = "".join(f"{json.dumps(each, ensure_ascii=False)}\n" for each in found)
    if command.to:
        write_atomically(command.to, lines.encode())
        logging.info("%s: %s predictions", command.to, f"{len(texts):,}")
    else:
        sys.stdout.write(lines)
