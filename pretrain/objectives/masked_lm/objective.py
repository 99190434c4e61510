"""BERT's pretraining objective as the step sees it: mask a batch, say how much there is to predict, sum the losses."""

import math
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.records import Layout, RecordsHeader
from pretrain.input.batches import Batch
from pretrain.models.bert.model import Bert
from pretrain.models.config import RowShape
from pretrain.models.core.layers import Parameters
from pretrain.models.parameter_rules import Rules
from pretrain.models.protocols import Compute, Inputs
from pretrain.models.registry import family_of
from pretrain.objectives.corruption.masking import mask_rows
from pretrain.objectives.masked_lm.losses import gather_positions, masked_lm_sums
from pretrain.objectives.masked_lm.sentence_pairs import PAIR_LOSSES, next_sentence_sums
from pretrain.objectives.rows import expand_rows
from pretrain.recipe import Masking, TrainingRecipe

LAYOUTS: tuple[Layout, ...] = ("packed", "full_sentences", *PAIR_LOSSES)
"""The layouts whose rows this objective can take."""
INIT, MASKS, DROPOUT, EVALUATION_MASKS = range(4)
"""What a key of the run is for, folded into the key of the seed so that the streams never meet."""


@dataclass(frozen=True)
class MaskedLanguageModel:
    """Masked language modelling, with next-sentence or sentence-order prediction where the records hold such pairs.

    - `model`: has the head `vocabulary`, and `pair` for pairs.
    - `masking`: rates and shares.
    - `header`: the records' header.
    - `seed`, `dropout_rng`: see `TrainingRecipe`.

    All methods are pure and run under jax.jit. Arrays of a batch are [accumulation, microbatch, ...].
    """

    model: Bert
    masking: Masking
    header: RecordsHeader
    seed: int
    dropout_rng: str

    @property
    def max_predictions(self) -> int:
        """Predictions a row of the header's length."""
        return self.predictions(self.header.length)

    def predictions(self, length: int) -> int:
        """Predictions a row of so many tokens, K: as the recipe says, or rate x length rounded up."""
        return self.masking.max_predictions or math.ceil(self.masking.rate * length)

    def flops_per_token(self, length: int) -> float:
        """Model FLOPs of a training token in rows of this length, forward and backward."""
        row = RowShape(length, 0, self.header.vocabulary_size, self.predictions(length))
        return self.model.config.flops_per_row(row, self.model.heads) / length

    def rules(self) -> Rules:
        """The table of the parameters."""
        return family_of(self.model.config).rules(self.model.config, self.model.heads)

    def key(self, purpose: int, implementation: str = "threefry2x32") -> jax.Array:
        """The run's key for one of INIT, MASKS, DROPOUT, EVALUATION_MASKS."""
        return jax.random.fold_in(jax.random.key(self.seed, impl=implementation), purpose)

    def init(self) -> Parameters:
        """The parameters at step 0."""
        return self.model.init(self.key(INIT))

    def training_masks(self, batch: Batch) -> dict[str, jax.Array]:
        """`masked` with new masks in each epoch, or with `masking.static_masks` of them in turn."""
        static = self.masking.static_masks
        epochs = batch["epochs"] % static if static else batch["epochs"]
        return self.masked({**batch, "epochs": epochs}, self.key(MASKS))

    def evaluation_masks(self, batch: Batch) -> dict[str, jax.Array]:
        """`masked` with masks that never change."""
        return self.masked(batch, self.key(EVALUATION_MASKS))

    def dropout_key(self, step: jax.Array, rows: jax.Array) -> jax.Array:
        """The dropout key of a step for some of its rows, of the recipe's implementation.

        - `rows`: int32 [B], their numbers in the global batch.

        threefry: a key [B] for each row, so that neither accumulation nor devices change what it drops. rbg: one key for all, by
        the number of the first, for its bits with a key for each row cost ten times as much and would depend on the topology still.
        """
        if self.dropout_rng == "rbg":
            return jax.random.fold_in(jax.random.fold_in(self.key(DROPOUT, "rbg"), step), rows[0])
        return jax.vmap(jax.random.fold_in, (None, 0))(jax.random.fold_in(self.key(DROPOUT), step), rows)

    def masked(self, batch: Batch, key: jax.Array) -> dict[str, jax.Array]:
        """Expands the rows and hides some of their tokens; a row's mask is decided by `key`, its record and its epoch.

        Returns, each [accumulation, microbatch, ...]: `inputs`, `position_ids`, `token_type_ids`, `segments` [..., L];
        `positions`, `labels`, `weights` [..., K]; `row_weights` (0 for rows of padding only), `real_tokens` [...]; and `label` for pairs.
        """
        header = self.header
        rows = expand_rows(batch, header.layout, header.pad_id)
        specials = (header.pad_id, header.unk_id, header.cls_id, header.sep_id, header.mask_id)
        ordinary = jnp.asarray(np.setdiff1d(np.arange(header.vocabulary_size), header.reserved_ids), jnp.int32)

        def row_key(record_id: jax.Array, epoch: jax.Array) -> jax.Array:
            return jax.random.fold_in(jax.random.fold_in(key, epoch), record_id)

        def mask_microbatch(tokens: jax.Array, word_starts: jax.Array, row_keys: jax.Array) -> Any:
            return mask_rows(
                tokens,
                word_starts,
                row_keys=row_keys,
                rate=self.masking.rate,
                max_predictions=self.predictions(tokens.shape[-1]),
                mask_share=self.masking.mask_share,
                random_share=self.masking.random_share,
                mask_id=header.mask_id,
                special_ids=specials,
                ordinary_ids=ordinary,
            )

        row_keys = jax.vmap(jax.vmap(row_key))(batch["record_ids"], batch["epochs"])
        hidden = jax.vmap(mask_microbatch)(rows.tokens, rows.word_starts, row_keys)
        real_tokens = (rows.tokens != header.pad_id).sum(-1)
        labels = {"label": batch["label"]} if "label" in batch else {}
        return {
            **hidden._asdict(),
            "position_ids": rows.position_ids,
            "token_type_ids": rows.token_type_ids,
            "segments": rows.segments,
            "row_weights": (real_tokens > 0).astype(jnp.float32),
            "real_tokens": real_tokens,
            **labels,
        }

    def totals(self, masked: dict[str, jax.Array]) -> dict[str, jax.Array]:
        """The weight of each part of the loss in a whole masked batch: float32 scalars, by the names of `loss_sums`."""
        totals = {"masked_lm": masked["weights"].sum()}
        if self.header.has_pairs:
            totals[PAIR_LOSSES[self.header.layout]] = masked["row_weights"].sum()
        return totals

    def encode(
        self, params: Parameters, masked: dict[str, jax.Array], dropout_key: jax.Array | None = None
    ) -> jax.Array:
        """The last hidden states [microbatch, L, H] of one microbatch; its arrays are those of `masked` without the first axis."""
        inputs = Inputs(*(masked[name] for name in ("inputs", "segments", "position_ids", "token_type_ids")))
        return self.model.encode(params, inputs, dropout_key=dropout_key)

    def masked_lm_logits(self, params: Parameters, hidden: jax.Array, masked: dict[str, jax.Array]) -> jax.Array:
        """Scores of the vocabulary, float32 [microbatch, K, V], at the predicted positions only."""
        return self.model.vocabulary_logits(params, gather_positions(hidden, masked["positions"]))

    def loss_sums(
        self, params: Parameters, masked: dict[str, jax.Array], dropout_key: jax.Array | None
    ) -> dict[str, dict[str, jax.Array]]:
        """Runs the model on one microbatch.

        - `masked`: the arrays of `masked`, without their first axis.
        - `dropout_key`: None switches dropout off.

        Returns `masked_lm` and, for pairs, `next_sentence` or `sentence_order`, each with float32 `loss_sum`, `correct_sum`, `weight_sum`.
        """
        hidden = self.encode(params, masked, dropout_key)
        logits = self.masked_lm_logits(params, hidden, masked)
        sums = {"masked_lm": masked_lm_sums(logits, masked["labels"], masked["weights"])}
        if self.header.has_pairs:
            pair_logits = self.model.pair_logits(params, hidden)
            pair_sums = next_sentence_sums(pair_logits, masked["label"], masked["row_weights"])
            sums[PAIR_LOSSES[self.header.layout]] = pair_sums
        return sums


