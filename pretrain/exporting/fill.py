"""fill: the likeliest words for [MASK] in a sentence, from an exported folder alone."""

from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.run_folder import RunFolder
from pretrain.devices.available import available_devices
from pretrain.exporting.exported import exports_of, hashes_of, name_of, without_cards
from pretrain.hugging_face.folder import CONFIG, WEIGHTS
from pretrain.subject import Subject, load_subject

SENTENCES = ("아이들이 운동장에[MASK] 공을 차며 놀았다.", "이 문제는 정부가 반드시 [MASK]해야 합니다.")


def fill(subject: Subject, text: str, top: int) -> list[tuple[str, float, str]]:
    """The `top` likeliest tokens for the first [MASK] of a text: piece, probability, and the text with it."""
    tokenizer = subject.tokenizer
    encoding = tokenizer.backend.encode(text)
    mask = tokenizer.special.mask
    if mask not in encoding.ids:
        raise InputError(f"{text!r}: holds no {tokenizer.pieces[mask]}; put it where a word is to be filled in")
    longest = subject.config.longest_row()
    if longest and len(encoding.ids) > longest.tokens:
        raise InputError(f"the text has {len(encoding.ids)} tokens, the model reads {longest.tokens}; shorten it")
    ids = np.array([encoding.ids])
    place = encoding.ids.index(mask)
    logits = subject.logits(ids, np.array([encoding.type_ids]), np.ones_like(ids))
    scores = np.asarray(jax.nn.softmax(jnp.asarray(logits[0, place])))
    filled = []
    for index in np.argsort(-scores, kind="stable")[:top].tolist():
        with_it = [*encoding.ids[:place], index, *encoding.ids[place + 1 :]]
        filled.append((tokenizer.pieces[index], float(scores[index]), tokenizer.backend.decode(with_it)))
    return filled


def print_fills(run_or_export: Path, texts: Sequence[str], top: int) -> None:
    """Prints the fills of each text.

    - `run_or_export`: a run folder, whose export is taken, or an exported folder.

    Raises InputError where the run's export is not as it was written, where the model fills nothing, and where a text has no [MASK]
    or too many tokens.
    """
    if top < 1:
        raise InputError(f"--top {top}: must be 1 or more")
    run = RunFolder(run_or_export)
    folder = run.export if run.export.exists() else run_or_export
    written = exports_of(run).get(name_of(run, folder), {}).get("files", {})
    found = hashes_of(folder, {name.rpartition("/")[0] for name in written})
    for name, sha256 in without_cards(written).items():
        if found.get(name) != sha256:
            raise InputError(f"{folder / name}: not as it was exported; run `python -m pretrain export` again")
    if not (folder / CONFIG).exists() or not (folder / WEIGHTS).exists():
        raise InputError(f"{folder}: holds no {CONFIG} and {WEIGHTS}; run `python -m pretrain export` first")
    available_devices()
    subject = load_subject(folder)
    if "vocabulary" not in subject.heads:
        raise InputError(f"{folder}: its {subject.family.title} has no head that fills masks")
    for text in texts or SENTENCES:
        print(text)
        for piece, probability, filled in fill(subject, text, top):
            print(f"  {probability:6.1%}  {piece:<12} {filled}")
