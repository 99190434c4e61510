"""export: a checkpoint as a Hugging Face folder, written without torch, then proven."""

import fcntl
import glob
import importlib.util
import logging
import math
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data_pipeline.contract.errors import InputError, WorkError, machine_error, machine_errors_at
from data_pipeline.contract.records import Records, RecordsHeader, from_bitmap, read_header
from data_pipeline.contract.run_folder import RunFolder, software_versions
from data_pipeline.contract.storage import read_json, sha256_of_file, sync_file, sync_folder, write_json
from data_pipeline.contract.tokenizer import TOKENIZER_FILES, Tokenizer, refuse_other_tokenizer
from pretrain.checkpoints.restore import restore_params
from pretrain.checkpoints.verify import MANIFEST, facts_of, fault, list_steps, newest_valid, step_folder
from pretrain.devices.available import available_devices
from pretrain.exporting.card import model_card
from pretrain.exporting.exported import CARD, ExportedBert, exports_of, hashes_of, name_of, place_of
from pretrain.hugging_face.folder import write_folder
from pretrain.hugging_face.weights import to_hugging_face
from pretrain.models.registry import family_of
from pretrain.monitoring.metrics import METRICS_FILE, read_metrics
from pretrain.recipe import TrainingRecipe, training_recipe_from_plain

logger = logging.getLogger("pretrain")
TOLERANCE = 1e-4
"""Largest difference of a logit between transformers and this code, float32."""
FILES = (CARD, "config.json", "model.safetensors", *TOKENIZER_FILES)
"""What an exported folder may hold."""
PROOF_TEXTS = 32


def export(folder: RunFolder, step: int | None, to: Path) -> int:
    """Writes the Hugging Face folder of a checkpoint, checks it and returns its step; nothing stands at `to` before it is proven.

    - `step`: None means the newest valid checkpoint.
    - `to`: the folder to write; an earlier export of this run is replaced, anything else is refused.

    Raises InputError where there is no such checkpoint, the vocabulary is not the records' or `to` holds something else;
    WorkError where the proof fails or the disk does not take it.
    """
    place = place_of(to)
    header = read_header(folder.examples)
    refuse_other_tokenizer(folder.vocabulary, header.tokenizer_sha256)
    step = find_step(folder, step)
    if _stands_already(folder, step, place):
        logger.info("%s: BERT of step %d stands there already, proven; nothing to do", to, step)
        return step
    _refuse_other_files(to)
    available_devices()
    checkpoint = step_folder(folder.checkpoints, step)
    recipe = training_recipe_from_plain(facts_of(checkpoint)["recipe"])
    with _new_folder(to) as fresh:
        with machine_errors_at(to):
            facts = _write(fresh, folder, step, recipe, header)
        _refuse_other_card(folder, to, fresh)
        proof = _prove(fresh, folder, header)
        with machine_errors_at(to):
            for path in fresh.iterdir():
                sync_file(path)
            sync_folder(fresh)
            _replace(place, fresh)
    record = {
        "step": step,
        "checkpoint": _checkpoint_hash(folder, step),
        "facts": facts,
        "proof": proof,
        "files": hashes_of(place),
        "software": software_versions(),
    }
    folder.record("export", {"folders": {**exports_of(folder), name_of(folder, place): record}})
    logger.info("%s: BERT of step %d, %s parameters; %s", to, step, f"{facts['parameters']:,}", proof)
    return step


def find_step(folder: RunFolder, step: int | None) -> int:
    """The step asked for, or that of the newest valid checkpoint; an InputError where there is none."""
    steps = list_steps(folder.checkpoints)
    if step is not None:
        if step not in steps:
            raise InputError(f"--step {step}: no such checkpoint; there are {', '.join(map(str, steps)) or 'none'}")
        if problem := fault(step_folder(folder.checkpoints, step)):
            raise WorkError(f"{step_folder(folder.checkpoints, step)}: {problem}; choose another --step")
        return step
    found = newest_valid(folder.checkpoints)
    if found is None:
        raise InputError(f"{folder.checkpoints}: no checkpoint yet; run `python -m pretrain train` first")
    return found[0]


