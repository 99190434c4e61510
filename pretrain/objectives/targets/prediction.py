"""Label each token of a target with the next one, sum the losses, let the model write targets."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from data_pipeline.contract.records import Layout, RecordsHeader
from data_pipeline.contract.tokenizer import Tokenizer
from pretrain.models.config import RowShape
from pretrain.models.core.layers import Parameters, fold_key
from pretrain.models.parameter_rules import Rules
from pretrain.models.protocols import Decoder, Inputs
from pretrain.models.registry import family_of
from pretrain.models.sampling import greedy_targets
from pretrain.objectives.chunked_loss import next_token_sums
from pretrain.objectives.losses import sum_of_losses
from pretrain.objectives.parts import Parts
from pretrain.objectives.protocols import INIT, Batch, Keys, Prepared, SpeltRow, Sums
from pretrain.objectives.rows import Rows, attended_pairs
from pretrain.objectives.targets.recipe_fields import WritesTargets

PART = "model"
TARGET = "target"
"""The loss, as the head."""
FIELDS = ("tokens", "segments", "position_ids", "token_type_ids")
"""What of the expanded rows a model reads, in the order of `Inputs`."""
SHOWN = {"source": "source_tokens", "target": "target_tokens", "labels": "labels"}
"""What people are shown of a prepared batch, by its names there."""


@dataclass(frozen=True)
class TargetPrediction(ABC):
    """Teacher forcing (Sutskever et al. 2014, arXiv 1409.3215): the decoder reads the target, whose first token begins every target,
    and predicts the token that follows, up to the [SEP] that ends it. Rows begin targets with [CLS], which gives way to the family's
    own (`Family.target_start`).

    - `recipe`: the labels, how much is computed at once, and what is shown.
    - `model`: has the head `target`.
    - `header`: of the records.
    - `keys`: the run's random numbers.
    """

    recipe: WritesTargets
    model: Decoder
    header: RecordsHeader
    keys: Keys

    takes: ClassVar[tuple[Layout, ...]]
    """The layouts whose rows the objective can take."""

    @property
    def layouts(self) -> tuple[Layout, ...]:
        return tuple(layout for layout in self.takes if layout in family_of(self.model.config).layouts)

    @property
    @abstractmethod
    def lengths(self) -> tuple[int, int]:
        """Tokens of a source and of a target."""

    @property
    def parts(self) -> Parts:
        return Parts({PART: self.model})

    @property
    def weights(self) -> Mapping[str, float]:
        return {TARGET: 1.0}

    @property
    def exports(self) -> Mapping[str, str]:
        return {"": PART}

    def init(self) -> Parameters:
        return self.parts.init(self.keys.of(INIT))

    def rules(self) -> Rules:
        return self.parts.rules()

    def flops_per_row(self, attended: float | None = None) -> float:
        source, target = self.lengths
        row = RowShape(source, target, self.header.vocabulary_size, target - 1, attended)
        return self.model.config.flops_per_row(row, self.model.heads)

    def prepare(self, batch: Batch, step: jax.Array | None) -> Prepared:
        """Expands both sides and labels each token of a target with the one that follows it; nothing is drawn.

        Returns, each [accumulation, microbatch, ...]: `source_` and of `FIELDS` [..., S]; `target_` and of these, `labels`,
        `weights` [..., T]; `row_weights`, `real_tokens` (of both sides), `attended_pairs` [...].
        """
        pad_id = self.header.pad_id
        source, target = self._sides(batch, step)
        labels = jnp.concatenate([target.tokens[..., 1:], jnp.full_like(target.tokens[..., :1], pad_id)], axis=-1)
        sizes = [(rows.tokens != pad_id).sum(-1) for rows in (source, target)]
        within = attended_pairs(source, pad_id) + attended_pairs(target, pad_id, causal=True)
        if self._start != self.header.cls_id:
            target = target._replace(tokens=target.tokens.at[..., 0].set(self._start))
        sides = {"source": source, "target": target}
        return {
            **{f"{side}_{name}": getattr(rows, name) for side, rows in sides.items() for name in FIELDS},
            "labels": labels,
            "weights": (labels != pad_id).astype(jnp.float32),
            "row_weights": (sizes[0] > 0).astype(jnp.float32),
            "real_tokens": sizes[0] + sizes[1],
            "attended_pairs": within + sizes[0] * sizes[1],
        }

    def totals(self, prepared: Prepared) -> dict[str, jax.Array]:
        return {TARGET: prepared["weights"].sum()}

    def loss_sums(self, params: Parameters, microbatch: Prepared, dropout_key: jax.Array | None) -> Sums:
        """Runs the model on one microbatch: sums of `target`."""
        params = self.parts.of(params, PART)
        hidden = self._decoded(params, microbatch, dropout_key)
        hidden, table, bias = self.model.output_table(params, hidden)
        return {
            TARGET: next_token_sums(
                hidden,
                table,
                microbatch["labels"],
                microbatch["weights"],
                vocab_size=self.model.vocab_size,
                chunk=self.recipe.chunk,
                bias=bias,
                label_smoothing=self.recipe.label_smoothing,
            )
        }

    def metrics(self, sums: Sums) -> dict[str, jax.Array]:
        """`loss` (nats a token of a target) and `token_accuracy`."""
        totals = {TARGET: jnp.maximum(sums[TARGET]["weight_sum"], 1.0)}
        return {
            "loss": sum_of_losses(sums, totals, self.weights),
            "token_accuracy": sums[TARGET]["correct_sum"] / totals[TARGET],
        }

    def counts(self, sums: Sums) -> dict[str, jax.Array]:
        return {"predictions": sums[TARGET]["weight_sum"]}

    def show(self, params: Parameters | None, microbatch: Prepared) -> dict[str, jax.Array]:
        """The rows and, with parameters, `written`, int32 [rows, W], what the model finds likeliest, token by token, as the target of
        each source, and `predictions`, int32 [rows, T], the likeliest token after each of the row's own target."""
        shown = {name: microbatch[place] for name, place in SHOWN.items()}
        if params is None:
            return shown
        params = self.parts.of(params, PART)
        source = self.model.encode(params, _inputs(microbatch, "source"))
        count = min(self.recipe.sample_tokens, self.lengths[1] - 1)
        shown["written"] = greedy_targets(
            self.model, params, source, microbatch["source_segments"], start=self._start, count=count
        )
        hidden = self._decoded(params, microbatch, None)
        shown["predictions"] = self.model.target_logits(params, hidden).argmax(-1)
        return shown

    def spell(self, shown: Mapping[str, np.ndarray], tokenizer: Tokenizer) -> list[SpeltRow]:
        """Rows as text, `source -> target`; with predictions `source {target -> what the model writes}`."""
        return [self._spell_row(shown, row, tokenizer) for row in range(len(shown["source"]))]

    def _spell_row(self, shown: Mapping[str, np.ndarray], row: int, tokenizer: Tokenizer) -> SpeltRow:
        def text(ids: np.ndarray) -> str:
            return tokenizer.backend.decode(ids.tolist(), skip_special_tokens=False)

        source, labels = (
            ids[: np.count_nonzero(ids != self.header.pad_id)] for ids in (shown["source"][row], shown["labels"][row])
        )
        target = shown["target"][row][: len(labels) + 1 if len(labels) else 0]
        heading = f"{len(source)} + {len(target)} tokens, {len(labels)} predicted"
        if "written" not in shown:
            return SpeltRow(heading, f"{text(source)} -> {text(target)}", "", len(source) + len(target))
        right = f"{int((shown['predictions'][row][: len(labels)] == labels).sum())} of {len(labels)} tokens"
        written = shown["written"][row]
        if (ends := np.flatnonzero(written == self.header.sep_id)).size:
            written = written[: ends[0] + 1]
        spelt = f"{text(source)} {{{text(labels)} -> {text(written)}}}"
        return SpeltRow(heading, spelt, right, len(source) + len(target))

    @property
    def _start(self) -> int:
        """The token that begins every target."""
        return family_of(self.model.config).target_start(self.header.special_ids)

    @abstractmethod
    def _sides(self, batch: Batch, step: jax.Array | None) -> tuple[Rows, Rows]:
        """Sources and targets of a batch, [accumulation, microbatch, ...]; arguments as for `prepare`."""

    def _decoded(self, params: Parameters, microbatch: Prepared, dropout_key: jax.Array | None) -> jax.Array:
        """The decoder's last hidden states [B, T, H]."""
        source = self.model.encode(params, _inputs(microbatch, "source"), dropout_key=fold_key(dropout_key, 0))
        return self.model.decode(
            params,
            _inputs(microbatch, "target"),
            source,
            microbatch["source_segments"],
            dropout_key=fold_key(dropout_key, 1),
        )


def _inputs(microbatch: Prepared, side: str) -> Inputs:
    return Inputs(*(microbatch[f"{side}_{name}"] for name in FIELDS))
