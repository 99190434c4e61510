"""Span corruption: make sources and targets of whole rows on the device; the rest is sequence to sequence."""

from dataclasses import dataclass
from typing import cast

import jax
import jax.numpy as jnp

from data_pipeline.contract.records import RecordsHeader
from pretrain.models.config import ModelConfig
from pretrain.models.protocols import Compute, Decoder
from pretrain.models.registry import make_model
from pretrain.objectives.corruption.spans import CorruptedRows, Marks, corrupt_spans
from pretrain.objectives.protocols import EVALUATION_MASKS, MASKS, Batch, Keys, Prepared, row_keys
from pretrain.objectives.rows import Rows, single_texts
from pretrain.objectives.span_corruption.recipe import SpanCorruption
from pretrain.objectives.targets.prediction import TARGET, TargetPrediction


@dataclass(frozen=True)
class SpanCorruptionPrediction(TargetPrediction):
    """Span corruption (`SpanCorruption`); a row's record and epoch decide its spans, and those of held-out rows never change."""

    takes = ("full_sentences",)

    recipe: SpanCorruption

    @property
    def lengths(self) -> tuple[int, int]:
        lengths = self.recipe.lengths(self.header.length)
        return lengths.source, lengths.target

    def prepare(self, batch: Batch, step: jax.Array | None) -> Prepared:
        """Corrupts the rows and labels each token of a target with the one that follows it.

        Returns what `TargetPrediction.prepare` does, `real_tokens` being those of the rows.
        """
        real_tokens = (batch["tokens"] != self.header.pad_id).sum(-1)
        return {**super().prepare(batch, step), "real_tokens": real_tokens}

    def _sides(self, batch: Batch, step: jax.Array | None) -> tuple[Rows, Rows]:
        header, recipe = self.header, self.recipe
        key = self.keys.of(EVALUATION_MASKS if step is None else MASKS)

        def corrupt_microbatch(tokens: jax.Array, keys: jax.Array) -> CorruptedRows:
            return corrupt_spans(
                tokens,
                row_keys=keys,
                noise=[recipe.noise(count) for count in range(header.length + 1)],
                lengths=self.lengths,
                sentinels=recipe.sentinels(header),
                marks=Marks(header.pad_id, header.cls_id, header.sep_id),
            )

        made = jax.vmap(corrupt_microbatch)(batch["tokens"], row_keys(key, batch["record_ids"], batch["epochs"]))
        source, target = (single_texts(side, jnp.zeros(side.shape, bool), header.pad_id) for side in made)
        return source, target


def make(
    recipe: SpanCorruption, config: ModelConfig, header: RecordsHeader, compute: Compute, keys: Keys, steps: range
) -> SpanCorruptionPrediction:
    """The objective on records of this header. Raises InputError where the model has no head `target`, or the vocabulary too few rows
    for the sentinels."""
    recipe.sentinels(header)
    model = make_model(config, header.vocabulary_size, frozenset({TARGET}), compute)
    return SpanCorruptionPrediction(recipe, cast(Decoder, model), header, keys)
