"""export: a checkpoint as a Hugging Face folder, written without torch, then proven."""

import logging
import posixpath
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from data_pipeline.contract.errors import InputError, UnwritableError, machine_errors_at
from data_pipeline.contract.records import HEADER, Records, RecordsHeader, from_bitmap
from data_pipeline.contract.run_folder import RunFolder, software_versions
from data_pipeline.contract.storage import sha256_of_file
from data_pipeline.contract.tokenizer import TOKENIZER_FILES, Tokenizer, refuse_other_tokenizer
from pretrain.checkpoints.base_model import NOTHING_TOLD, BaseModel, question, with_base_model
from pretrain.checkpoints.facts import exported_models, header_of, models_of
from pretrain.checkpoints.provenance import licences, own_token_types, prepared, started_from
from pretrain.checkpoints.verify import MANIFEST, Facts, facts_of, step_folder
from pretrain.devices.available import available_devices
from pretrain.exporting.card import model_card, place_name
from pretrain.exporting.exported import (
    BASE_MODEL,
    CARD,
    exports_of,
    hashes_of,
    name_of,
    new_folder,
    place_of,
    replace_export,
    sync_export,
    told_of_base_model,
    without_cards,
)
from pretrain.exporting.formats.conversion import add_section, convert, refuse_formats
from pretrain.exporting.formats.format import FORMATS, FormatName
from pretrain.exporting.model_index import evaluated
from pretrain.exporting.proof import prove
from pretrain.exporting.tokenizer_files import GENERATION_CONFIG, write_tokenizer
from pretrain.hugging_face.folder import CONFIG, WEIGHTS, write_folder
from pretrain.input.schedule import stretches
from pretrain.monitoring.metrics import METRICS_FILE, is_of_probes, read_metrics
from pretrain.recipe import training_recipe_from_plain
from pretrain.subject import Subject, held_step, subject_of_run

logger = logging.getLogger("pretrain")
FILES = (CARD, CONFIG, GENERATION_CONFIG, WEIGHTS, *TOKENIZER_FILES)
"""What an exported folder may hold, beside folders for further models."""
PROOF_TEXTS = 32
DROPOUTS = ("hidden_dropout_prob", "hidden_dropout", "resid_pdrop", "dropout_rate", "mlp_dropout")
"""What transformers' configs call the dropout of hidden states."""


def export(
    folder: RunFolder,
    step: int | None,
    to: Path,
    formats: Collection[FormatName] = (),
    base_model: BaseModel = NOTHING_TOLD,
) -> int:
    """Writes the Hugging Face folder of a checkpoint, checks it and returns its step; nothing lies at `to` before it is proven.

    - `step`: None means the newest valid checkpoint.
    - `to`: the folder to write; an earlier export of this run is replaced, anything else is refused.
    - `formats`: what the main model is written in as well, beside those in which `to` has this checkpoint.
    - `base_model`: what the user tells of the model that the run began with; the run remembers it for its next exports.

    The checkpoint tells what it holds; where the run's records are there, their texts serve the proof. Where the objective has
    further models to export, each gets a folder below.

    Raises InputError where there is no such checkpoint, the vocabulary is not the records', `to` holds something else, or the model is
    not converted to a format; WorkError where the proof fails or the disk does not take it.
    """
    with held_step(folder, step) as step:
        _export(folder, step, to, formats, base_model)
        return step


def _export(folder: RunFolder, step: int, to: Path, formats: Collection[FormatName], base_model: BaseModel) -> None:
    place = place_of(to)
    saved = facts_of(step_folder(folder.checkpoints, step))
    told = {**told_of_base_model(folder), **base_model.told()}
    saved = with_base_model(saved, told)
    header = header_of(saved, folder)
    refuse_other_tokenizer(folder.vocabulary, header.tokenizer_sha256)
    models = exported_models(saved)
    formats = _with_those_there(folder, step, place, formats)
    if _is_there_already(folder, step, place, models, formats, told):
        logger.info("%s: step %d is there already, proven; nothing to do", to, step)
        _ask(to, saved)
        return
    _refuse_other_files(to, tuple(models))
    available_devices()
    subjects = {below: subject_of_run(folder, step, part) for below, part in models.items()}
    refuse_formats(subjects[""], formats)
    with new_folder(to) as fresh:
        with machine_errors_at(to):
            facts = {
                below: _write(fresh / below, folder, saved, subject, models[below])
                for below, subject in subjects.items()
            }
            for name in formats:
                add_section(fresh / CARD, name, subjects[""])
        for below in models:
            _refuse_other_card(folder, to, fresh, f"{below}/{CARD}".lstrip("/"))
        texts = _proof_texts(folder, header, subjects[""].tokenizer)
        proofs = {below: prove(fresh / below, texts, header.length) for below in models}
        converted = {name: _convert(name, fresh, to, texts, header.length) for name in formats}
        with machine_errors_at(to):
            sync_export(fresh)
            replace_export(place, fresh)
    record = {
        "step": step,
        "checkpoint": _checkpoint_hash(folder, step),
        "facts": facts[""],
        "proof": proofs[""],
        "formats": converted,
        "base_model": told,
        "files": hashes_of(place, models, _trees(formats)),
        "software": software_versions(),
    }
    try:
        folder.change(
            "export",
            lambda last: {
                **last,
                **({BASE_MODEL: told} if told else {}),
                "folders": {**last.get("folders", {}), name_of(folder, place): record},
            },
        )
    except UnwritableError as error:
        logger.warning("%s: the export is whole, but its run does not know of it (%s)", to, error)
    for below, proof in proofs.items():
        logger.info(
            "%s: %s of step %d, %s parameters; %s",
            *(to / below, subjects[below].family.title, step, f"{facts[below]['parameters']:,}", proof),
        )
    for name, proof in converted.items():
        logger.info("%s: %s; %s", to / FORMATS[name].folder, FORMATS[name].title, proof)
    _ask(to, saved)


