"""A model with the head of a task on labelled rows: nothing is corrupted, and a row's labels are its loss."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp

from pretrain.models.core.dependency_parser import Eojeols, parse
from pretrain.models.core.layers import Parameters, fold_key
from pretrain.models.core.slot_generator import Dialogues, Generated, generate
from pretrain.models.core.task_scores import GENERATOR, PARSER
from pretrain.models.parameter_rules import Rules, rule_of
from pretrain.models.protocols import Inputs, TaskModel
from pretrain.models.task_heads import TaskKind
from pretrain.objectives.fine_tuning.losses import class_sums, place_sums, score_sums, value_sums
from pretrain.objectives.losses import sum_of_losses
from pretrain.objectives.parts import Parts
from pretrain.objectives.protocols import INIT, TEACHER, Batch, Keys, Prepared, Sums

PART = "model"
START, END = "start", "end"
ARCS, RELATIONS = "arcs", "relations"
OF_GATES, VALUES = "gates", "values"
TEACHER_FORCING = 0.5
"""How many of the steps read the values that are wanted, and not those generated so far (KLUE-baseline)."""


@dataclass(frozen=True)
class FineTuning:
    """Fine-tuning on one task.

    Its batches are arrays [accumulation, microbatch, ...]: `tokens` and `token_types`, integers [..., L]; `lengths`, int32 [...],
    tokens of each row, 0 where it only fills up the batch; and `labels`: int32 [...] of classes, float32 [...] of scores, int32
    [..., L] of tags (below 0 where a token has none), int32 [..., 2] of spans, the places of the first and the last token, int32
    [..., W, 5] of dependencies: of each eojeol the places of its first and last token, part of speech, head (0 is the root) and
    relation; all are below 0 behind the last eojeol, and a head that the row has not is; int32 [..., J, 1 + T] of slots: of each the gate
    and the tokens of its value, below 0 behind its end.

    - `model`: with the head of the task.
    - `keys`: of initialisation and dropout.
    - `frozen`: only the head learns; the encoder is neither changed nor dropped from (a linear probe).
    - `names`: of each slot the tokens of its name.
    """

    model: TaskModel
    keys: Keys
    frozen: bool = False
    names: tuple[tuple[int, ...], ...] = ()

    @property
    def parts(self) -> Parts:
        return Parts({PART: self.model})

    @property
    def weights(self) -> Mapping[str, float]:
        """The mean of start and end, of a span; the sum of arcs and relations, or of gates and values, as in KLUE-baseline; else the
        lone loss."""
        if self.kind == "slots":
            return {OF_GATES: 1.0, VALUES: 1.0}
        if self.kind == "dependencies":
            return {ARCS: 1.0, RELATIONS: 1.0}
        return {START: 0.5, END: 0.5} if self.kind == "span" else {self.kind: 1.0}

    @property
    def kind(self) -> TaskKind:
        """That of the head."""
        assert self.model.task
        return self.model.task.kind

    def init(self) -> Parameters:
        return self.parts.init(self.keys.of(INIT))

    def rules(self) -> Rules:
        """The table; what is frozen has no weight decay, the one thing that would move it without a gradient."""
        rules = self.model_rules()
        return tuple(replace(rule, kind="vector") if self._is_frozen(rule.group) else rule for rule in rules)

    def model_rules(self) -> Rules:
        """The table as the family has it, frozen or not."""
        return self.parts.rules()

    def _is_frozen(self, group: str) -> bool:
        return self.frozen and group != "head"

    def prepare(self, batch: Batch, step: jax.Array | None) -> Prepared:
        """The batch with what every step counts: `segments` [..., L], `row_weights`, `real_tokens`, `attended_pairs` [...]; and `teacher`,
        bool [...], whether the step reads the values that are wanted, the same for the whole batch."""
        lengths = batch["lengths"]
        teacher = jnp.zeros(lengths.shape, bool)
        if self.kind == "slots" and step is not None:
            teacher |= jax.random.bernoulli(jax.random.fold_in(self.keys.of(TEACHER), step), TEACHER_FORCING)
        places = jnp.arange(batch["tokens"].shape[-1], dtype=jnp.int32)
        return {
            **{name: batch[name].astype(jnp.int32) for name in ("tokens", "token_types")},
            "labels": batch["labels"],
            "segments": (places < lengths[..., None]).astype(jnp.int32),
            "row_weights": (lengths > 0).astype(jnp.float32),
            "real_tokens": lengths,
            "attended_pairs": lengths * lengths,
            "teacher": teacher,
        }

    def totals(self, prepared: Prepared) -> dict[str, jax.Array]:
        counted = prepared["row_weights"]
        if self.kind == "slots":
            is_token = prepared["labels"][..., 1:] >= 0
            of_values = (is_token * counted[..., None, None]).sum()
            return {OF_GATES: len(self.names) * counted.sum(), VALUES: of_values}
        if self.kind in ("tags", "dependencies"):
            labels = prepared["labels"] if self.kind == "tags" else prepared["labels"][..., 3]
            counted = ((labels >= 0) * counted[..., None]).astype(jnp.float32)
        return dict.fromkeys(self.weights, counted.sum())

    def loss_sums(self, params: Parameters, microbatch: Prepared, dropout_key: jax.Array | None) -> Sums:
        labels, weights = microbatch["labels"], microbatch["row_weights"]
        if self.kind == "dependencies":
            heads, relations = labels[..., 3], jnp.where(labels[..., 3] < 0, -1, labels[..., 4])
            scores = self.tree_logits(params, microbatch, heads, dropout_key)
            gold = zip(self.weights, scores, (heads, relations), strict=True)
            return {name: class_sums(logits, wanted, weights[..., None]) for name, logits, wanted in gold}
        if self.kind == "slots":
            gates, values = labels[..., 0], labels[..., 1:]
            found = self.generated(params, microbatch, values, dropout_key)
            return {
                OF_GATES: class_sums(found.gates, gates, weights[..., None]),
                VALUES: value_sums(found.losses, found.tokens, values, weights[..., None, None]),
            }
        logits = self.logits(params, microbatch, dropout_key)
        assert self.model.task
        if self.kind == "span":
            real = microbatch["segments"] > 0
            return {
                name: place_sums(logits[..., index], labels[..., index], real, weights)
                for index, name in enumerate(self.weights)
            }
        if self.kind == "tags":
            return {self.kind: class_sums(logits, labels, weights[..., None])}
        sums = class_sums if self.model.task.labels else score_sums
        return {self.kind: sums(logits, labels, weights)}

    def logits(self, params: Parameters, microbatch: Prepared, dropout_key: jax.Array | None = None) -> jax.Array:
        """What the head says of a prepared microbatch (`TaskModel.task_logits`)."""
        params, hidden, inputs = self._encoded(params, microbatch, dropout_key)
        return self.model.task_logits(params, hidden, inputs, dropout_key=dropout_key)

    def tree_logits(
        self,
        params: Parameters,
        microbatch: Prepared,
        heads: jax.Array | None = None,
        dropout_key: jax.Array | None = None,
    ) -> tuple[jax.Array, jax.Array]:
        """What a head of dependencies says (`pretrain.models.core.dependency_parser.parse`)."""
        assert self.model.task
        params, hidden, _ = self._encoded(params, microbatch, dropout_key)
        eojeols = Eojeols(*(microbatch["labels"][..., field] for field in range(3)))
        key = fold_key(dropout_key, 2)  # as of the other heads: 0 and 1 are the encoder's
        return parse(params[PARSER], hidden, eojeols, heads, rate=self.model.task.dropout, key=key)

    def generated(
        self,
        params: Parameters,
        microbatch: Prepared,
        wanted: jax.Array | None = None,
        dropout_key: jax.Array | None = None,
    ) -> Generated:
        """What a head of slots says (`pretrain.models.core.slot_generator.generate`)."""
        params, hidden, inputs = self._encoded(params, microbatch, dropout_key)
        summary = self.model.summary(hidden, inputs.segments)
        return generate(
            params[GENERATOR],
            self.model.word_table(params),
            self.model.vocab_size,
            Dialogues(hidden, summary, inputs.tokens, inputs.segments > 0),
            self.names,
            wanted,
            teacher=microbatch["teacher"],
            rate=self.model.task_dropout,
            key=fold_key(dropout_key, 2),  # as of the other heads
        )

    def _encoded(
        self, params: Parameters, microbatch: Prepared, dropout_key: jax.Array | None
    ) -> tuple[Parameters, jax.Array, Inputs]:
        """The parameters, held where they are frozen, the last hidden states and what they are of."""
        if self.frozen:
            params = jax.tree.map_with_path(self._held, params)
        tokens = microbatch["tokens"]
        positions = jnp.broadcast_to(jnp.arange(tokens.shape[-1], dtype=jnp.int32), tokens.shape)
        inputs = Inputs(tokens, microbatch["segments"], positions, microbatch["token_types"])
        hidden = self.model.encode(params, inputs, dropout_key=None if self.frozen else dropout_key)
        return params, hidden, inputs

    def _held(self, path: tuple[Any, ...], parameter: jax.Array) -> jax.Array:
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        group = rule_of(name, self.model_rules()).group
        return jax.lax.stop_gradient(parameter) if self._is_frozen(group) else parameter

    def metrics(self, sums: Sums) -> dict[str, jax.Array]:
        """`loss`, the mean over rows, tagged tokens, eojeols, or slots and the tokens of their values, and `accuracy`, the mean of the losses', in which nothing is right where the task is a score."""
        totals = {name: jnp.maximum(of_loss["weight_sum"], 1.0) for name, of_loss in sums.items()}
        right = [self.weights[name] * of_loss["correct_sum"] / totals[name] for name, of_loss in sums.items()]
        accuracy = sum(right, jnp.float32(0)) / sum(self.weights.values())
        return {"loss": sum_of_losses(sums, totals, self.weights), "accuracy": accuracy}
