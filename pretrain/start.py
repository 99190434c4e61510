"""Where a new run's parameters come from when not from chance: a Hugging Face BERT folder, or another run."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.run_folder import RunFolder
from data_pipeline.contract.storage import read_json
from data_pipeline.contract.tokenizer import Tokenizer
from pretrain.checkpoints.restore import restore_params
from pretrain.checkpoints.verify import facts_of, newest_valid, step_folder
from pretrain.models.bert.config import BertConfig
from pretrain.models.bert.hugging_face import (
    NOT_PARAMETERS,
    VOCABULARY_ROWS,
    from_hugging_face,
    renamed,
    to_hugging_face,
)
from pretrain.models.core.layers import Parameters
from pretrain.objectives.masked_lm.objective import MaskedLanguageModel
from pretrain.recipe import training_recipe_from_plain

log = logging.getLogger(__name__)
SAME = ("num_hidden_layers", "hidden_size", "num_attention_heads", "intermediate_size", "layer_norm_eps")
"""Fields of the model that must be those of what it starts from; heads and epsilon show in no shape."""
POSITIONS = "bert.embeddings.position_embeddings.weight"


@dataclass(frozen=True)
class Start:
    """What a run starts from: tensors by Hugging Face's names, the fields of its config, the pieces of its vocabulary."""

    tensors: Mapping[str, np.ndarray]
    configuration: Mapping[str, Any]
    pieces: list[str]


def starting_parameters(place: Path, objective: MaskedLanguageModel, vocabulary: Path) -> Parameters:
    """The parameters of `place` in the shape of the run's own, on the host.

    - `place`: a Hugging Face folder of a BERT (config.json, model.safetensors, tokenizer), or a run folder, whose newest valid
      checkpoint counts.
    - `vocabulary`: the run's tokenizer. Rows go to the same pieces; a piece that took the place of an [unusedN] row keeps
      that row.

    What `place` does not have (a head, rows of other pieces) is as chance would have it without a start.

    Raises InputError where the models do not fit each other.
    """
    model = objective.model
    start = _of_run(RunFolder(place)) if (place / "checkpoints").is_dir() else _of_hugging_face(place)
    for field in SAME:
        if start.configuration.get(field) != getattr(model.config, field):
            raise InputError(
                f"start_from {place}: its {field} is {start.configuration.get(field)}, model.{field} is "
                f"{getattr(model.config, field)}; set the recipe's model to that of the folder"
            )
    fresh = to_hugging_face(jax.device_get(jax.jit(objective.init)()), model.config, model.vocab_size)
    own = {name: tensor.copy() for name, tensor in fresh.items()}  # what comes from a device cannot be written to
    given = renamed(start.tensors)
    surplus = sorted(name for name in given if name not in own and not name.startswith(NOT_PARAMETERS))
    if surplus:
        raise InputError(
            f"start_from {place}: has {len(surplus)} tensors that this model has not, the first is {surplus[0]}"
        )
    rows = _rows(start.pieces, Tokenizer(vocabulary).pieces)
    for name in own.keys() & given.keys():
        tensor = np.asarray(given[name], np.float32)
        if name in VOCABULARY_ROWS:
            known = rows >= 0
            own[name][known] = tensor[rows[known]]
            continue
        if name == POSITIONS:
            tensor = tensor[: len(own[name])]
        if tensor.shape != own[name].shape:
            raise InputError(
                f"start_from {place}: {name} is {list(tensor.shape)}, the model's is {list(own[name].shape)}"
            )
        own[name] = tensor
    missing = sorted(own.keys() - given.keys())
    log.info(
        "starting from %s: %s of %s rows of the vocabulary found there%s",
        place,
        f"{int((rows >= 0).sum()):,}",
        f"{len(rows):,}",
        f"; not there, so by chance: {', '.join(missing)}" if missing else "",
    )
    return from_hugging_face(own, model.config, model.vocab_size, next_sentence=model.next_sentence)


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
    config: BertConfig = training_recipe_from_plain(facts_of(checkpoint)["recipe"]).model
    if config.vocab_size is None:
        raise ValueError(f"{checkpoint}: its recipe has no vocab_size")
    tensors = to_hugging_face(restore_params(checkpoint), config, config.vocab_size)
    return Start(tensors, {field: getattr(config, field) for field in SAME}, Tokenizer(run.vocabulary).pieces)


def _of_hugging_face(folder: Path) -> Start:
    configuration = read_json(folder / "config.json")
    if configuration is None:
        raise InputError(
            f"start_from {folder}: holds neither checkpoints/ nor config.json; give a run folder or a Hugging Face folder"
        )
    if configuration.get("model_type") != "bert" or configuration.get("hidden_act", "gelu") != "gelu":
        kind = f"{configuration.get('model_type')}, {configuration.get('hidden_act', 'gelu')}"
        raise InputError(f"start_from {folder}: config.json says {kind}; only a BERT with gelu can go on here")
    if not (folder / "model.safetensors").is_file():
        raise InputError(
            f"start_from {folder}: holds no model.safetensors; load it with transformers and save_pretrained it anew"
        )
    try:
        tensors = load_file(folder / "model.safetensors")
    except SafetensorError as error:
        raise InputError(f"{folder / 'model.safetensors'}: damaged ({error}); fetch it again") from None
    return Start(tensors, configuration, Tokenizer(folder).pieces)