def _ask(to: Path, saved: Facts) -> None:
    start = started_from(saved)
    if start and (asked := question(saved, place_name(start))):
        logger.warning("%s: %s", to, asked)


def evaluation_at(folder: RunFolder, step: int) -> dict[str, Any] | None:
    """The held-out figures that training logged at a step or last before it; None where it logged none."""
    lines = read_metrics(folder.metrics / METRICS_FILE)
    evaluations = [line for line in lines if "evaluation_loss" in line and line["step"] <= step]
    return evaluations[-1] if evaluations else None


def probed_at(folder: RunFolder, step: int) -> dict[str, tuple[int, float]]:
    """What probes measured last, at a step or before it: by name the step and the value."""
    lines = [line for line in read_metrics(folder.metrics / METRICS_FILE) if line["step"] <= step]
    return {
        name: (line["step"], value)
        for line in lines
        for name, value in line.items()
        if value is not None and is_of_probes(name)
    }


def _evaluated(folder: RunFolder, step: int) -> list[dict[str, Any]]:
    return [asdict(result) for result in evaluated(folder.path, step)]


def _with_those_there(
    folder: RunFolder, step: int, place: Path, formats: Collection[FormatName]
) -> tuple[FormatName, ...]:
    """Formats, and those of the last export to this place that are still there, if that was of this very checkpoint."""
    last = exports_of(folder).get(name_of(folder, place), {})
    there = last.get("formats", {}) if last.get("checkpoint") == _checkpoint_hash(folder, step) else {}
    return tuple(
        name for name, kind in FORMATS.items() if name in formats or (name in there and (place / kind.folder).is_dir())
    )


def _trees(formats: Iterable[FormatName]) -> list[str]:
    return [FORMATS[name].folder for name in formats]


def _convert(name: FormatName, fresh: Path, to: Path, texts: Sequence[str], longest: int) -> str:
    """Writes a format into a folder that is to lie at `to`, and returns how it was proven."""
    with machine_errors_at(to):
        (fresh / FORMATS[name].folder).mkdir()
        return convert(name, fresh, fresh / FORMATS[name].folder, texts, longest)


def _is_there_already(
    folder: RunFolder,
    step: int,
    place: Path,
    models: Iterable[str],
    formats: Iterable[FormatName],
    told: Mapping[str, str],
) -> bool:
    """Whether the last export to this place was of this very checkpoint and its evaluations, by this code, and is there as written.

    Cards count in whatever state: they are there to be filled in.
    """
    last = exports_of(folder).get(name_of(folder, place), {})
    same = last.get("checkpoint") == _checkpoint_hash(folder, step) and last.get("software") == software_versions()
    same = same and last["facts"].get("evaluated", []) == _evaluated(folder, step)
    same = same and last.get("base_model", {}) == told
    same = same and place.is_dir() and set(formats) == set(last.get("formats", ()))
    return same and without_cards(last["files"]) == without_cards(hashes_of(place, models, _trees(formats)))


def _refuse_other_files(to: Path, models: tuple[str, ...]) -> None:
    """Raises InputError where the folder to write cannot be one, or holds what no export writes."""
    if to.exists() and not to.is_dir():
        raise InputError(f"--to {to}: is a file; choose an empty or a new folder")
    known = (*FILES, *models, *_trees(FORMATS))
    other = sorted(path.name for path in to.iterdir() if path.name not in known) if to.exists() else []
    if other:
        raise InputError(f"--to {to}: holds other files ({', '.join(other[:3])}); choose an empty or a new folder")


def _refuse_other_card(folder: RunFolder, to: Path, fresh: Path, card: str) -> None:
    """Raises InputError where a model is at `to` that this run did not export, or whose card was filled in since.

    - `card`: its path in the folder.
    """
    if not to.exists() or not any(to.iterdir()):
        return
    last = exports_of(folder).get(name_of(folder, place_of(to)))
    if (to / card).exists():
        # Killed between the renaming and the manifest, an export has no record yet, but the very card that is written now.
        cards = (last["files"].get(card) if last else None, sha256_of_file(fresh / card))
        same = sha256_of_file(to / card) in cards
    else:
        same = last is not None
    if not same:
        raise InputError(
            f"--to {to}: its {card} is not as this run exported it; move the folder away, or choose another --to"
        )


