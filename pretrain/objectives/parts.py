"""The models of an objective as one tree of parameters: each under its name, a lone one at the root, shared arrays kept once."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jax

from data_pipeline.contract.recipe_file import plain
from pretrain.models.core.layers import Parameters, put
from pretrain.models.parameter_rules import Rules, rule_of, with_prefix
from pretrain.models.protocols import Model
from pretrain.models.registry import family_of


@dataclass(frozen=True)
class Parts:
    """Models by the names of their parts.

    - `shares`: part -> path in it -> path in the whole tree of what is used in its place; either may name an array or a subtree.
    """

    models: Mapping[str, Model]
    shares: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def init(self, key: jax.Array) -> Parameters:
        """Draws the parameters: of a lone part with the key itself, of several each with the key of its place."""
        if self._lone:
            (model,) = self.models.values()
            return model.init(key)
        return self.whole(
            {
                part: model.init(jax.random.fold_in(key, place))
                for place, (part, model) in enumerate(self.models.items())
            }
        )

    def whole(self, of_parts: Mapping[str, Parameters]) -> Parameters:
        """The whole tree out of the parameters of each part; what a part only shares is left to the part that owns it."""
        if self._lone:
            (params,) = of_parts.values()
            return params
        found = {part: _copied(params) for part, params in of_parts.items()}
        for part, paths in self.shares.items():
            for path in paths:
                _remove(found[part], path)
        return found

    def rules(self) -> Rules:
        """The table of all parameters."""
        tables = {part: family_of(model.config).rules(model.config, model.heads) for part, model in self.models.items()}
        if self._lone:
            return next(iter(tables.values()))
        return tuple(rule for part, table in tables.items() for rule in with_prefix(part, table))

    def parameter_count(self) -> int:
        """Parameters of the encoders, without heads; what is shared counts once."""
        count = sum(model.config.parameter_count(model.vocab_size, model.heads) for model in self.models.values())
        for part, paths in self.shares.items():
            model = self.models[part]
            shapes = jax.eval_shape(model.init, jax.eval_shape(lambda: jax.random.key(0)))
            rules = family_of(model.config).rules(model.config, model.heads)
            for path in paths:
                for below, leaf in jax.tree.leaves_with_path(_at(shapes, path)):
                    name = f"{path}/{jax.tree_util.keystr(below, simple=True, separator='/')}".rstrip("/")
                    padded = rule_of(name, rules).rows == "vocabulary"
                    count -= leaf.size // leaf.shape[0] * model.vocab_size if padded else leaf.size
        return count

    def of(self, params: Parameters, part: str) -> Parameters:
        """The parameters of one part, with those that it shares."""
        return part_of(params, self.describe()[part])

    def describe(self) -> dict[str, Any]:
        """What each part is, JSON-ready: family, config, heads, where its parameters lie."""
        return {
            part: {
                "family": family_of(model.config).name,
                "config": {**plain(model.config), "vocab_size": model.vocab_size},
                "heads": sorted(model.heads),
                "path": "" if self._lone else part,
                "shares": dict(self.shares.get(part, {})),
            }
            for part, model in self.models.items()
        }

    @property
    def _lone(self) -> bool:
        return len(self.models) == 1


def part_of(params: Parameters, described: Mapping[str, Any]) -> Parameters:
    """The parameters of one part out of the whole tree.

    - `described`: what `Parts.describe` says of it.
    """
    part: Parameters = _copied(_at(params, described["path"]) if described["path"] else params)
    for path, place in described["shares"].items():
        put(part, path, _at(params, place))
    return part


def _at(tree: Any, path: str) -> Any:
    for name in path.split("/"):
        tree = tree[name]
    return tree


def _copied(tree: Any) -> Any:
    return {name: _copied(below) for name, below in tree.items()} if isinstance(tree, dict) else tree


def _remove(tree: Parameters, path: str) -> None:
    above, _, last = path.rpartition("/")
    del (_at(tree, above) if above else tree)[last]
