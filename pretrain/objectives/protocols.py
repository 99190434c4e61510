"""What the loop knows of an objective: it prepares a batch, sums losses over it, and says how to name and show them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import jax
import numpy as np

from data_pipeline.contract.records import Layout, RecordsHeader
from data_pipeline.contract.tokenizer import Tokenizer
from pretrain.models.core.layers import Parameters
from pretrain.models.parameter_rules import Rules
from pretrain.objectives.parts import Parts

Batch = dict[str, jax.Array]
"""Arrays [accumulation, microbatch, ...]: the fields of records, and `record_ids` and `epochs`, int32 [accumulation, microbatch]."""
Prepared = dict[str, jax.Array]
"""What `Objective.prepare` makes of a batch, or one microbatch of it. Always there, [..., microbatch]: `row_weights` (float32, 0 for
rows of padding only), `real_tokens` (int32, tokens that are not padding) and `attended_pairs` (int32, `RowShape.attended`)."""
Sums = dict[str, dict[str, jax.Array]]
"""By the name of a loss, float32 scalars: `loss_sum` (nats), `correct_sum`, `weight_sum`, and what else an objective wants, scalars
or arrays [n] such as histograms."""

INIT, MASKS, DROPOUT, EVALUATION_MASKS, SAMPLES, EVALUATION_SAMPLES, TEACHER = range(7)
"""What a key of the run is for, folded into the key of the seed so that the streams never meet. New ones go to the end: the number of
each decides its stream."""


@dataclass(frozen=True)
class Keys:
    """The streams of random numbers of a run; all but dropout's are threefry.

    - `seed`, `dropout_rng`: see `TrainingRecipe`.
    """

    seed: int
    dropout_rng: str

    def of(self, purpose: int, implementation: str = "threefry2x32") -> jax.Array:
        """The run's key for INIT, MASKS or another of these."""
        return jax.random.fold_in(jax.random.key(self.seed, impl=implementation), purpose)

    def dropout(self, step: jax.Array, rows: jax.Array) -> jax.Array:
        """The dropout key of a step for some of its rows, of the recipe's implementation.

        - `rows`: int32 [B], their numbers in the global batch.

        threefry: a key [B] for each row, so that neither accumulation nor devices change what it drops. rbg: one key for all, by
        the number of the first, for its bits with a key for each row cost ten times as much and would depend on the topology still.
        """
        if self.dropout_rng == "rbg":
            return jax.random.fold_in(jax.random.fold_in(self.of(DROPOUT, "rbg"), step), rows[0])
        return jax.vmap(jax.random.fold_in, (None, 0))(jax.random.fold_in(self.of(DROPOUT), step), rows)


def row_keys(key: jax.Array, record_ids: jax.Array, epochs: jax.Array) -> jax.Array:
    """A key for each row of a batch, decided by its record and epoch.

    - `key`: of `Keys.of`; `record_ids`, `epochs`: int32 [accumulation, microbatch].
    """

    def of_row(record_id: jax.Array, epoch: jax.Array) -> jax.Array:
        return jax.random.fold_in(jax.random.fold_in(key, epoch), record_id)

    return jax.vmap(jax.vmap(of_row))(record_ids, epochs)


class SpeltRow(NamedTuple):
    """A row in words.

    - `heading`: what is in it, and what its marks mean: "23 tokens, 4 predicted {label} (17.4%)".
    - `text`: its pieces, with what should be said and what the model says.
    - `right`: how much the model has right, "2 of 4"; empty where it was not asked.
    - `tokens`: how many are no padding.
    """

    heading: str
    text: str
    right: str
    tokens: int


class Trainable(Protocol):
    """What a training step needs: losses of batches, and the parameters that they are of. All methods with arrays are pure and run
    under jax.jit."""

    @property
    def keys(self) -> Keys: ...

    @property
    def parts(self) -> Parts:
        """Its models by name; a lone one lies at the root of the parameters."""

    @property
    def weights(self) -> Mapping[str, float]:
        """Of each loss in the sum, by the names of `loss_sums`."""

    def init(self) -> Parameters:
        """The parameters at step 0."""

    def rules(self) -> Rules:
        """The table of the parameters of all parts."""

    def prepare(self, batch: Batch, step: jax.Array | None) -> Prepared:
        """Expands a batch and corrupts what is to be predicted.

        - `step`: steps done, int32 scalar; None for evaluation, whose corruption never changes.
        """

    def totals(self, prepared: Prepared) -> dict[str, jax.Array]:
        """The weight of each loss in a whole prepared batch: float32 scalars."""

    def loss_sums(self, params: Parameters, microbatch: Prepared, dropout_key: jax.Array | None) -> Sums:
        """Runs the model on one microbatch; no key switches dropout off."""

    def metrics(self, sums: Sums) -> dict[str, jax.Array]:
        """Named figures from sums over any number of microbatches and steps: `loss`, and what the recipe's headlines name."""


class Objective(Trainable, Protocol):
    """What is learnt from the records of a run."""

    @property
    def layouts(self) -> tuple[Layout, ...]:
        """Of the rows that it takes together with its models."""

    @property
    def header(self) -> RecordsHeader:
        """That of the records whose rows it takes."""

    @property
    def exports(self) -> Mapping[str, str]:
        """Folder below the export's -> part: {"": "model"}. "" is the export's own folder, and must be there."""

    def flops_per_row(self, attended: float | None = None) -> float:
        """Model FLOPs of a training row without padding, forward and backward.

        - `attended`: see `RowShape`; None: the row is one segment.
        """

    def counts(self, sums: Sums) -> dict[str, jax.Array]:
        """Further figures from such sums, logged of training only; they count, so that those of two batches add up."""

    def show(self, params: Parameters | None, microbatch: Prepared) -> dict[str, jax.Array]:
        """The arrays of which `spell` makes words; without parameters, of the rows alone."""

    def spell(self, shown: Mapping[str, np.ndarray], tokenizer: Tokenizer) -> list[SpeltRow]:
        """What a person reads of the rows, one after the other."""
