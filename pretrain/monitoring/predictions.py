"""A few held-out rows with what the model says of them."""

from textwrap import indent

import jax

from data_pipeline.contract.tokenizer import Tokenizer
from pretrain.devices.sharding import replicated
from pretrain.input.batches import EvaluationBatches
from pretrain.models.core.layers import Parameters
from pretrain.objectives.protocols import Batch, Objective

ROWS = 4
"""Held-out rows that are shown after each evaluation; one of each source, up to MOST_ROWS, where there are more sources."""
MOST_ROWS = 8


class PredictionSample:
    """Held-out rows of all sources in turn with what the model says of them; neither they nor their corruption ever change."""

    def __init__(
        self, objective: Objective, held_out: EvaluationBatches, tokenizer: Tokenizer, mesh: jax.sharding.Mesh
    ) -> None:
        self._objective, self._tokenizer = objective, tokenizer
        self._batch, self._sources = held_out.sample(min(max(ROWS, len(set(held_out.names))), MOST_ROWS))

        def predict(params: Parameters, batch: Batch) -> dict[str, jax.Array]:
            microbatch = {name: values[0] for name, values in objective.prepare(batch, None).items()}
            return {name: values[:MOST_ROWS] for name, values in objective.show(params, microbatch).items()}

        self._predict = jax.jit(predict, out_shardings=replicated(mesh))

    def markdown(self, params: Parameters) -> str:
        """The rows as preformatted text. Every process calls it."""
        shown = jax.device_get(self._predict(params, self._batch))
        rows = self._objective.spell(shown, self._tokenizer)[: len(self._sources)]
        return "\n\n".join(
            f"{f'{source}: ' if source else ''}{row.heading}{f', right: {row.right}' if row.right else ''}\n\n"
            + indent(row.text, "    ")
            for source, row in zip(self._sources, rows, strict=True)
        )
