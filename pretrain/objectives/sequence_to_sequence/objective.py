"""Sequence to sequence: the rows' own sources and targets."""

from dataclasses import dataclass
from typing import cast

import jax

from data_pipeline.contract.records import RecordsHeader
from pretrain.models.config import ModelConfig
from pretrain.models.protocols import Compute, Decoder
from pretrain.models.registry import make_model
from pretrain.objectives.protocols import Batch, Keys
from pretrain.objectives.rows import Rows, expand_rows, expand_targets
from pretrain.objectives.sequence_to_sequence.recipe import SequenceToSequence
from pretrain.objectives.targets.prediction import TARGET, TargetPrediction


@dataclass(frozen=True)
class SequenceToSequencePrediction(TargetPrediction):
    """Sequence to sequence; nothing is drawn."""

    takes = ("source_target",)

    @property
    def lengths(self) -> tuple[int, int]:
        return self.header.length, self.header.target_length

    def _sides(self, batch: Batch, step: jax.Array | None) -> tuple[Rows, Rows]:
        return expand_rows(batch, self.header.layout, self.header.pad_id), expand_targets(batch, self.header.pad_id)


def make(
    recipe: SequenceToSequence, config: ModelConfig, header: RecordsHeader, compute: Compute, keys: Keys, steps: range
) -> SequenceToSequencePrediction:
    """The objective on records of this header. Raises InputError where the model has no head `target`."""
    model = make_model(config, header.vocabulary_size, frozenset({TARGET}), compute)
    return SequenceToSequencePrediction(recipe, cast(Decoder, model), header, keys)
