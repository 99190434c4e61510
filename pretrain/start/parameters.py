"""The parameters that a new run begins with: those of trained models, row by row of the vocabulary."""

import logging
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import NamedTuple

import jax
import numpy as np

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.recipe_fields import flag
from data_pipeline.contract.tokenizer import Tokenizer
from pretrain.checkpoints.verify import Facts
from pretrain.hugging_face.folder import hub_id_of
from pretrain.hugging_face.weights import from_hugging_face, tensor_names, to_hugging_face
from pretrain.models.config import ModelConfig
from pretrain.models.core.layers import Parameters
from pretrain.models.protocols import Model
from pretrain.objectives.protocols import Objective
from pretrain.start.places import starts_of
from pretrain.start.vocabulary import row_origins
from pretrain.subject import Subject, size_fields

log = logging.getLogger("pretrain")


class Start(NamedTuple):
    """What a run begins with.

    - `params`: in the shape of the objective's own, on the host.
    - `facts`: what every checkpoint of the run keeps of it, JSON-ready. Of the model that the first part began with `place`, `below`
      (its folder there, where an export has the model below another), `hub_id` (empty where the place does not tell), `licences` and
      `token_types` (rows of that table that its training has used); of the recipe's model `sizes`, the fields that had to be as
      there; and `others`, the same of each further part but for sizes.
    """

    params: Parameters
    facts: Facts


def starting_parameters(places: tuple[str, ...], objective: Objective, tokenizer: Tokenizer) -> Start:
    """The parameters of trained models for an objective, and what is known of them.

    - `places`: as for `pretrain.start.places.starts_of`.
    - `tokenizer`: the run's. Rows go to the same pieces, the others begin as `pretrain.start.vocabulary.row_origins` says.

    What a model does not have (a head, rows of pieces that it cannot tell) is initialised as without a start; its heads that the
    objective does not train are left behind. An array that parts share is that of the part that owns it.

    Raises InputError where models and objective do not fit each other.
    """
    starts = starts_of(places, objective)
    folders = {part: folder for folder, part in objective.exports.items()}
    fresh = jax.device_get(jax.jit(objective.init)())
    params, facts = {}, {}
    for part, model in objective.parts.models.items():
        place, subject = starts.pop(part)  # not kept: as large as the model
        params[part] = _started(place, subject, model, objective.parts.of(fresh, part), tokenizer)
        facts[part] = {
            "place": place,
            **({"below": folders[part]} if folders.get(part) == PurePosixPath(place).name else {}),
            "hub_id": hub_id_of(place),
            "licences": list(subject.licences),
            "token_types": subject.token_types,
        }
    first, *others = objective.parts.models
    config = objective.parts.models[first].config
    sizes = {name: getattr(config, name) for name in size_fields(config)}
    further = {"others": {part: facts[part] for part in others}} if others else {}
    return Start(objective.parts.whole(params), {**facts[first], "sizes": sizes, **further})


def _started(place: str, subject: Subject, model: Model, fresh: Parameters, tokenizer: Tokenizer) -> Parameters:
    """The parameters of one part."""
    called = f"--training.start-from {place}"
    family, given = subject.under_names_of(model.config)
    rules = family.rules(model.config, model.heads)
    drawn, names = to_hugging_face(fresh, rules, model.vocab_size), tensor_names(fresh, rules, copies=False)
    own = {name: drawn[name].copy() for name in names}  # what comes from a device cannot be written to
    origins = row_origins(subject.tokenizer, tokenizer)
    if subject.family.name != family.name:
        log.info("%s: is a %s, with which a %s begins", called, subject.family.title, family.title)
    for name in own.keys() & given.keys():
        tensor, rows, axis = np.asarray(given[name], np.float32), names[name].rows, -1 if names[name].transposed else 0
        if not np.isfinite(tensor).all():
            raise InputError(f"{called}: its {name} has numbers that are not finite; give another checkpoint of it")
        if rows == "vocabulary":
            _refuse_other_shape(name, tensor, own[name], axis, subject, called)
            origins.fill(np.moveaxis(own[name], axis, 0), np.moveaxis(tensor, axis, 0))
            continue
        if rows == "positions":
            tensor = _position_rows(own[name], tensor, model.config, subject.config, called)
        if tensor.shape != own[name].shape:
            shapes = f"{list(tensor.shape)}, the model's is {list(own[name].shape)}"
            raise InputError(f"{called}: its {name} is {shapes}; is config.json of another model?")
        own[name] = tensor
    log.info("%s: rows of the vocabulary: %s", called, origins.in_words())
    for what, tensors in (
        ("not there, so initialised randomly", own.keys() - given.keys()),
        ("left behind, because this run does not train them", {*given, *subject.unknown_heads} - drawn.keys()),
    ):
        if tensors:
            log.info("%s: %s: %s", called, what, ", ".join(_modules(tensors)))
    return from_hugging_face(own, fresh, rules, model.vocab_size)


def _refuse_other_shape(
    name: str, tensor: np.ndarray, own: np.ndarray, axis: int, subject: Subject, called: str
) -> None:
    """Raises InputError where a tensor has fewer entries than its tokenizer has pieces, or is of another width than the model's."""
    shapes = [list(np.moveaxis(each, axis, 0).shape) for each in (tensor, own)]
    if shapes[0][:1] < [subject.tokenizer.size] or shapes[0][1:] != shapes[1][1:]:
        raise InputError(
            f"{called}: its {name} is {list(tensor.shape)}, its tokenizer has {subject.tokenizer.size} pieces and the model's is "
            f"{list(own.shape)}; is config.json or the tokenizer of another model?"
        )


def _position_rows(
    own: np.ndarray, given: np.ndarray, ours: ModelConfig, theirs: ModelConfig, called: str
) -> np.ndarray:
    """A position table with as many positions as `own`; either may have other rows before its first position."""
    wanted, there = ours.longest_row(), theirs.longest_row()
    if wanted is None or there is None:
        return given
    before, theirs_before = wanted.value - wanted.tokens, there.value - there.tokens
    if there.tokens < wanted.tokens:
        fitting = f"{flag('training', f'model.{wanted.field}')} {before + there.tokens}"
        raise InputError(f"{called}: has {there.tokens} positions, and the model {wanted.tokens}; set {fitting}")
    first = given[:before] if before == theirs_before else own[:before]
    return np.concatenate([first, given[theirs_before:][: wanted.tokens]])


def _modules(tensors: Iterable[str]) -> list[str]:
    """The names without what is last in them (weight, bias), each once."""
    return sorted({name.rpartition(".")[0] or name for name in tensors})
