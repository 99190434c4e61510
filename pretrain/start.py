"""Where a new run's parameters come from when not from chance: a Hugging Face BERT folder, or another run."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.run_folder import RunFolder
from data_pipeline.contract.tokenizer import Tokenizer
from pretrain.checkpoints.restore import restore_params
from pretrain.checkpoints.verify import facts_of, newest_valid, step_folder
from pretrain.hugging_face.folder import read_configuration, read_model
from pretrain.hugging_face.weights import from_hugging_face, refuse_surplus, tensor_names, to_hugging_face
from pretrain.models.config import ModelConfig
from pretrain.models.core.layers import Parameters
from pretrain.models.registry import family_of, family_of_hugging_face
from pretrain.objectives.protocols import Objective
from pretrain.recipe import training_recipe_from_plain

log = logging.getLogger(__name__)


class Start(NamedTuple):
    """What a run starts from: the config, tensors by Hugging Face's names, the pieces of its vocabulary."""

    config: ModelConfig
    tensors: Mapping[str, np.ndarray]
    pieces: list[str]


def starting_parameters(place: Path, objective: Objective, vocabulary: Path) -> Parameters:
    """The parameters of `place` in the shape of the run's own, on the host.

    - `place`: a Hugging Face folder of a BERT (config.json, model.safetensors, tokenizer), or a run folder, whose newest valid
      checkpoint counts.
    - `vocabulary`: the run's tokenizer. Rows go to the same pieces; a piece that took the place of an [unusedN] row keeps
      that row.

    What `place` does not have (a head, rows of other pieces) is as chance would have it without a start.

    Raises InputError where the models do not fit each other.
    """
    (model,) = objective.parts.models.values()
    start = _of_run(RunFolder(place)) if (place / "checkpoints").is_dir() else _of_hugging_face(place)
    family, rules, called = family_of(model.config), objective.rules(), f"start_from {place}"
    for field in family.must_match:
        theirs, ours = getattr(start.config, field), getattr(model.config, field)
        if theirs != ours:
            raise InputError(
                f"{called}: its {field} is {theirs}, model.{field} is {ours}; set the recipe's model to that of the folder"
            )
    fresh = jax.device_get(jax.jit(objective.init)())
    names = tensor_names(fresh, rules)
    own = {
        name: tensor.copy()  # what comes from a device cannot be written to
        for name, tensor in to_hugging_face(fresh, rules, model.vocab_size).items()
    }
    given = start.tensors
    refuse_surplus(given, own, family.not_parameters, called)
    rows = _rows(start.pieces, Tokenizer(vocabulary).pieces)
    for name in own.keys() & given.keys():
        tensor = np.asarray(given[name], np.float32)
        if names[name].rows == "vocabulary":
            known = rows >= 0
            own[name][known] = tensor[rows[known]]
            continue
        if names[name].rows == "positions":
            tensor = tensor[: len(own[name])]
        if tensor.shape != own[name].shape:
            raise InputError(f"{called}: {name} is {list(tensor.shape)}, the model's is {list(own[name].shape)}")
        own[name] = tensor
    missing = sorted(own.keys() - given.keys())
    log.info(
        "starting from %s: %s of %s rows of the vocabulary found there%s",
        place,
        f"{int((rows >= 0).sum()):,}",
        f"{len(rows):,}",
        f"; not there, so by chance: {', '.join(missing)}" if missing else "",
    )
    return from_hugging_face(own, fresh, rules, model.vocab_size)


def _rows(pieces: list[str], wanted: list[str]) -> np.ndarray:
    """int64 [wanted]: the row of `pieces` that each wanted piece takes, -1 for none."""
    known = {piece: row for row, piece in enumerate(pieces)}

    def row_of(index: int, piece: str) -> int:
        reserved = index < len(pieces) and pieces[index].startswith("[unused")
        return known.get(piece, index if reserved else -1)

    return np.array([row_of(index, piece) for index, piece in enumerate(wanted)], np.int64)


def _of_run(run: RunFolder) -> Start:
    found = newest_valid(run.checkpoints)
    if found is None:
        raise InputError(f"start_from {run.path}: has no checkpoint yet; train it first")
    checkpoint = step_folder(run.checkpoints, found[0])
    config = training_recipe_from_plain(facts_of(checkpoint)["recipe"]).model
    if config.vocab_size is None:
        raise ValueError(f"{checkpoint}: its recipe has no vocab_size")
    family = family_of(config)
    tensors = to_hugging_face(restore_params(checkpoint), family.rules(config, family.heads), config.vocab_size)
    return Start(config, tensors, Tokenizer(run.vocabulary).pieces)


def _of_hugging_face(folder: Path) -> Start:
    called = f"start_from {folder}"
    configuration = read_configuration(folder, called)
    stored = read_model(folder, family_of_hugging_face(configuration, called), configuration, called)
    return Start(stored.config, stored.tensors, Tokenizer(folder).pieces)
