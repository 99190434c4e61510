"""The parameters that a new run begins with: those of another model, row by row of the vocabulary."""

import logging
from typing import NamedTuple

import jax
import numpy as np

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.recipe_file import plain
from data_pipeline.contract.tokenizer import Tokenizer
from pretrain.checkpoints.verify import Facts
from pretrain.hugging_face.folder import hub_id_of
from pretrain.hugging_face.weights import from_hugging_face, refuse_surplus, tensor_names, to_hugging_face
from pretrain.models.core.layers import Parameters
from pretrain.models.protocols import Model
from pretrain.objectives.protocols import Objective
from pretrain.subject import Subject, load_subject

log = logging.getLogger(__name__)


class Start(NamedTuple):
    """What a run begins with.

    - `params`: in the shape of the objective's own, on the host.
    - `facts`: what every checkpoint of the run keeps of it, JSON-ready: `place` (as the recipe names it), `hub_id` (empty where the
      place does not tell), `licences`, and `token_types` (rows of that table that its training has used).
    """

    params: Parameters
    facts: Facts


def starting_parameters(place: str, objective: Objective, tokenizer: Tokenizer) -> Start:
    """The parameters of `place` for an objective, and what is known of them.

    - `place`: as for `pretrain.subject.load_subject`.
    - `tokenizer`: the run's. Rows go to the same pieces; a piece that took the place of an [unusedN] row keeps that row.

    What `place` does not have (a head, rows of other pieces) is as it is drawn without a start.

    Raises InputError where the models do not fit each other, or the objective has several.
    """
    called = f"start_from {place}"
    if len(objective.parts.models) > 1:
        several = ", ".join(objective.parts.models)
        raise InputError(f"{called}: is one model, and this objective has several ({several}); leave start_from unset")
    (model,) = objective.parts.models.values()
    subject = load_subject(place, called=called)
    _refuse_other_sizes(subject, model, called)
    rules = subject.family.rules(model.config, model.heads)
    fresh = jax.device_get(jax.jit(objective.init)())
    drawn, names = to_hugging_face(fresh, rules, model.vocab_size), tensor_names(fresh, rules, copies=False)
    own = {name: drawn[name].copy() for name in names}  # what comes from a device cannot be written to
    given = subject.tensors
    refuse_surplus(given, drawn, subject.family.not_parameters, called)
    rows = _rows(subject.tokenizer.pieces, tokenizer.pieces)
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
    facts = {
        "place": place,
        "hub_id": hub_id_of(place),
        "licences": list(subject.licences),
        "token_types": subject.token_types,
    }
    return Start(from_hugging_face(own, fresh, rules, model.vocab_size), facts)


def _refuse_other_sizes(subject: Subject, model: Model, called: str) -> None:
    """Raises InputError where families differ, or sizes that must be equal, some of which show in no shape."""
    theirs, ours = plain(subject.config), plain(model.config)
    if theirs["kind"] != ours["kind"]:
        raise InputError(f"{called}: is a {theirs['kind']}, model is a {ours['kind']}; set the recipe's model to that")
    for field in subject.family.must_match:
        if theirs[field] != ours[field]:
            raise InputError(
                f"{called}: its {field} is {theirs[field]}, model.{field} is {ours[field]}; set the recipe's model to "
                "that of the folder"
            )


def _rows(pieces: list[str], wanted: list[str]) -> np.ndarray:
    """int64 [wanted]: the row of `pieces` that each wanted piece takes, -1 for none."""
    known = {piece: row for row, piece in enumerate(pieces)}

    def row_of(index: int, piece: str) -> int:
        reserved = index < len(pieces) and pieces[index].startswith("[unused")
        return known.get(piece, index if reserved else -1)

    return np.array([row_of(index, piece) for index, piece in enumerate(wanted)], np.int64)