def evaluation_at(folder: RunFolder, step: int) -> dict[str, Any] | None:
    """The held-out figures that training logged at a step or last before it; None where it logged none."""
    lines = read_metrics(folder.metrics / METRICS_FILE)
    evaluations = [line for line in lines if "evaluation_loss" in line and line["step"] <= step]
    return evaluations[-1] if evaluations else None


def _stands_already(folder: RunFolder, step: int, place: Path) -> bool:
    """Whether the last export to this place was of this very checkpoint, by this code, and stands there as it was written.

    The card counts in whatever state: it is there to be filled in.
    """
    last = exports_of(folder).get(name_of(folder, place), {})
    same = last.get("checkpoint") == _checkpoint_hash(folder, step) and last.get("software") == software_versions()
    return same and place.is_dir() and {**last["files"], CARD: ""} == {**hashes_of(place), CARD: ""}


def _refuse_other_files(to: Path) -> None:
    """Raises InputError where the folder to write cannot be one, or holds what no export writes."""
    if to.exists() and not to.is_dir():
        raise InputError(f"--to {to}: is a file; choose an empty or a new folder")
    other = sorted(path.name for path in to.iterdir() if path.name not in FILES) if to.exists() else []
    if other:
        raise InputError(f"--to {to}: holds other files ({', '.join(other[:3])}); choose an empty or a new folder")


def _refuse_other_card(folder: RunFolder, to: Path, fresh: Path) -> None:
    """Raises InputError where a model stands at `to` that this run did not export, or whose card was filled in since."""
    if not to.exists() or not any(to.iterdir()):
        return
    last = exports_of(folder).get(name_of(folder, place_of(to)))
    if (to / CARD).exists():
        # Killed between the renaming and the manifest, an export has no record yet, but the very card that is written now.
        cards = (last["files"].get(CARD) if last else None, sha256_of_file(fresh / CARD))
        same = sha256_of_file(to / CARD) in cards
    else:
        same = last is not None
    if not same:
        raise InputError(
            f"--to {to}: its {CARD} is not as this run exported it; move the folder away, or choose another --to"
        )


def _checkpoint_hash(folder: RunFolder, step: int) -> str:
    return sha256_of_file(step_folder(folder.checkpoints, step) / MANIFEST)


def _write(fresh: Path, folder: RunFolder, step: int, recipe: TrainingRecipe, header: RecordsHeader) -> dict[str, Any]:
    family = family_of(recipe.model)
    heads = frozenset({"vocabulary", "pair"} if header.has_pairs else {"vocabulary"})
    params = restore_params(step_folder(folder.checkpoints, step))
    tensors = to_hugging_face(params, family.rules(recipe.model, heads), header.vocabulary_size)
    write_folder(fresh, tensors, family.config_to_json(recipe.model, header.vocabulary_size, header.pad_id, heads))
    for name in TOKENIZER_FILES:
        if (folder.vocabulary / name).exists():
            shutil.copyfile(folder.vocabulary / name, fresh / name)
    # Without model_max_length transformers takes 1e30 and never truncates.
    max_length = (recipe.model.longest_row() or ("", header.length))[1]
    names = read_json(fresh / "tokenizer_config.json") or {}
    write_json(fresh / "tokenizer_config.json", {**names, "model_max_length": max_length})
    facts = {
        "family": family.title,
        "sizes": recipe.model.in_words(),
        "tags": [family.name],
        "step": step,
        "pairs": header.pair_task.replace("_", "-"),
        "parameters": sum(math.prod(tensor.shape) for tensor in tensors.values()),
        "vocab_size": header.vocabulary_size,
        "mask_token": Tokenizer(fresh).pieces[header.mask_id],
        "max_length": max_length,
        "evaluation": evaluation_at(folder, step),
    }
    card = model_card(folder.manifest(), facts, f"{folder.path.resolve().name}-{family.name}")
    (fresh / CARD).write_text(card, encoding="utf-8")
    return facts