def make_objective(recipe: TrainingRecipe, header: RecordsHeader) -> MaskedLanguageModel:
    """The objective of a recipe on records.

    Raises InputError where the two contradict each other: layout, vocabulary size, length, token types.
    """
    model = recipe.model
    if header.layout not in LAYOUTS:
        raise InputError(
            f"the records have the layout {header.layout}, which no training objective takes; prepare others: "
            f"{', '.join(LAYOUTS)}"
        )
    if model.vocab_size not in (None, header.vocabulary_size):
        raise InputError(
            f"model.vocab_size {model.vocab_size}: the records have {header.vocabulary_size}; leave model.vocab_size unset"
        )
    if header.length > model.max_position_embeddings:
        raise InputError(
            f"model.max_position_embeddings {model.max_position_embeddings}: the records' rows have {header.length} tokens; "
            f"set it to {header.length} or more, or prepare shorter examples"
        )
    if (recipe.masking.max_predictions or 1) > header.length:
        raise InputError(
            f"masking.max_predictions {recipe.masking.max_predictions}: must be 1 to {header.length}, the tokens of a row"
        )
    if header.has_pairs and model.type_vocab_size < 2:
        raise InputError(f"model.type_vocab_size {model.type_vocab_size}: sentence pairs need 2 token types")
    if recipe.dropout_rng not in ("threefry", "rbg"):
        raise InputError(f"dropout_rng {recipe.dropout_rng!r}: must be threefry or rbg")
    compute = Compute(
        compute_dtype=recipe.compute_dtype,
        parameter_dtype=recipe.parameter_dtype,
        remat=recipe.remat,
        scan_unroll=recipe.scan_unroll,
        attention=recipe.attention,
    )
    heads = frozenset({"vocabulary", "pair"} if header.has_pairs else {"vocabulary"})
    bert = Bert(model, header.vocabulary_size, heads, compute)
    return MaskedLanguageModel(bert, recipe.masking, header, recipe.seed, recipe.dropout_rng)
