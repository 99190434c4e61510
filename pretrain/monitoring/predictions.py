"""The first held-out rows with what the model says of them."""

import jax

from data_pipeline.contract.tokenizer import Tokenizer
from pretrain.devices.sharding import replicated
from pretrain.models.core.layers import Parameters
from pretrain.objectives.protocols import Batch, Objective

ROWS = 3
"""Held-out rows that are shown after each evaluation."""


class PredictionSample:
    """The first held-out rows with what the model says of them; their corruption never changes.

    - `batch`: the first of `EvaluationBatches`.
    """

    def __init__(self, objective: Objective, batch: Batch, tokenizer: Tokenizer, mesh: jax.sharding.Mesh) -> None:
        self._objective, self._batch, self._tokenizer = objective, batch, tokenizer

        def predict(params: Parameters, batch: Batch) -> dict[str, jax.Array]:
            microbatch = {name: values[0] for name, values in objective.prepare(batch, None).items()}
            return {name: values[:ROWS] for name, values in objective.show(params, microbatch).items()}

        self._predict = jax.jit(predict, out_shardings=replicated(mesh))

    def markdown(self, params: Parameters) -> str:
        """The rows as preformatted text. Every process calls it."""
        shown = jax.device_get(self._predict(params, self._batch))
        rows = self._objective.spell(shown, self._tokenizer)
        return "\n\n".join(f"{row.right} right\n\n    {row.text}" for row in rows if row.tokens)
