"""Causal language modelling: label each token with the next one, sum the losses, let the model write."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import jax
import jax.numpy as jnp
import numpy as np

from data_pipeline.contract.records import Layout, RecordsHeader
from data_pipeline.contract.tokenizer import Tokenizer
from pretrain.models.config import ModelConfig, RowShape
from pretrain.models.core.layers import Parameters
from pretrain.models.parameter_rules import Rules
from pretrain.models.protocols import Compute, Inputs, NextTokenHead
from pretrain.models.registry import family_of, make_model
from pretrain.models.sampling import continued, one_text
from pretrain.objectives.causal_lm.recipe import CausalLM
from pretrain.objectives.chunked_loss import next_token_sums
from pretrain.objectives.losses import sum_of_losses
from pretrain.objectives.parts import Parts
from pretrain.objectives.protocols import EVALUATION_MASKS, INIT, Batch, Keys, Prepared, SpeltRow, Sums
from pretrain.objectives.rows import attended_pairs, expand_rows

LAYOUTS: tuple[Layout, ...] = ("causal",)
"""The layouts whose rows this objective can take."""
PART = "model"
CAUSAL_LM = "causal_lm"


@dataclass(frozen=True)
class CausalLanguageModelling:
    """Causal language modelling over whole rows, also across the ends of texts in them (Brown et al. 2020, arXiv 2005.14165,
    appendix B).

    - `recipe`: how much is computed at once, and what is shown.
    - `model`: has the head `next_token`.
    - `header`: of the records.
    - `keys`: the run's random numbers.
    """

    recipe: CausalLM
    model: NextTokenHead
    header: RecordsHeader
    keys: Keys

    @property
    def layouts(self) -> tuple[Layout, ...]:
        return tuple(layout for layout in LAYOUTS if layout in family_of(self.model.config).layouts)

    @property
    def parts(self) -> Parts:
        return Parts({PART: self.model})

    @property
    def weights(self) -> Mapping[str, float]:
        return {CAUSAL_LM: 1.0}

    @property
    def exports(self) -> Mapping[str, str]:
        return {"": PART}

    def init(self) -> Parameters:
        return self.parts.init(self.keys.of(INIT))

    def rules(self) -> Rules:
        return self.parts.rules()

    def flops_per_row(self, attended: float | None = None) -> float:
        length = self.header.length
        return self.model.config.flops_per_row(
            RowShape(length, 0, self.header.vocabulary_size, length - 1, attended), self.model.heads
        )

    def prepare(self, batch: Batch, step: jax.Array | None) -> Prepared:
        """Expands the rows and labels each token with the one that follows it in its row; nothing is drawn.

        Returns, each [accumulation, microbatch, ...]: `inputs`, `labels`, `weights`, `position_ids`, `token_type_ids`, `segments`
        [..., L]; `row_weights`, `real_tokens`, `attended_pairs`, `record_ids` [...].
        """
        pad_id = self.header.pad_id
        rows = expand_rows(batch, self.header.layout, pad_id)
        labels = jnp.concatenate([rows.tokens[..., 1:], jnp.full_like(rows.tokens[..., :1], pad_id)], axis=-1)
        real_tokens = (rows.tokens != pad_id).sum(-1)
        return {
            "inputs": rows.tokens,
            "labels": labels,
            "weights": (labels != pad_id).astype(jnp.float32),
            "position_ids": rows.position_ids,
            "token_type_ids": rows.token_type_ids,
            "segments": rows.segments,
            "row_weights": (real_tokens > 0).astype(jnp.float32),
            "real_tokens": real_tokens,
            "attended_pairs": attended_pairs(rows, pad_id, causal=True),
            "record_ids": batch["record_ids"],
        }

    def totals(self, prepared: Prepared) -> dict[str, jax.Array]:
        return {CAUSAL_LM: prepared["weights"].sum()}

    def loss_sums(self, params: Parameters, microbatch: Prepared, dropout_key: jax.Array | None) -> Sums:
        """Runs the model on one microbatch: sums of `causal_lm`."""
        params = self.parts.of(params, PART)
        inputs = Inputs(*(microbatch[name] for name in ("inputs", "segments", "position_ids", "token_type_ids")))
        hidden = self.model.encode(params, inputs, dropout_key=dropout_key)
        return {
            CAUSAL_LM: next_token_sums(
                hidden,
                self.model.next_token_table(params),
                microbatch["labels"],
                microbatch["weights"],
                vocab_size=self.model.vocab_size,
                chunk=self.recipe.chunk,
            )
        }

    def metrics(self, sums: Sums) -> dict[str, jax.Array]:
        """`loss` (nats a token, of which exp is the perplexity) and `next_token_accuracy`."""
        totals = {CAUSAL_LM: jnp.maximum(sums[CAUSAL_LM]["weight_sum"], 1.0)}
        return {
            "loss": sum_of_losses(sums, totals, self.weights),
            "next_token_accuracy": sums[CAUSAL_LM]["correct_sum"] / totals[CAUSAL_LM],
        }

    def counts(self, sums: Sums) -> dict[str, jax.Array]:
        return {"predictions": sums[CAUSAL_LM]["weight_sum"]}

    def show(self, params: Parameters | None, microbatch: Prepared) -> dict[str, jax.Array]:
        """The rows and, with parameters, of the beginning of each (S tokens, `prompt` of them given): `written`, int32 [rows, S],
        the prompt with the model's continuation, and `predictions`, int32 [rows, S], the likeliest token after each of the row's own.

        What is drawn depends on the record and the run's seed only, so that later samples compare with earlier ones.
        """
        shown = {"inputs": microbatch["inputs"]}
        if params is None:
            return shown
        params, sample = self.parts.of(params, PART), self.recipe.sample
        beginning = microbatch["inputs"][:, : sample.prompt + sample.tokens]
        size = beginning.shape[1]
        prompt = min(sample.prompt, size - 1)
        key = self.keys.of(EVALUATION_MASKS)
        shown["written"] = continued(
            self.model,
            params,
            beginning,
            jnp.clip(microbatch["real_tokens"], 1, prompt),
            jax.vmap(jax.random.fold_in, (None, 0))(key, microbatch["record_ids"]),
            count=size - prompt,
            top_k=sample.top_k,
            temperature=sample.temperature,
        )
        hidden = one_text(self.model, params, beginning)
        shown["predictions"] = self.model.next_token_logits(params, hidden).argmax(-1)
        return shown

    def spell(self, shown: Mapping[str, np.ndarray], tokenizer: Tokenizer) -> list[SpeltRow]:
        """Rows as text. With a continuation only their beginnings: `prompt {what follows there -> what the model writes}`."""
        return [self._spell_row(shown, row, tokenizer) for row in range(len(shown["inputs"]))]

    def _spell_row(self, shown: Mapping[str, np.ndarray], row: int, tokenizer: Tokenizer) -> SpeltRow:
        def text(ids: np.ndarray) -> str:
            return tokenizer.backend.decode(ids.tolist(), skip_special_tokens=False)

        inputs = shown["inputs"][row]
        inputs = inputs[: np.count_nonzero(inputs != self.header.pad_id)]
        heading = f"{len(inputs)} tokens, {max(0, len(inputs) - 1)} predicted"
        if "written" not in shown:
            return SpeltRow(heading, text(inputs), "", len(inputs))
        written = shown["written"][row]
        most = min(self.recipe.sample.prompt, len(written) - 1)
        beginning, prompt = inputs[: len(written)], min(len(inputs), most)
        answered = shown["predictions"][row][: len(beginning)][:-1]
        right = f"{int((answered == beginning[1:]).sum())} of {len(answered)} next tokens"
        ends = written[prompt : prompt + len(written) - most]
        if (found := np.flatnonzero(ends == self.header.sep_id)).size:
            ends = ends[: found[0] + 1]
        spelt = f"{text(beginning[:prompt])} {{{text(beginning[prompt:])} -> {text(ends)}}}"
        return SpeltRow(heading, spelt, right, len(inputs))


def make(
    recipe: CausalLM, config: ModelConfig, header: RecordsHeader, compute: Compute, keys: Keys, steps: range
) -> CausalLanguageModelling:
    """The objective on records of this header. Raises InputError where the model has no head `next_token`."""
    model = make_model(config, header.vocabulary_size, frozenset({"next_token"}), compute)
    return CausalLanguageModelling(recipe, cast(NextTokenHead, model), header, keys)
