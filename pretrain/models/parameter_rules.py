"""What each parameter of a family is: the one table that sharding, optimizer, norms, export and import read. No JAX here."""

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from data_pipeline.contract.errors import InputError

Kind = Literal["matrix", "table", "bias", "norm", "vector"]
Axis = str | tuple[str, ...] | None
RANKS: dict[Kind, range] = {
    "matrix": range(2, 4),
    "table": range(2, 3),
    "bias": range(1, 3),
    "norm": range(1, 2),
    "vector": range(1, 4),
}
"""Dimensions that a parameter of a kind may have beside its stack."""
DECAYED: tuple[Kind, ...] = ("matrix", "table")
"""Kinds with weight decay, and with LAMB's trust ratio (google-research/bert, optimization.py, and albert, lamb_optimizer.py: all
but LayerNorm and biases)."""


@dataclass(frozen=True)
class ParameterRule:
    """One row of a family's table.

    - `pattern`: `re.fullmatch` on the path inside its part, as `bert/encoder/layer/attention/self/query/kernel`.
    - `kind`: matrix maps vectors to vectors (Muon's), table is looked up, bias and norm (scale and bias of a normalisation) have
      neither weight decay nor trust ratio, vector is a parameter of another kind, without them either.
    - `axes`: mesh axis, or axes, of each dimension after the stack; dimensions beyond the tuple are not split.
    - `stacked`: leading dimensions that count layers; each layer is a parameter of its own for whatever takes a norm.
    - `group`: of norms and learning rates.
    - `rows`: what the first dimension after the stack counts. `vocabulary`: padded here, cut in Hugging Face's file, and its rows
      follow their pieces when a run starts from another vocabulary. `positions`: may be longer where a run starts from.
      `token_types`: rows that no training has used are exported as copies of row 0; not in a stack. `same_type`: one for tokens of
      another type than the query's, and one for those of the same, which is exported as both where training has used one type.
    - `hugging_face`: the tensor's name; groups of the pattern as \\1, the layer's number as {layer}, the index along each stacked
      dimension as {0}, {1}. Empty: not exported.
    - `first_layer`: the number there of the first that is stacked.
    - `transposed`: stored there with the last two dimensions swapped.
    - `hugging_face_shape`: the shape there (after the transposition) where ranks differ.
    - `fused`: (i, n): it is the i-th of n equal parts, along the outputs, of the tensor of that name.
    - `copies`: further names under which the tensor is written, and not read.
    - `absent`: layers that Hugging Face's file does not have; here they hold what initialisation gave them.
    """

    pattern: str
    kind: Kind
    axes: tuple[Axis, ...] = ()
    stacked: int = 0
    group: Literal["body", "table", "head"] = "body"
    rows: Literal["", "vocabulary", "positions", "token_types", "same_type"] = ""
    hugging_face: str = ""
    first_layer: int = 0
    transposed: bool = False
    hugging_face_shape: tuple[int, ...] = ()
    fused: tuple[int, int] = (0, 1)
    copies: tuple[str, ...] = ()
    absent: tuple[int, ...] = ()

    @property
    def is_decayed(self) -> bool:
        """Whether weight decay pulls at it, and LAMB's trust ratio scales it."""
        return self.kind in DECAYED

    def name_of(self, template: str, path: str, layer: int, place: tuple[int, ...]) -> str:
        """The name that a template such as `hugging_face` gives the tensor of one layer.

        - `layer`: counted over all stacked dimensions; `place`: the index along each of them.
        """
        match = re.fullmatch(self.pattern, path)
        return (match.expand(template) if match else template).format(*place, layer=self.first_layer + layer)


Rules = tuple[ParameterRule, ...]


@functools.cache
def rule_of(path: str, rules: Rules) -> ParameterRule:
    """The row of a parameter. Raises InputError, naming the parameter, where no row matches or more than one does."""
    found = [rule for rule in rules if re.fullmatch(rule.pattern, path)]
    if not found:
        raise InputError(f"{path}: no ParameterRule matches this parameter; add one to the family's table")
    if len(found) > 1:
        patterns = " and ".join(rule.pattern for rule in found)
        raise InputError(f"{path}: {len(found)} ParameterRules match this parameter ({patterns}); one must remain")
    return found[0]


def checked_rule(path: str, shape: Sequence[int], rules: Rules) -> ParameterRule:
    """`rule_of`, and an InputError where the parameter's rank does not suit the row."""
    rule = rule_of(path, rules)
    rank = len(shape) - rule.stacked
    if rank not in RANKS[rule.kind] or len(rule.axes) > rank:
        stack = f" and {rule.stacked} that count layers" if rule.stacked else ""
        raise InputError(
            f"{path} {list(shape)}: its ParameterRule says {rule.kind} with axes {rule.axes}{stack}, which does not suit "
            f"{len(shape)} dimensions"
        )
    return rule


def with_prefix(part: str, rules: Rules) -> Rules:
    """The rules of a part whose parameters lie one level deeper, under its name."""
    return tuple(replace(rule, pattern=f"{re.escape(part)}/(?:{rule.pattern})") for rule in rules)
