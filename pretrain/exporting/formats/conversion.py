"""Writing the further formats of an exported folder, and comparing their answers with this code's."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path

import numpy as np

from data_pipeline.contract.errors import InputError, WorkError, machine_errors_at
from data_pipeline.contract.packages import needed
from data_pipeline.contract.storage import write_atomically
from pretrain.exporting.card_of_use import PLACE
from pretrain.exporting.exported import CARD, new_folder, replace_export, sync_export
from pretrain.exporting.fine_tuned import PROOF_TEXTS
from pretrain.exporting.formats.format import FORMATS, FormatName
from pretrain.exporting.formats.onnx import ask_onnx, write_onnx
from pretrain.exporting.formats.saved_model import ask_saved_model, write_saved_model
from pretrain.exporting.proof import MOST_TOKENS, TOLERANCE, difference_of, padded_inputs
from pretrain.subject import Subject, load_subject

logger = logging.getLogger("pretrain")
Writer = Callable[[Path, Subject, Sequence[str], Sequence[str], Path], None]
"""(exported folder, its model, names of inputs, names of outputs, folder to fill)."""
Asker = Callable[[Path, Mapping[str, np.ndarray], Sequence[str]], list[np.ndarray]]
"""(folder that a Writer filled, int64 [B, L] by names of inputs, names of outputs) -> float32 arrays."""
WRITERS: Mapping[FormatName, tuple[Writer, Asker]] = {
    "onnx": (write_onnx, ask_onnx),
    "savedmodel": (write_saved_model, ask_saved_model),
}
FEW_TOKENS = 17
"""Of the shorter rows of the proof: no multiple of anything."""


def refuse_formats(subject: Subject, formats: Iterable[FormatName]) -> None:
    """Raises InputError where a model's family is not converted, or a package is missing that a format needs."""
    for name in formats:
        if not subject.family.converts:
            raise InputError(
                f"--format {name}: {subject.origin} is a {subject.family.title}, and only encoders are converted; leave --format out"
            )
        for module in (*FORMATS[name].modules, FORMATS[name].runtime):
            needed(module, f"--format {name}", name)


def convert(name: FormatName, folder: Path, to: Path, texts: Sequence[str], longest: int) -> str:
    """Writes a format of an exported folder; returns what was shown, in words.

    - `to`: the folder to fill, which is there.
    - `texts`, `longest`: of the proof, as for `pretrain.exporting.proof.prove`. They are asked in two shapes that no writer has seen.

    Raises WorkError where a logit differs from this code's.
    """
    subject, (write, ask) = load_subject(folder), WRITERS[name]
    inputs, outputs = _input_names(subject), output_names(subject)
    write(folder, subject, inputs, outputs, to)
    worst, shapes = 0.0, []
    for asked, length in ((texts[:1], min(longest, MOST_TOKENS)), (texts, min(FEW_TOKENS, longest))):
        token_ids, token_types, attends = padded_inputs(subject, asked, length)
        rows = {"input_ids": token_ids, "attention_mask": attends, "token_type_ids": token_types}
        answers = ask(to, {each: rows[each] for each in inputs}, outputs)
        theirs = answers[0] if len(answers) == 1 else np.stack(answers, -1)
        worst = max(worst, difference_of(subject, theirs, subject.logits(token_ids, token_types, attends), attends))
        shapes.append(f"{len(asked)} x {length}")
    if worst > TOLERANCE:
        raise WorkError(
            f"--format {name}: logits differ from this code's by {worst:.1e}, more than {TOLERANCE:g}; not exported"
        )
    runtime = import_module(FORMATS[name].runtime)
    return f"logits at {' and '.join(shapes)} tokens within {worst:.1e} in {runtime.__name__} {runtime.__version__}"


def add_formats(folder: Path, formats: Sequence[FormatName]) -> None:
    """Writes formats into a Hugging Face folder, one after the other, and says on its card how to load them.

    Raises InputError where its model is not converted or a package is missing, WorkError where logits differ.
    """
    subject = load_subject(folder)
    refuse_formats(subject, formats)
    longest = subject.config.longest_row()
    for name in formats:
        place = folder / FORMATS[name].folder
        with new_folder(place) as fresh:
            proof = convert(name, folder, fresh, PROOF_TEXTS, longest.tokens if longest else 512)
            with machine_errors_at(place):
                sync_export(fresh)
                replace_export(place, fresh)
                add_section(folder / CARD, name, subject)
        logger.info("%s: %s; %s", place, FORMATS[name].title, proof)


def add_section(card: Path, name: FormatName, subject: Subject) -> None:
    """Adds what a card says of a format, unless there is no card, or it says so already."""
    found = FORMATS[name]
    snippet = found.snippet.replace("OUTPUT", output_names(subject)[0]).replace("PLACE", PLACE)
    local = f"In a local copy of this repository (`hf download NAME --local-dir {PLACE}`):"
    said = f"## {found.title}\n\n{found.said} {local}\n\n```python\n{snippet}\n```\n"
    text = card.read_text(encoding="utf-8") if card.is_file() else said
    if said not in text:
        write_atomically(card, f"{text.rstrip()}\n\n{said}".encode())


def output_names(subject: Subject) -> tuple[str, ...]:
    """What transformers calls the parts of `Subject.logits`."""
    of_span = subject.task is not None and subject.task.kind == "span"
    return ("start_logits", "end_logits") if of_span else ("logits",)


def _input_names(subject: Subject) -> tuple[str, ...]:
    """What the tokenizer of the export makes of a text (`pretrain.hugging_face.folder.tokenizer_configuration`)."""
    has_types = (subject.config.token_types() or ("", 1))[1] > 1
    return ("input_ids", "attention_mask", *(("token_type_ids",) if has_types else ()))
