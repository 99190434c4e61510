"""export: a checkpoint as a Hugging Face folder, written without torch, then proven."""

import importlib.util
import logging
import math
import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from data_pipeline.contract.errors import InputError, WorkError
from data_pipeline.contract.records import Records, RecordsHeader, from_bitmap, read_header
from data_pipeline.contract.run_folder import RunFolder, software_versions
from data_pipeline.contract.storage import read_json, sha256_of_file, sync_file, sync_folder, write_json
from data_pipeline.contract.tokenizer import Tokenizer
from pretrain.checkpoints import MANIFEST, facts_of, fault, list_steps, newest_valid, restore_params, step_folder
from pretrain.fill import ExportedBert
from pretrain.metrics import METRICS_FILE, read_metrics
from pretrain.model_card import model_card
from pretrain.models.bert.hugging_face import hugging_face_config, to_hugging_face
from pretrain.recipe import TrainingRecipe, training_recipe_from_plain

logger = logging.getLogger("pretrain")
TOLERANCE = 1e-4
"""Largest difference of a logit between transformers and this code, float32."""
PROOF_TEXTS = 32


def export(folder: RunFolder, step: int | None, to: Path) -> None:
    """Writes the Hugging Face folder of a checkpoint and checks it; nothing stands at `to` before it is proven.

    - `step`: None means the newest valid checkpoint.
    - `to`: the folder to write; one that this command wrote before is replaced.

    Raises InputError where there is no such checkpoint or `to` is something else, WorkError where the proof fails.
    """
    step = find_step(folder, step)
    if _stands_already(folder, step, to):
        logger.info("%s: BERT of step %d stands there already, proven; nothing to do", to, step)
        return
    checkpoint = step_folder(folder.checkpoints, step)
    recipe = training_recipe_from_plain(facts_of(checkpoint)["recipe"])
    header = read_header(folder.examples)
    if to.exists() and any(to.iterdir()) and not (to / "model.safetensors").exists():
        raise InputError(f"--to {to}: holds other files; choose an empty or a new folder")
    to.parent.mkdir(parents=True, exist_ok=True)
    fresh = to.parent / f".{to.name}.{uuid.uuid4().hex[:8]}"
    try:
        fresh.mkdir()
        facts = _write(fresh, folder, step, recipe, header)
        proof = _prove(fresh, folder, header)
        for path in fresh.iterdir():
            sync_file(path)
        sync_folder(fresh)
        _replace(to, fresh)
    except OSError as error:
        raise WorkError(f"{to}: cannot be written ({error.strerror}); free space or choose another --to") from None
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    record = {
        "step": step,
        "checkpoint": _checkpoint_hash(folder, step),
        "facts": facts,
        "proof": proof,
        "files": _hashes(to),
    }
    folder.record("export", record)
    logger.info("%s: BERT of step %d, %s parameters; %s", to, step, f"{facts['parameters']:,}", proof)


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


def _stands_already(folder: RunFolder, step: int, to: Path) -> bool:
    """Whether the last export was of this very checkpoint, by this code, and its files are still as they were written."""
    last = folder.manifest().get("export", {})
    same = last.get("checkpoint") == _checkpoint_hash(folder, step) and last.get("software") == software_versions()
    return same and to.is_dir() and last["files"] == _hashes(to)


def _hashes(to: Path) -> dict[str, str]:
    return {path.name: sha256_of_file(path) for path in sorted(to.iterdir()) if path.is_file()}


def _checkpoint_hash(folder: RunFolder, step: int) -> str:
    return sha256_of_file(step_folder(folder.checkpoints, step) / MANIFEST)


def _write(fresh: Path, folder: RunFolder, step: int, recipe: TrainingRecipe, header: RecordsHeader) -> dict[str, Any]:
    next_sentence = header.layout == "sentence_pairs"
    params = restore_params(step_folder(folder.checkpoints, step))
    tensors = to_hugging_face(params, recipe.model, header.vocabulary_size)
    # "format" is what older transformers 4 insist on. save_file would make a file that only its owner may read.
    (fresh / "model.safetensors").write_bytes(save(tensors, metadata={"format": "pt"}))
    configuration = hugging_face_config(
        recipe.model, header.vocabulary_size, pad_token_id=header.pad_id, next_sentence=next_sentence
    )
    write_json(fresh / "config.json", configuration)
    for path in sorted(folder.vocabulary.iterdir()):
        if path.name != "report.json":
            shutil.copyfile(path, fresh / path.name)
    # Without model_max_length transformers takes 1e30 and never truncates.
    names = read_json(fresh / "tokenizer_config.json") or {}
    write_json(fresh / "tokenizer_config.json", {**names, "model_max_length": recipe.model.max_position_embeddings})
    facts = {
        "step": step,
        "next_sentence": next_sentence,
        "parameters": sum(math.prod(tensor.shape) for tensor in tensors.values()),
        "vocab_size": header.vocabulary_size,
        "mask_token": Tokenizer(fresh).pieces[header.mask_id],
        "max_length": recipe.model.max_position_embeddings,
        "evaluation": evaluation_at(folder, step),
    }
    card = model_card(folder.manifest(), facts, f"{folder.path.resolve().name}-bert")
    (fresh / "README.md").write_text(card, encoding="utf-8")
    return facts


def _replace(to: Path, fresh: Path) -> None:
    """Puts the new folder in the place of the old one; a kill in between leaves the new one complete, under its own name."""
    old = to.with_name(f".{to.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if to.exists():
        to.rename(old)
    fresh.rename(to)
    sync_folder(to.parent)
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
        raise WorkError(
            f"step of {fresh.name}: the exported model gives numbers that are not finite; export an earlier --step"
        )
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
        token_type_ids[row, length // 2 : length] = header.layout == "sentence_pairs"
        attends[row, :length] = 1
    return _Inputs(texts, token_ids, token_type_ids, attends)
