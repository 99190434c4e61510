"""Masked language modelling: hide a part of each row, say how much there is to predict, sum the losses."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import jax
import jax.numpy as jnp
import numpy as np

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.recipe_fields import flag
from data_pipeline.contract.records import PAIRS, Layout, RecordsHeader
from data_pipeline.contract.tokenizer import Tokenizer
from pretrain.models.config import ModelConfig, RowShape
from pretrain.models.core.layers import Parameters
from pretrain.models.parameter_rules import Rules
from pretrain.models.protocols import Compute, Inputs, PairHead, VocabularyHead
from pretrain.models.registry import family_of, make_model
from pretrain.objectives.corruption.masked_batch import masked_batch
from pretrain.objectives.losses import gather_positions, masked_lm_sums, sum_of_losses
from pretrain.objectives.masked_lm.recipe import MaskedLM
from pretrain.objectives.masked_lm.sentence_pairs import next_sentence_sums
from pretrain.objectives.parts import Parts
from pretrain.objectives.protocols import INIT, Batch, Keys, Prepared, SpeltRow, Sums
from pretrain.objectives.rows import attended_pairs, expand_rows

LAYOUTS: tuple[Layout, ...] = ("packed", "full_sentences", *PAIRS)
"""The layouts whose rows this objective can take."""
PART = "model"
MASKED_LM = "masked_lm"


@dataclass(frozen=True)
class MaskedLanguageModelling:
    """Masked language modelling, with next-sentence or sentence-order prediction where the records hold such pairs.

    - `recipe`: rates and shares.
    - `model`: has the head `vocabulary`, and `pair` for pairs.
    - `header`: of the records.
    - `keys`: the run's random numbers.
    - `steps`: those over which the masking rate changes, where it does.
    """

    recipe: MaskedLM
    model: VocabularyHead
    header: RecordsHeader
    keys: Keys
    steps: range

    @property
    def layouts(self) -> tuple[Layout, ...]:
        return tuple(layout for layout in LAYOUTS if layout in family_of(self.model.config).layouts)

    @property
    def parts(self) -> Parts:
        return Parts({PART: self.model})

    @property
    def weights(self) -> Mapping[str, float]:
        return dict.fromkeys((MASKED_LM, *self._pair_loss), 1.0)

    @property
    def exports(self) -> Mapping[str, str]:
        return {"": PART}

    @property
    def predictions(self) -> int:
        """Predictions a training row, K."""
        return self.recipe.masking.predictions(self.header.length)

    @property
    def _pair_loss(self) -> tuple[str, ...]:
        return (self.header.pair_task,) if self.header.has_pairs else ()

    def init(self) -> Parameters:
        return self.parts.init(self.keys.of(INIT))

    def rules(self) -> Rules:
        return self.parts.rules()

    def flops_per_row(self, attended: float | None = None) -> float:
        row = RowShape(self.header.length, 0, self.header.vocabulary_size, self.predictions, attended)
        return self.model.config.flops_per_row(row, self.model.heads)

    def prepare(self, batch: Batch, step: jax.Array | None) -> Prepared:
        """Expands the rows and hides some of their tokens (`masked_batch`).

        Returns, each [accumulation, microbatch, ...]: `inputs`, `position_ids`, `token_type_ids`, `segments` [..., L];
        `positions`, `labels`, `weights` [..., K]; `row_weights`, `real_tokens`, `attended_pairs` [...]; and `label` for
        pairs.
        """
        header = self.header
        rows = expand_rows(batch, header.layout, header.pad_id)
        hidden = masked_batch(
            rows, batch, step, masking=self.recipe.masking, header=header, keys=self.keys, steps=self.steps
        )
        real_tokens = (rows.tokens != header.pad_id).sum(-1)
        labels = {"label": batch["label"]} if "label" in batch else {}
        return {
            **hidden._asdict(),
            "position_ids": rows.position_ids,
            "token_type_ids": rows.token_type_ids,
            "segments": rows.segments,
            "row_weights": (real_tokens > 0).astype(jnp.float32),
            "real_tokens": real_tokens,
            "attended_pairs": attended_pairs(rows, header.pad_id),
            **labels,
        }

    def totals(self, prepared: Prepared) -> dict[str, jax.Array]:
        return {
            MASKED_LM: prepared["weights"].sum(),
            **{loss: prepared["row_weights"].sum() for loss in self._pair_loss},
        }

    def loss_sums(self, params: Parameters, microbatch: Prepared, dropout_key: jax.Array | None) -> Sums:
        """Runs the model on one microbatch: sums of `masked_lm` and, for pairs, `next_sentence` or `sentence_order`."""
        params = self.parts.of(params, PART)
        hidden = self._encode(params, microbatch, dropout_key)
        logits = self._logits(params, hidden, microbatch)
        sums = {MASKED_LM: masked_lm_sums(logits, microbatch["labels"], microbatch["weights"])}
        for loss in self._pair_loss:
            pair_logits = cast(PairHead, self.model).pair_logits(params, hidden)
            sums[loss] = next_sentence_sums(pair_logits, microbatch["label"], microbatch["row_weights"])
        return sums

    def metrics(self, sums: Sums) -> dict[str, jax.Array]:
        """`loss` (nats a prediction, plus that of the pairs), `masked_accuracy`, `masked_lm_loss`, and for pairs
        `next_sentence_loss` and `next_sentence_accuracy`, or `sentence_order_...`."""
        totals = {loss: jnp.maximum(of_loss["weight_sum"], 1.0) for loss, of_loss in sums.items()}
        metrics = {
            "loss": sum_of_losses(sums, totals, self.weights),
            "masked_accuracy": sums[MASKED_LM]["correct_sum"] / totals[MASKED_LM],
        }
        for loss in self.weights:
            metrics[f"{loss}_loss"] = sums[loss]["loss_sum"] / totals[loss]
        for loss in self._pair_loss:
            metrics[f"{loss}_accuracy"] = sums[loss]["correct_sum"] / totals[loss]
        return metrics

    def counts(self, sums: Sums) -> dict[str, jax.Array]:
        return {"predictions": sums[MASKED_LM]["weight_sum"]}

    def show(self, params: Parameters | None, microbatch: Prepared) -> dict[str, jax.Array]:
        """The masked rows and, with parameters, int32 `predictions` [rows, K]: the likeliest token at each masked position."""
        names = ("inputs", "positions", "labels", "weights", *(("label",) if "label" in microbatch else ()))
        shown = {name: microbatch[name] for name in names}
        if params is not None:
            params = self.parts.of(params, PART)
            hidden = self._encode(params, microbatch, None)
            shown["predictions"] = self._logits(params, hidden, microbatch).argmax(-1)
        return shown

    def spell(self, shown: Mapping[str, np.ndarray], tokenizer: Tokenizer) -> list[SpeltRow]:
        """Rows as pieces between blanks; `[MASK]{label}` or `[MASK]{label -> prediction}` where something is predicted."""
        return [self._spell_row(shown, row, tokenizer) for row in range(len(shown["inputs"]))]

    def _spell_row(self, shown: Mapping[str, np.ndarray], row: int, tokenizer: Tokenizer) -> SpeltRow:
        inputs, predictions = shown["inputs"][row], shown.get("predictions")
        slots = {int(shown["positions"][row, slot]): slot for slot in np.flatnonzero(shown["weights"][row])}
        tokens = int(np.count_nonzero(inputs != self.header.pad_id))
        pieces, right = [], 0
        for position in range(tokens):
            piece = tokenizer.pieces[inputs[position]]
            if position in slots:
                label, guess = shown["labels"][row, slots[position]], ""
                if predictions is not None:
                    predicted = predictions[row, slots[position]]
                    guess = f" -> {tokenizer.pieces[predicted]}"
                    right += int(predicted == label)
                piece = f"{piece}{{{tokenizer.pieces[label]}{guess}}}"
            pieces.append(piece)
        task = self.header.pair_task.replace("_", "-")
        pair = f", {task} label {shown['label'][row]}" if "label" in shown else ""
        heading = f"{tokens} tokens, {len(slots)} predicted {{label}} ({len(slots) / max(1, tokens):.1%}){pair}"
        return SpeltRow(heading, " ".join(pieces), "" if predictions is None else f"{right} of {len(slots)}", tokens)

    def _encode(self, params: Parameters, microbatch: Prepared, dropout_key: jax.Array | None) -> jax.Array:
        inputs = Inputs(*(microbatch[name] for name in ("inputs", "segments", "position_ids", "token_type_ids")))
        return self.model.encode(params, inputs, dropout_key=dropout_key)

    def _logits(self, params: Parameters, hidden: jax.Array, microbatch: Prepared) -> jax.Array:
        """Scores of the vocabulary, float32 [microbatch, K, V], at the predicted positions only."""
        return self.model.vocabulary_logits(params, gather_positions(hidden, microbatch["positions"]))


def make(
    recipe: MaskedLM, config: ModelConfig, header: RecordsHeader, compute: Compute, keys: Keys, steps: range
) -> MaskedLanguageModelling:
    """The objective on records of this header. Raises InputError where it masks more than rows hold, or the model has not what pairs need."""
    recipe.masking.check(header.length)
    types = config.token_types()
    if header.has_pairs and types and types[1] < 2:
        raise InputError(f"{flag('training', f'model.{types[0]}')} {types[1]}: sentence pairs need 2 token types")
    heads = frozenset({"vocabulary", "pair"} if header.has_pairs else {"vocabulary"})
    model = make_model(config, header.vocabulary_size, heads, compute)
    return MaskedLanguageModelling(recipe, cast(VocabularyHead, model), header, keys, steps)