@contextmanager
def _new_folder(to: Path) -> Iterator[Path]:
    """A folder beside `to` that is gone afterwards, unless it was renamed; what killed exports left there is removed.

    Raises InputError where none can be made there.
    """
    place = place_of(to)
    fresh = place.parent / f".{place.name}.{uuid.uuid4().hex[:8]}"
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        for left in place.parent.glob(f".{glob.escape(place.name)}.{'[0-9a-f]' * 8}"):
            with suppress(BlockingIOError), _held(left):  # held by an export that is at work
                shutil.rmtree(left)
        fresh.mkdir()
    except OSError as error:
        raise machine_error(error, to) or InputError(
            f"--to {to}: no folder can be made there ({error.strerror}); choose another"
        ) from None
    try:
        with _held(fresh):
            yield fresh
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Locks a folder while the block runs or the process lives; BlockingIOError where another process does."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _replace(place: Path, fresh: Path) -> None:
    """Puts the new folder in the place of the old one; after a kill in between none stands there."""
    old = place.with_name(f".{place.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if place.exists():
        place.rename(old)
    fresh.rename(place)
    sync_folder(place.parent)
    shutil.rmtree(old, ignore_errors=True)


@dataclass(frozen=True)
class _Inputs:
    """Texts as a fine-tuning script would feed them: int64 [n, L], padded."""

    texts: list[str]
    token_ids: np.ndarray
    token_type_ids: np.ndarray
    attends: np.ndarray


def _prove(fresh: Path, folder: RunFolder, header: RecordsHeader) -> str:
    """Reads the folder back; compares tokens and logits with transformers' where it and torch are installed."""
    exported = ExportedBert(fresh)
    inputs = _proof_inputs(exported.tokenizer, folder, header)
    logits = exported.masked_lm_logits(inputs.token_ids, inputs.token_type_ids, inputs.attends)
    if not np.isfinite(logits).all():
        raise WorkError("the exported model gives numbers that are not finite; export an earlier --step")
    if importlib.util.find_spec("torch") is None or importlib.util.find_spec("transformers") is None:
        return "read back; not compared with transformers, because it or torch is not installed (pip install .[export])"
    import torch
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(fresh)
    model = transformers.AutoModelForMaskedLM.from_pretrained(fresh).eval()
    theirs_ids = tokenizer(inputs.texts)["input_ids"]
    ours_ids = [encoding.ids for encoding in exported.tokenizer.backend.encode_batch(inputs.texts)]
    for text, theirs_row, ours_row in zip(inputs.texts, theirs_ids, ours_ids, strict=True):
        if list(theirs_row) != ours_row:
            raise WorkError(
                f"transformers tokenises {text!r} as {theirs_row}, training did as {ours_row}; not exported"
            )
    with torch.no_grad():
        theirs = model(
            input_ids=torch.tensor(inputs.token_ids),
            attention_mask=torch.tensor(inputs.attends),
            token_type_ids=torch.tensor(inputs.token_type_ids),
        ).logits.numpy()
    difference = float(np.abs(theirs - logits)[inputs.attends == 1].max())
    if difference > TOLERANCE:
        raise WorkError(f"logits differ from transformers' by {difference:.1e}, more than {TOLERANCE:g}; not exported")
    return f"tokens equal and logits within {difference:.1e} of transformers {transformers.__version__}"


def _proof_inputs(tokenizer: Tokenizer, folder: RunFolder, header: RecordsHeader) -> _Inputs:
    """Segments of the first records, as text again."""
    split = "evaluation" if header.rows.get("evaluation") else "train"
    records = Records(folder.examples, split)
    rows = records.read(range(min(PROOF_TEXTS, len(records))))
    starts = from_bitmap(rows["segment_starts"])
    texts = []
    for tokens, flags in zip(rows["tokens"], starts, strict=True):
        bounds = [*np.flatnonzero(flags), header.length]
        texts.append(tokenizer.backend.decode(tokens[bounds[0] : bounds[1]].tolist()))
    longest = min(header.length, 128)
    token_ids = np.full((len(texts), longest), header.pad_id, np.int64)
    token_type_ids, attends = np.zeros_like(token_ids), np.zeros_like(token_ids)
    for row, encoding in enumerate(tokenizer.backend.encode_batch(texts)):
        length = min(len(encoding.ids), longest)
        token_ids[row, :length] = encoding.ids[:length]
        token_type_ids[row, length // 2 : length] = header.has_pairs
        attends[row, :length] = 1
    return _Inputs(texts, token_ids, token_type_ids, attends)
