"""Parameters to the tensors of a Hugging Face file and back, by a family's table; numpy only."""

from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any

import jax
import numpy as np

from data_pipeline.contract.errors import InputError
from pretrain.models.core.layers import Parameters, put
from pretrain.models.parameter_rules import ParameterRule, Rules, checked_rule


def to_hugging_face(params: Parameters, rules: Rules, vocab_size: int) -> dict[str, np.ndarray]:
    """Turns parameters into the tensors of a Hugging Face file.

    - `params`: a tree that `rules` describes (gradients, for one, are a tree of the same structure).
    - `vocab_size`: entries of the vocabulary, without padding.

    Returns C-contiguous float32 arrays by name: matrices transposed, layers unstacked, padding cut, fused parts joined.
    """
    tensors: dict[str, np.ndarray] = {}
    parts: dict[str, dict[int, np.ndarray]] = {}
    for path, leaf in flatten(params):
        rule = checked_rule(path, leaf.shape, rules)
        array = np.asarray(leaf, np.float32)
        for place, names in _places(path, array.shape, rule):
            stored = _stored(array[place], rule, vocab_size)
            index, count = rule.fused
            if count > 1:
                parts.setdefault(names[0], {})[index] = stored
                if len(parts[names[0]]) < count:
                    continue
                stored = np.concatenate([parts[names[0]][each] for each in range(count)], axis=_outputs(stored, rule))
            tensors.update((name, np.ascontiguousarray(stored)) for name in names)
    if lacking := sorted(parts.keys() - tensors.keys()):
        raise InputError(
            f"{lacking[0]}: is made of several parameters, of which some are missing; see their ParameterRules"
        )
    return tensors


def from_hugging_face(
    tensors: Mapping[str, np.ndarray], template: Parameters, rules: Rules, vocab_size: int
) -> Parameters:
    """Turns the tensors of a Hugging Face file into parameters; rows of padding are zero.

    - `tensors`: arrays of any float type by today's names (`Family.current_names`); those that no rule names are left aside.
    - `template`: the parameters as they begin, or their shapes; layers that the file does not have keep what it holds.
    - `vocab_size`: entries of the vocabulary; the file must have as many.

    Returns a tree like the template of float32 numpy arrays. Raises InputError for a tensor that is missing or of another shape.
    """
    params: Parameters = {}
    for path, leaf in flatten(template):
        rule = checked_rule(path, leaf.shape, rules)
        array = (
            np.zeros(leaf.shape, np.float32) if isinstance(leaf, jax.ShapeDtypeStruct) else np.array(leaf, np.float32)
        )
        for place, names in _places(path, leaf.shape, rule):
            inside = array[place]
            array[place] = _restored(_given(tensors, names[0], _stored(inside, rule, vocab_size), rule), inside, rule)
        put(params, path, array)
    return params


def tensor_names(shapes: Parameters, rules: Rules, *, copies: bool) -> dict[str, ParameterRule]:
    """The name of every tensor that `to_hugging_face` would write, with its rule.

    - `copies`: also of those that are written again; without, the tensors that `from_hugging_face` reads.
    """
    return {
        name: rule
        for path, leaf in flatten(shapes)
        for rule in [checked_rule(path, leaf.shape, rules)]
        for _, names in _places(path, leaf.shape, rule)
        for name in (names if copies else names[:1])
    }


def with_copies(
    tensors: Mapping[str, np.ndarray], shapes: Parameters, rules: Rules, called: str
) -> dict[str, np.ndarray]:
    """The tensors, with those that a file has under one of several names under all of them.

    - `called`: what an error calls the file.

    Raises InputError where a file has copies that differ.
    """
    found = dict(tensors)
    for path, leaf in flatten(shapes):
        rule = checked_rule(path, leaf.shape, rules)
        for _, names in _places(path, leaf.shape, rule) if rule.copies else ():
            there = [name for name in names if name in tensors]
            for name in there[1:]:
                if not np.array_equal(tensors[name], tensors[there[0]]):
                    raise InputError(
                        f"{called}: its {there[0]} and {name} differ, which are one parameter here; give a model whose copies are tied"
                    )
            found.update((name, tensors[there[0]]) for name in names if there)
    return found


def token_types_used(tensors: Mapping[str, np.ndarray], rules: Rules) -> int:
    """The rows of the token type table but for the last ones that are copies of row 0; 1 where there is no such table."""
    of_tables = [_rows_used(tensors[name]) for name in _token_type_tables(rules) if name in tensors]
    return max(of_tables + [_rows_used(tensors[name]) for name in _same_types(tensors, rules)], default=1)


def with_unused_token_types(tensors: Mapping[str, np.ndarray], rules: Rules, used: int) -> dict[str, np.ndarray]:
    """The tensors with row 0 of the token type table in the place of the rows that no training has used.

    - `used`: the first rows, which stay.

    Tasks on two texts use type 1, and untrained it is noise that was drawn: as type 0 it adds nothing to what was learnt. Where what
    counts is whether two tokens are of one type, and all have been, those of two types are taken for such of one.
    """
    filled = dict(tensors)
    for name in _token_type_tables(rules):
        table = filled[name].copy()
        table[used:] = table[0]
        filled[name] = table
    for name in _same_types(tensors, rules) if used < 2 else ():
        filled[name] = filled[name][[1, 1]]
    return filled