def _checkpoint_hash(folder: RunFolder, step: int) -> str:
    return sha256_of_file(step_folder(folder.checkpoints, step) / MANIFEST)


def _write(fresh: Path, folder: RunFolder, saved: Facts, subject: Subject, part: str) -> dict[str, Any]:
    """Writes the folder of one model, that of a part, and returns what its card says of it."""
    fresh.mkdir(exist_ok=True)
    header, data = header_of(saved, folder), prepared(saved, folder)
    configuration = subject.family.config_to_json(subject.config, subject.vocab_size, header.special_ids, subject.heads)
    write_folder(fresh, subject.tensors, configuration)
    longest = subject.config.longest_row()
    positions, trained = longest.tokens if longest else header.length, _trained_length(saved, header)
    # What no row has trained is not offered, unless the model that the run began with may have trained it.
    max_length = positions if started_from(saved, part) else min(positions, trained)
    write_tokenizer(folder.vocabulary, fresh, subject.family, subject.config, max_length)
    tokenizer = Tokenizer(fresh)
    facts = {
        "family": subject.family.title,
        "caveat": subject.family.caveat,
        "sizes": subject.config.in_words(),
        "heads": sorted(subject.heads),
        "auto_class": subject.family.auto_class(subject.heads),
        "adds_pooler": subject.family.adds_pooler(subject.heads),
        **_among(saved, folder, part),
        "licences": licences(saved, folder),
        "globs": [source["glob"] for source in data.get("recipe", {}).get("sources", [])],
        "started_from": started_from(saved, part),
        "token_types": (subject.config.token_types() or ("", 1))[1],
        "token_types_trained": (own_token_types(saved, folder), subject.token_types),
        "trained_length": trained,
        "layout": header.layout,
        "word_unit": header.word_unit,
        "train_tokens": header.tokens["train"],
        "train_rows": header.rows["train"],
        "tags": [subject.family.name],
        "step": saved["step"],
        "pairs": header.pair_task.replace("_", "-") if "pair" in subject.heads else "",
        "taken_for": subject.family.pair_task.replace("_", "-"),
        "target_length": header.target_length,
        "parameters": subject.parameter_count,
        "vocab_size": subject.vocab_size,
        "mask_token": tokenizer.pieces[header.mask_id],
        "dropout": next((configuration[name] for name in DROPOUTS if name in configuration), None),
        "tokenizer": type(tokenizer.backend.model).__name__,
        "lowercase": tokenizer.lowercases,
        "positions": positions,
        "max_length": max_length,
        "evaluation": evaluation_at(folder, saved["step"]),
        "probed": probed_at(folder, saved["step"]),
        "evaluated": _evaluated(folder, saved["step"]) if part == exported_models(saved)[""] else [],
    }
    name = "-".join([folder.path.resolve().name, subject.family.name, *([part] if facts["others"] else [])])
    (fresh / CARD).write_text(model_card(name, data, saved, facts), encoding="utf-8")
    return facts


def _among(saved: Facts, folder: RunFolder, part: str) -> dict[str, Any]:
    """What a card says of a part among the models that the run exports."""
    places = exported_models(saved)
    own = next(below for below, model in places.items() if model == part)
    described = models_of(saved, folder)
    others = [
        {"part": model, "heads": described[model]["heads"], "place": posixpath.relpath(below or ".", own or ".")}
        for below, model in places.items()
        if model != part
    ]
    return {"part": part, "main": places[""] if own else "", "others": others}


def _trained_length(saved: Facts, header: RecordsHeader) -> int:
    """Tokens of the longest rows that a checkpoint has trained."""
    schedule = stretches(training_recipe_from_plain(saved["recipe"]))
    return max(stretch.length or header.length for stretch in schedule if stretch.start < max(1, saved["step"]))


def _proof_texts(folder: RunFolder, header: RecordsHeader, tokenizer: Tokenizer) -> list[str]:
    """Segments of the first records as text again; without records, random pieces."""
    if not (folder.examples / HEADER).exists():
        pieces = np.setdiff1d(np.arange(tokenizer.size), header.reserved_ids)
        drawn = np.random.default_rng(0).choice(pieces, (PROOF_TEXTS, header.length // 2))
        return [tokenizer.backend.decode(row.tolist()) for row in drawn]
    split = "evaluation" if header.rows.get("evaluation") else "train"
    records = Records(folder.examples, split)
    rows = records.read(range(min(PROOF_TEXTS, len(records))))
    texts = []
    for tokens, flags in zip(rows["tokens"], from_bitmap(rows["segment_starts"]), strict=True):
        bounds = [*np.flatnonzero(flags), len(tokens)]
        texts.append(tokenizer.backend.decode(tokens[bounds[0] : bounds[1]].tolist()))
    return texts
