from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from data_pipeline.contract.tokenizer import SpecialIds
from pretrain.models.core.layers import Parameters, embed, gelu, linear, split_rows, wide_einsum
from pretrain.models.parameter_rules import ParameterRule, Rules
from pretrain.models.protocols import Compute, Family, Inputs
from toy_family.config import ToyConfig


@dataclass(frozen=True)
class Toy:
    config: ToyConfig
    vocab_size: int
    heads: frozenset[str]
    compute: Compute

    def init(self, key: jax.Array) -> Parameters:
        width, (of_table, of_map) = self.config.width, jax.random.split(key)
        drawn = {
            "toy": {
                "table": {"embedding": 0.1 * jax.random.normal(of_table, (self.vocab_size, width))},
                "turn": {"kernel": 0.1 * jax.random.normal(of_map, (width, width)), "bias": jnp.zeros(width)},
            },
            **({"head": {"bias": jnp.zeros(self.vocab_size)}} if "vocabulary" in self.heads else {}),
        }
        return jax.tree.map(lambda leaf: leaf.astype(self.compute.parameter_dtype), drawn)

    def encode(self, params: Parameters, inputs: Inputs, *, dropout_key: jax.Array | None = None) -> jax.Array:
        def turn(hidden: jax.Array, _: None) -> tuple[jax.Array, None]:
            return hidden + gelu(linear(params["toy"]["turn"], hidden, self.compute.compute_dtype)), None

        hidden = split_rows(embed(params["toy"]["table"], inputs.tokens)).astype(self.compute.compute_dtype)
        return jax.lax.scan(turn, hidden, length=self.config.turns)[0]

    def vocabulary_logits(self, params: Parameters, hidden: jax.Array) -> jax.Array:
        table = params["toy"]["table"]["embedding"].astype(hidden.dtype)
        return wide_einsum("...h,vh->...v", hidden, table) + params["head"]["bias"]


def rules(config: ToyConfig, heads: frozenset[str]) -> Rules:
    head = ParameterRule("head/bias", "bias", ("tensor",), group="head", rows="vocabulary", hugging_face="head.bias")
    return (
        ParameterRule(
            "toy/table/embedding",
            "table",
            (("tensor", "fsdp"),),
            group="table",
            rows="vocabulary",
            hugging_face="table",
        ),
        ParameterRule("toy/turn/kernel", "matrix", ("fsdp", "tensor"), hugging_face="turn.weight", transposed=True),
        ParameterRule("toy/turn/bias", "bias", ("tensor",), hugging_face="turn.bias"),
        *((head,) if "vocabulary" in heads else ()),
    )


def config_to_json(config: ToyConfig, vocab_size: int, special: SpecialIds, heads: frozenset[str]) -> dict[str, Any]:
    return {"model_type": "toy", "width": config.width, "turns": config.turns, "vocab_size": vocab_size}


def config_from_json(configuration: Mapping[str, Any]) -> ToyConfig:
    return ToyConfig(*(configuration[name] for name in ("width", "turns", "vocab_size")))


def logits(model: Toy, params: Parameters, inputs: Inputs) -> jax.Array:
    return model.vocabulary_logits(params, model.encode(params, inputs))


FAMILY = Family(
    name="toy",
    title="Toy",
    heads=frozenset({"vocabulary"}),
    make=Toy,
    rules=rules,
    model_types=("toy",),
    current_names=dict,
    not_parameters=(),
    config_to_json=config_to_json,
    config_from_json=config_from_json,
    must_match=("width", "turns"),
    auto_class=lambda heads: "",
    logits=logits,
)