def _same_types(tensors: Iterable[str], rules: Rules) -> list[str]:
    """The names of the tensors, in any layer, whose two rows are for tokens of another type and of the same."""
    ends = tuple(rule.hugging_face.rpartition("}")[2] for rule in rules if rule.rows == "same_type")
    return [name for name in tensors if name.endswith(ends)]


def with_zero_padding(tensors: Mapping[str, np.ndarray], rules: Rules, pad_id: int) -> dict[str, np.ndarray]:
    """The tensors with zeros in the word table's row of the padding (`Family.zero_padding`).

    - `pad_id`: that row.
    """
    [name] = [rule.hugging_face for rule in rules if rule.rows == "vocabulary" and rule.kind == "table"]
    table = tensors[name].copy()
    table[pad_id] = 0
    return {**tensors, name: table}


def _token_type_tables(rules: Rules) -> list[str]:
    return [
        name
        for rule in rules
        if rule.rows == "token_types" and rule.hugging_face
        for name in (rule.hugging_face, *rule.copies)
    ]


def _rows_used(table: np.ndarray) -> int:
    others = np.flatnonzero((table != table[0]).reshape(len(table), -1).any(axis=1))
    return 1 + int(others[-1]) if len(others) else 1


def surplus_tensors(tensors: Iterable[str], known: Container[str], not_parameters: tuple[str, ...]) -> list[str]:
    """The names of a file's tensors that a family does not have, sorted.

    - `tensors`: the names that are there; `known`: those that a model of the family with all its heads has.
    - `not_parameters`: `Family.not_parameters`.
    """
    return sorted(name for name in tensors if name not in known and not name.startswith(not_parameters))


def refuse_unknown_encoder(surplus: Iterable[str], bare: Rules, heads_in_body: tuple[str, ...], called: str) -> None:
    """Raises InputError where the encoder of a file has tensors that the family does not compute with; those of heads may be left.

    - `surplus`: of `surplus_tensors`.
    - `bare`: the family's rules without heads. What is in the same module as all of their names ("bert.") is of the encoder; where
      they are in several, everything is.
    - `heads_in_body`: `Family.heads_in_body`.
    - `called`: what the error calls the file.
    """
    modules = {rule.hugging_face.partition(".")[0] for rule in bare if rule.hugging_face}
    body = f"{modules.pop()}." if len(modules) == 1 else ""
    heads = tuple(body + name for name in heads_in_body)
    if unknown := [name for name in surplus if name.startswith(body) and not name.startswith(heads)]:
        raise InputError(
            f"{called}: its encoder has {len(unknown)} tensors that this family does not compute with, the first is {unknown[0]}; "
            "it is a model of another kind"
        )


def flatten(params: Parameters) -> Iterator[tuple[str, Any]]:
    """Yields (path with slashes, leaf) of a nested dict."""
    for key, value in params.items():
        if isinstance(value, dict):
            yield from ((f"{key}/{path}", leaf) for path, leaf in flatten(value))
        else:
            yield key, value


def _places(path: str, shape: tuple[int, ...], rule: ParameterRule) -> Iterator[tuple[tuple[int, ...], list[str]]]:
    """For each tensor that a parameter holds, where in it, and the tensor's names; nothing where it is not exported."""
    if not rule.hugging_face:
        return
    for layer, place in enumerate(np.ndindex(*shape[: rule.stacked])):
        if layer not in rule.absent or not rule.stacked:
            yield place, [rule.name_of(name, path, layer, place) for name in (rule.hugging_face, *rule.copies)]


def _stored(array: np.ndarray, rule: ParameterRule, vocab_size: int) -> np.ndarray:
    """One layer's parameter as it is stored there."""
    if rule.rows == "vocabulary":
        array = array[:vocab_size]
    if rule.transposed:
        array = array.swapaxes(-1, -2)
    return array.reshape(rule.hugging_face_shape) if rule.hugging_face_shape else array


def _restored(tensor: np.ndarray, like: np.ndarray, rule: ParameterRule) -> np.ndarray:
    """The reverse of `_stored`, in the shape of `like`."""
    if rule.hugging_face_shape:
        tensor = tensor.reshape(like.swapaxes(-1, -2).shape if rule.transposed else like.shape)
    if rule.transposed:
        tensor = tensor.swapaxes(-1, -2)
    if rule.rows == "vocabulary":
        tensor = np.pad(tensor, [(0, len(like) - len(tensor))] + [(0, 0)] * (tensor.ndim - 1))
    return tensor


def _given(tensors: Mapping[str, np.ndarray], name: str, like: np.ndarray, rule: ParameterRule) -> np.ndarray:
    """The tensor of a name, or its part, in the shape of `like`."""
    if name not in tensors:
        raise InputError(f"the Hugging Face checkpoint has no tensor {name}; is it a model of this configuration?")
    index, count = rule.fused
    axis = _outputs(like, rule)
    shape = [size * count if axis == dimension else size for dimension, size in enumerate(like.shape)]
    found = tensors[name]
    if list(found.shape) != shape:
        raise InputError(f"the Hugging Face tensor {name} is {list(found.shape)}, not {shape}")
    return np.split(np.asarray(found, np.float32), count, axis)[index] if count > 1 else np.asarray(found, np.float32)


def _outputs(stored: np.ndarray, rule: ParameterRule) -> int:
    """The dimension of the outputs in a stored tensor: the first of a transposed matrix, else the last."""
    return 0 if rule.transposed else stored.ndim - 1
