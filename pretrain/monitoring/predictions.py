"""What the model says at masked positions, in words that a person can read."""

from collections.abc import Mapping
from typing import NamedTuple

import jax
import numpy as np

from data_pipeline.contract.records import RecordsHeader
from data_pipeline.contract.tokenizer import Tokenizer
from pretrain.devices.sharding import replicated
from pretrain.input.batches import Batch
from pretrain.models.core.layers import Parameters
from pretrain.objectives.masked_lm.objective import MaskedLanguageModel

ROWS = 3
"""Held-out rows that are shown after each evaluation."""


class SpeltRow(NamedTuple):
    """A masked row in words.

    - `text`: pieces between blanks; `[MASK]{label}` or `[MASK]{label -> prediction}` where something is predicted.
    - `tokens`, `predicted`, `right`: how many are no padding, how many are predicted, and how many of them rightly.
    """

    text: str
    tokens: int
    predicted: int
    right: int


def likeliest(objective: MaskedLanguageModel, params: Parameters, masked: dict[str, jax.Array]) -> jax.Array:
    """int32 [rows, K]: the likeliest token at each predicted position of a masked microbatch."""
    return objective.masked_lm_logits(params, objective.encode(params, masked), masked).argmax(-1)


def spell_row(
    masked: Mapping[str, np.ndarray], row: int, predictions: np.ndarray | None, tokenizer: Tokenizer, pad_id: int
) -> SpeltRow:
    """One row of a masked microbatch.

    - `masked`: `inputs` [rows, L]; `positions`, `labels`, `weights` [rows, K].
    - `predictions`: of `likeliest`, [rows, K].
    """
    inputs = masked["inputs"][row]
    slots = {int(masked["positions"][row, slot]): slot for slot in np.flatnonzero(masked["weights"][row])}
    tokens = int(np.count_nonzero(inputs != pad_id))
    pieces, right = [], 0
    for position in range(tokens):
        piece = tokenizer.pieces[inputs[position]]
        if position in slots:
            label, guess = masked["labels"][row, slots[position]], ""
            if predictions is not None:
                predicted = predictions[row, slots[position]]
                guess = f" -> {tokenizer.pieces[predicted]}"
                right += int(predicted == label)
            piece = f"{piece}{{{tokenizer.pieces[label]}{guess}}}"
        pieces.append(piece)
    return SpeltRow(" ".join(pieces), tokens, len(slots), right)


class PredictionSample:
    """The first held-out rows with what the model says of them; their masks never change.

    - `batch`: the first of `EvaluationBatches`.
    """

    def __init__(
        self,
        objective: MaskedLanguageModel,
        batch: Batch,
        header: RecordsHeader,
        tokenizer: Tokenizer,
        mesh: jax.sharding.Mesh,
    ) -> None:
        self._batch, self._pad_id, self._tokenizer = batch, header.pad_id, tokenizer

        def predict(params: Parameters, batch: Batch) -> dict[str, jax.Array]:
            masked = {name: values[0] for name, values in objective.evaluation_masks(batch).items()}
            shown = {name: masked[name] for name in ("inputs", "positions", "labels", "weights")}
            found = {**shown, "predictions": likeliest(objective, params, masked)}
            return {name: values[:ROWS] for name, values in found.items()}

        self._predict = jax.jit(predict, out_shardings=replicated(mesh))

    def markdown(self, params: Parameters) -> str:
        """The rows as preformatted text. Every process calls it."""
        found = jax.device_get(self._predict(params, self._batch))
        rows = [
            spell_row(found, row, found["predictions"], self._tokenizer, self._pad_id)
            for row in range(len(found["inputs"]))
        ]
        return "\n\n".join(f"{row.right} of {row.predicted} right\n\n    {row.text}" for row in rows if row.tokens)
