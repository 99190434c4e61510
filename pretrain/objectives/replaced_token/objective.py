"""Replaced-token detection: hide tokens, let the generator fill them, and let the discriminator tell which were replaced."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.recipe_fields import flag
from data_pipeline.contract.records import PAIRS, Layout, RecordsHeader
from data_pipeline.contract.tokenizer import Tokenizer
from pretrain.models.config import ModelConfig, RowShape
from pretrain.models.core.layers import Parameters, fold_key
from pretrain.models.parameter_rules import Rules
from pretrain.models.protocols import Compute, Inputs, Model, ReplacedHead, VocabularyHead
from pretrain.models.registry import family_of, make_model
from pretrain.objectives.corruption.masked_batch import masked_batch
from pretrain.objectives.losses import gather_positions, masked_lm_sums, sum_of_losses
from pretrain.objectives.parts import Parts
from pretrain.objectives.protocols import (
    EVALUATION_SAMPLES,
    INIT,
    SAMPLES,
    Batch,
    Keys,
    Prepared,
    SpeltRow,
    Sums,
    row_keys,
)
from pretrain.objectives.replaced_token.losses import detection, replaced_token_sums
from pretrain.objectives.replaced_token.recipe import DISCRIMINATOR, GENERATOR, ReplacedToken
from pretrain.objectives.replaced_token.sampling import put_at, sample_tokens
from pretrain.objectives.rows import attended_pairs, expand_rows

LAYOUTS: tuple[Layout, ...] = ("packed", "full_sentences", *PAIRS)
"""The layouts whose rows this objective can take; whether the second text of a pair follows the first is not learnt."""
SUSPECTED = 0.5
"""Probability from which a token counts as called replaced."""


class Detected(NamedTuple):
    """What both models make of a microbatch.

    - `logits`: the generator's, float32 [B, K, V].
    - `tokens`: int32 [B, L], the row that the discriminator reads.
    - `replaced`: bool [B, L], where that is not the original.
    - `scores`: the discriminator's, float32 [B, L], above 0 where it takes the token for a replacement.
    """

    logits: jax.Array
    tokens: jax.Array
    replaced: jax.Array
    scores: jax.Array


@dataclass(frozen=True)
class ReplacedTokenDetection:
    """Replaced-token detection.

    - `recipe`: masking, weights, what is shared.
    - `discriminator`: has the head `replaced`; `generator`: has the head `vocabulary`.
    - `header`: of the records.
    - `keys`: the run's random numbers.
    - `steps`: those over which the masking rate changes, where it does.
    """

    recipe: ReplacedToken
    discriminator: ReplacedHead
    generator: VocabularyHead
    header: RecordsHeader
    keys: Keys
    steps: range

    @property
    def layouts(self) -> tuple[Layout, ...]:
        return tuple(layout for layout in LAYOUTS if layout in family_of(self.discriminator.config).layouts)

    @property
    def parts(self) -> Parts:
        tables = family_of(self.discriminator.config).shared_with_generator
        shares = {GENERATOR: {tables: f"{DISCRIMINATOR}/{tables}"}} if self.recipe.shared_embeddings else {}
        return Parts({DISCRIMINATOR: self.discriminator, GENERATOR: self.generator}, shares)

    @property
    def weights(self) -> Mapping[str, float]:
        return {GENERATOR: self.recipe.generator_weight, DISCRIMINATOR: self.recipe.discriminator_weight}

    @property
    def exports(self) -> Mapping[str, str]:
        return {"": DISCRIMINATOR, GENERATOR: GENERATOR}

    def init(self) -> Parameters:
        return self.parts.init(self.keys.of(INIT))

    def rules(self) -> Rules:
        return self.parts.rules()

    def flops_per_row(self, attended: float | None = None) -> float:
        predictions = self.recipe.masking.predictions(self.header.length)
        row = RowShape(self.header.length, 0, self.header.vocabulary_size, predictions, attended)
        return sum(model.config.flops_per_row(row, model.heads) for model in (self.discriminator, self.generator))

    def prepare(self, batch: Batch, step: jax.Array | None) -> Prepared:
        """Expands the rows and hides some of their tokens (`masked_batch`).

        Returns, each [accumulation, microbatch, ...]: `tokens`, `inputs` (with some hidden), `position_ids`, `token_type_ids`,
        `segments` [..., L]; `positions`, `labels`, `weights` [..., K]; `row_weights`, `real_tokens`, `attended_pairs` [...];
        `sample_keys`, uint32 [..., 2], by a row's record and epoch.
        """
        header = self.header
        rows = expand_rows(batch, header.layout, header.pad_id)
        hidden = masked_batch(
            rows, batch, step, masking=self.recipe.masking, header=header, keys=self.keys, steps=self.steps
        )
        real_tokens = (rows.tokens != header.pad_id).sum(-1)
        key = self.keys.of(EVALUATION_SAMPLES if step is None else SAMPLES)
        return {
            **hidden._asdict(),
            "tokens": rows.tokens,
            "position_ids": rows.position_ids,
            "token_type_ids": rows.token_type_ids,
            "segments": rows.segments,
            "row_weights": (real_tokens > 0).astype(jnp.float32),
            "real_tokens": real_tokens,
            "attended_pairs": attended_pairs(rows, header.pad_id),
            "sample_keys": jax.random.key_data(row_keys(key, batch["record_ids"], batch["epochs"])),
        }

    def totals(self, prepared: Prepared) -> dict[str, jax.Array]:
        return {
            GENERATOR: prepared["weights"].sum(),
            DISCRIMINATOR: prepared["real_tokens"].sum().astype(jnp.float32),
        }

    def loss_sums(self, params: Parameters, microbatch: Prepared, dropout_key: jax.Array | None) -> Sums:
        """Runs both models on one microbatch: `masked_lm_sums` of the generator and `replaced_token_sums` of the discriminator,
        these over all real tokens, [CLS] and [SEP] among them."""
        found = self._detect(params, microbatch, dropout_key)
        real = (microbatch["tokens"] != self.header.pad_id).astype(jnp.float32)
        return {
            GENERATOR: masked_lm_sums(found.logits, microbatch["labels"], microbatch["weights"]),
            DISCRIMINATOR: replaced_token_sums(found.scores, found.replaced, real),
        }

    def metrics(self, sums: Sums) -> dict[str, jax.Array]:
        """`loss`, the weighted sum of both; `generator_loss` (nats a prediction) and `generator_accuracy`; `sampled_accuracy`, of the
        tokens drawn; `discriminator_loss` (nats a token), `discriminator_auc`, `discriminator_precision`, `discriminator_recall`."""
        totals = {part: jnp.maximum(of_part["weight_sum"], 1.0) for part, of_part in sums.items()}
        replaced = sums[DISCRIMINATOR]["replacements"].sum()
        return {
            "loss": sum_of_losses(sums, totals, self.weights),
            "generator_loss": sums[GENERATOR]["loss_sum"] / totals[GENERATOR],
            "generator_accuracy": sums[GENERATOR]["correct_sum"] / totals[GENERATOR],
            "sampled_accuracy": 1 - replaced / totals[GENERATOR],
            "discriminator_loss": sums[DISCRIMINATOR]["loss_sum"] / totals[DISCRIMINATOR],
            **{f"discriminator_{name}": value for name, value in detection(sums[DISCRIMINATOR]).items()},
        }

    def counts(self, sums: Sums) -> dict[str, jax.Array]:
        return {"predictions": sums[GENERATOR]["weight_sum"]}

    def show(self, params: Parameters | None, microbatch: Prepared) -> dict[str, jax.Array]:
        """The masked rows; with parameters also `filled` (int32) and `probabilities` (float32, of not being the original), both
        [rows, L]."""
        shown = {name: microbatch[name] for name in ("tokens", "inputs", "positions", "weights")}
        if params is not None:
            found = self._detect(params, microbatch, None)
            shown |= {"filled": found.tokens, "probabilities": jax.nn.sigmoid(found.scores)}
        return shown

    def spell(self, shown: Mapping[str, np.ndarray], tokenizer: Tokenizer) -> list[SpeltRow]:
        """Rows as pieces between blanks, where something was hidden as `[MASK]{original}`.

        With parameters as filled: a replaced token as `token{original 0.93}`, with the probability that the discriminator gives to its
        not being the original, and an original that it suspects as `token{0.61}`.
        """
        rows = ({name: values[row] for name, values in shown.items()} for row in range(len(shown["tokens"])))
        return [self._spell_row(row, tokenizer) for row in rows]

    def _spell_row(self, row: Mapping[str, np.ndarray], tokenizer: Tokenizer) -> SpeltRow:
        tokens = int(np.count_nonzero(row["tokens"] != self.header.pad_id))
        original, hidden = row["tokens"][:tokens], row["positions"][row["weights"] > 0]
        heading = f"{tokens} tokens, {len(hidden)} hidden ({len(hidden) / max(1, tokens):.1%})"
        pieces = tokenizer.pieces
        if "filled" not in row:
            text = [pieces[token] for token in row["inputs"][:tokens]]
            for position in hidden:
                text[position] += f"{{{pieces[original[position]]}}}"
            return SpeltRow(f"{heading} {{original}}", " ".join(text), "", tokens)
        filled, probabilities = row["filled"][:tokens], row["probabilities"][:tokens]
        replaced, suspected = filled != original, probabilities > SUSPECTED
        text = [pieces[token] for token in filled]
        for position in np.flatnonzero(replaced | suspected):
            was = f"{pieces[original[position]]} " if replaced[position] else ""
            text[position] += f"{{{was}{probabilities[position]:.2f}}}"
        found = (
            f"{(replaced & suspected).sum()} of {replaced.sum()} found, false alarms {(suspected & ~replaced).sum()}"
        )
        heading += f", {replaced.sum()} replaced {{original probability}}"
        return SpeltRow(heading, " ".join(text), found, tokens)

    def _detect(self, params: Parameters, microbatch: Prepared, dropout_key: jax.Array | None) -> Detected:
        of_generator, of_discriminator = (self.parts.of(params, part) for part in (GENERATOR, DISCRIMINATOR))
        hidden = _encode(self.generator, of_generator, microbatch["inputs"], microbatch, fold_key(dropout_key, 0))
        # At the hidden positions alone: [B, L, V] would be seven times as much.
        logits = self.generator.vocabulary_logits(of_generator, gather_positions(hidden, microbatch["positions"]))
        sampled = sample_tokens(logits, microbatch["sample_keys"], self.recipe.temperature)
        tokens = put_at(microbatch["tokens"], microbatch["positions"], sampled, microbatch["weights"])
        hidden = _encode(self.discriminator, of_discriminator, tokens, microbatch, fold_key(dropout_key, 1))
        scores = self.discriminator.replaced_logits(of_discriminator, hidden)
        return Detected(logits, tokens, tokens != microbatch["tokens"], scores)


def _encode(
    model: Model, params: Parameters, tokens: jax.Array, microbatch: Prepared, dropout_key: jax.Array | None
) -> jax.Array:
    inputs = Inputs(tokens, *(microbatch[name] for name in ("segments", "position_ids", "token_type_ids")))
    return model.encode(params, inputs, dropout_key=dropout_key)


def make(
    recipe: ReplacedToken, config: ModelConfig, header: RecordsHeader, compute: Compute, keys: Keys, steps: range
) -> ReplacedTokenDetection:
    """The objective on records of this header. Raises InputError where it masks more than rows hold, or the family has no generator
    of such a size."""
    recipe.masking.check(header.length)
    types = config.token_types()
    if header.has_pairs and types and types[1] < 2:
        raise InputError(f"{flag('training', f'model.{types[0]}')} {types[1]}: sentence pairs need 2 token types")
    heads = {DISCRIMINATOR: frozenset({"replaced"}), GENERATOR: frozenset({"vocabulary"})}
    models = {
        part: make_model(each, header.vocabulary_size, heads[part], compute)
        for part, each in recipe.models(config).items()
    }
    return ReplacedTokenDetection(
        recipe, cast(ReplacedHead, models[DISCRIMINATOR]), cast(VocabularyHead, models[GENERATOR]), header, keys, steps
    )
