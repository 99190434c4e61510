"""Norms of the parameters, and of trees like them, by the groups of the family's table."""

from collections import defaultdict
from typing import Any

import jax
import jax.numpy as jnp

from pretrain.devices.sharding import path_name
from pretrain.models.parameter_rules import rule_of
from pretrain.objectives.protocols import Trainable


def group_norms(tree: Any, objective: Trainable) -> dict[str, jax.Array]:
    """The Euclidean norm of each group (`ParameterRule.group`), float32 scalars: `body`, `table`, `head`.

    - `tree`: the objective's parameters, or arrays of the same paths, of any float type.

    With several parts each has its own groups, as `generator/body`; what parts share belongs to the part that keeps it.
    """
    rules, several = objective.rules(), len(objective.parts.models) > 1
    squares: defaultdict[str, list[jax.Array]] = defaultdict(list)
    for path, leaf in jax.tree.leaves_with_path(tree):
        name = path_name(path)
        part = f"{name.partition('/')[0]}/" if several else ""
        squares[part + rule_of(name, rules).group].append(jnp.sum(jnp.square(leaf.astype(jnp.float32))))
    return {group: jnp.sqrt(sum(each, jnp.float32(0))) for group, each in squares.items()}
