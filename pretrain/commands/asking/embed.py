"""python -m pretrain embed MODEL --input FILE."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from data_pipeline.contract.command_line import parse_command_line
from data_pipeline.contract.errors import InputError
from pretrain.checkpoints.asked_step import Step, step_number
from pretrain.inference.running import Running


@dataclass(frozen=True, kw_only=True)
class Embed(Running):
    """Turns the texts of a file into vectors, and finds those that are alike by cosine."""

    model: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="MODEL")]
    """Folder or URL of a run, or a Hugging Face folder."""
    pooling: Literal["cls", "mean", "pooler"]
    """The vector of a text: its first token's, the mean over its tokens, or BERT's pooler."""
    input: Path | None = None
    """Texts: .txt (one a line), .jsonl, .json (a list), .csv or .tsv, which may be compressed."""
    column: str | None = None
    """Field or column of the text; None means `text`, and of .txt the whole line. With it, a .txt is a table as a .tsv is."""
    to: Path | None = None
    """File that gets the vectors, OUT.npy: float32, a row for each text in the order of the file."""
    query: str | None = None
    """Prints the texts that are most like this one."""
    similar: int | None = None
    """Prints for each text so many others that are most like it."""
    top: int = 5
    """Texts that are printed for --query."""
    export: Path | None = None
    """Folder to write, which sentence-transformers loads."""
    step: Step = None
    """Step of the run's checkpoint; None or latest means the newest valid one."""


def run(arguments: list[str]) -> None:
    command = parse_command_line(Embed, arguments, "python -m pretrain embed")
    _check(command)
    from data_pipeline.contract.storage import check_output, write_array
    from pretrain.inference.embeddings import embed, nearest
    from pretrain.inference.sentence_transformers import export_embedder
    from pretrain.inference.texts import read_texts
    from pretrain.subject import load_subject

    if command.to:
        check_output(command.to, "--to")
    texts = [str(text) for text in read_texts(command.input, command.column)] if command.input else []
    subject = load_subject(command.model, step=step_number(command.step))
    if command.export:
        logging.info(
            "%s: %s", command.export, export_embedder(subject, command.pooling, command.max_length, command.export)
        )
    if not texts:
        return
    asked = [] if command.query is None else [command.query]
    found = embed(subject, [*texts, *asked], command.pooling, command)
    vectors, query = found[: len(texts)], found[len(texts) :]
    if command.to:
        write_array(command.to, vectors)
        logging.info("%s: %s vectors of %d", command.to, f"{len(vectors):,}", vectors.shape[1])
    for best in nearest(vectors, query, min(command.top, len(texts))):
        print(command.query)
        _print(texts, best)
    if command.similar:
        for number, best in enumerate(nearest(vectors, vectors, min(command.similar + 1, len(texts)))):
            print(texts[number])
            _print(texts, [each for each in best if each[0] != number][: command.similar])


def _check(command: Embed) -> None:
    command.check()
    for name in ("top", "similar"):
        value = getattr(command, name)
        if value is not None and value < 1:
            raise InputError(f"--{name} {value}: must be 1 or more")
    wanted = [name for name in ("to", "query", "similar") if getattr(command, name) is not None]
    if wanted and command.input is None:
        raise InputError(f"--{wanted[0]} needs texts; give a file with --input")
    if not wanted and (command.input or command.export is None):
        raise InputError("nothing is asked for; give --input FILE with --to, --query or --similar, or --export FOLDER")
    if command.query is not None and not command.query.strip():
        raise InputError("--query: is empty; give a text")
    if command.to and command.to.suffix != ".npy":
        raise InputError(f"--to {command.to}: must be named OUT.npy")


def _print(texts: list[str], best: list[tuple[int, float]]) -> None:
    for row, cosine in best:
        print(f"  {cosine:7.4f}  {texts[row]}")
