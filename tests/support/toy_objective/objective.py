from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from data_pipeline.contract.records import Layout, RecordsHeader
from data_pipeline.contract.tokenizer import Tokenizer
from pretrain.models.config import RowShape
from pretrain.models.core.layers import Parameters
from pretrain.models.parameter_rules import Rules
from pretrain.models.protocols import Compute, Inputs
from pretrain.models.registry import make_model
from pretrain.objectives.losses import masked_lm_sums, sum_of_losses
from pretrain.objectives.parts import Parts
from pretrain.objectives.protocols import INIT, Batch, Keys, Prepared, SpeltRow, Sums
from toy_objective.recipe import Tandem


@dataclass(frozen=True)
class TandemObjective:
    recipe: Tandem
    parts: Parts
    header: RecordsHeader
    keys: Keys

    @property
    def layouts(self) -> tuple[Layout, ...]:
        return ("packed",)

    @property
    def weights(self) -> Mapping[str, float]:
        return {"first": 1.0, "second": self.recipe.second_weight}

    @property
    def exports(self) -> Mapping[str, str]:
        return {"": "first", "helper": "second"}

    def init(self) -> Parameters:
        return self.parts.init(self.keys.of(INIT))

    def rules(self) -> Rules:
        return self.parts.rules()

    def flops_per_row(self, attended: float | None = None) -> float:
        row = RowShape(self.header.length, 0, self.header.vocabulary_size, self.header.length, attended)
        return sum(model.config.flops_per_row(row, model.heads) for model in self.parts.models.values())

    def prepare(self, batch: Batch, step: jax.Array | None) -> Prepared:
        tokens = batch["tokens"].astype(jnp.int32)
        real = tokens != self.header.pad_id
        following = jnp.roll(tokens, -1, axis=-1)
        weights = (real & (following != self.header.pad_id)).at[..., -1].set(False)
        return {
            "inputs": tokens,
            "labels": following,
            "weights": weights.astype(jnp.float32),
            "row_weights": real.any(-1).astype(jnp.float32),
            "real_tokens": real.sum(-1),
            "attended_pairs": real.sum(-1),  # there is no attention: each reads itself
        }

    def totals(self, prepared: Prepared) -> dict[str, jax.Array]:
        return dict.fromkeys(self.weights, prepared["weights"].sum())

    def loss_sums(self, params: Parameters, microbatch: Prepared, dropout_key: jax.Array | None) -> Sums:
        return {
            part: masked_lm_sums(self._logits(params, part, microbatch), microbatch["labels"], microbatch["weights"])
            for part in self.parts.models
        }

    def metrics(self, sums: Sums) -> dict[str, jax.Array]:
        totals = {part: jnp.maximum(of_part["weight_sum"], 1.0) for part, of_part in sums.items()}
        return {
            "loss": sum_of_losses(sums, totals, self.weights),
            "second_accuracy": sums["second"]["correct_sum"] / totals["second"],
        }

    def counts(self, sums: Sums) -> dict[str, jax.Array]:
        return {}

    def show(self, params: Parameters | None, microbatch: Prepared) -> dict[str, jax.Array]:
        said = {} if params is None else {"said": self._logits(params, "second", microbatch).argmax(-1)}
        return {"inputs": microbatch["inputs"], **said}

    def spell(self, shown: Mapping[str, np.ndarray], tokenizer: Tokenizer) -> list[SpeltRow]:
        rows = []
        for row, tokens in enumerate(shown["inputs"]):
            text = " ".join(tokenizer.pieces[token] for token in tokens if token != self.header.pad_id)
            right = "1 of 1" if "said" in shown else ""
            rows.append(SpeltRow(f"{len(text.split())} tokens of row {row}", text, right, len(text.split())))
        return rows

    def _logits(self, params: Parameters, part: str, microbatch: Prepared) -> jax.Array:
        model: Any = self.parts.models[part]
        params = self.parts.of(params, part)
        return model.vocabulary_logits(params, model.encode(params, Inputs(*[microbatch["inputs"]] * 4)))


def make(
    recipe: Tandem, config: Any, header: RecordsHeader, compute: Compute, keys: Keys, steps: range
) -> TandemObjective:
    heads = frozenset({"vocabulary"})
    configs = {"first": config, "second": replace(config, turns=recipe.second_turns)}
    models = {part: make_model(each, header.vocabulary_size, heads, compute) for part, each in configs.items()}
    return TandemObjective(recipe, Parts(models, {"second": {"toy/table": "first/toy/table"}}), header, keys)
