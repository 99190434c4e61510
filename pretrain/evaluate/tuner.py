"""Fine-tuning by the training step of pretraining: a trained model, labelled rows and a head give predictions."""

import functools
import logging
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from data_pipeline.contract.errors import WorkError
from pretrain.devices.available import use_compilation_cache
from pretrain.devices.broadcast import everywhere, placed
from pretrain.devices.host_memory import keep_freed_memory
from pretrain.devices.sharding import ROWS, batch_sharding, make_mesh, replicated
from pretrain.evaluate.buckets import PlannedBatch, prediction_plan, training_plan
from pretrain.evaluate.encoding import LabelledRows, longest_row, padded
from pretrain.evaluate.hardware import Hardware
from pretrain.evaluate.kinds.dialogues import slot_names
from pretrain.evaluate.tasks.task import Settings
from pretrain.hugging_face.weights import from_hugging_face, to_hugging_face
from pretrain.input.batches import Prefetched, local_rows, place_rows
from pretrain.loop import fit
from pretrain.models.core.layers import Parameters
from pretrain.models.protocols import Compute
from pretrain.models.task_heads import TaskHead
from pretrain.objectives.fine_tuning.tuning import FineTuning
from pretrain.objectives.protocols import Batch, Keys
from pretrain.optimization.step import State, compile_train_step, make_steps
from pretrain.recipe import Optimizer, TrainingRecipe
from pretrain.subject import Subject

log = logging.getLogger("pretrain")

TRAIN = "train"
"""The split that is learnt from."""
EOJEOLS = 8
"""What the number of eojeols in a batch is a multiple of: about half of the tokens, of which biaffine forms take the square."""


@dataclass(frozen=True)
class Epoch:
    """What an epoch has given.

    - `number`: from 1; `steps`: of this epoch.
    - `loss`, `accuracy`: means over its training batches, with dropout (`FineTuning.metrics`).
    - `seconds`: of training; `compile_seconds`, `prediction_seconds`: beside these.
    - `predictions`: by split, for each row in its order: float32 scores of classes [outputs], or of the start and the end at each token
      [n, 2]; int32 tags [n]; int32 head and relation of each eojeol [w, 2]; int32 gate and tokens of each slot [j, 1 + STEPS].
    """

    number: int
    steps: int
    loss: float
    accuracy: float
    seconds: float
    compile_seconds: float
    prediction_seconds: float
    predictions: Mapping[str, list[np.ndarray]]


class Tuner:
    """Fine-tunes one model on one task, any number of times: the seeds share the programs.

    - `subject`: the trained model; a head that it has is left behind.
    - `splits`: rows by split. TRAIN is learnt from, and all others are predicted.
    - `frozen`: only the head learns.
    - `devices`: None means all.

    `params` are those of the last epoch that was run, until the next one begins; `longest` the most tokens of a row, `steps` of a whole
    fine-tuning, `compute_dtype` the type that was chosen. Raises InputError where the model's family has no heads of tasks, or mesh and
    model do not fit.
    """

    def __init__(
        self,
        subject: Subject,
        head: TaskHead,
        splits: Mapping[str, LabelledRows],
        settings: Settings,
        hardware: Hardware | None = None,
        *,
        frozen: bool = False,
        devices: Sequence[jax.Device] | None = None,
    ) -> None:
        hardware = hardware or Hardware()
        self.subject, self.head, self.splits, self.settings = subject, head, splits, settings
        self.mesh = make_mesh(hardware.mesh, devices, "hardware")
        if self.mesh.devices.flat[0].platform == "cpu":
            keep_freed_memory()
        use_compilation_cache()
        self.compute_dtype = hardware.dtype_on(self.mesh.devices.flat[0].platform)
        compute = Compute(self.compute_dtype, "float32", "none", hardware.scan_unroll, hardware.attention)
        # The seed of a run is no part of the programs: it decides the parameters and the number of the first step.
        names = slot_names(subject.tokenizer, head.labels) if head.kind == "slots" else ()
        self.objective = FineTuning(subject.with_task(head, compute), Keys(0, hardware.dropout_rng), frozen, names)
        self.longest = longest_row(subject, settings.max_length)
        self.batches_an_epoch = math.ceil(len(splits[TRAIN]) / settings.batch_size)
        self.steps = max(1, math.ceil(settings.epochs * self.batches_an_epoch))
        self.compile_seconds = 0.0
        self._sharding = batch_sharding(self.mesh)
        rows = math.prod(self.mesh.shape[axis] for axis in ROWS)
        self._shape = (1, rows * math.ceil(settings.batch_size / rows))
        self._compiled = make_steps(self.objective, recipe_of(settings, self.steps), self.mesh, with_norms=False)
        self._programs: dict[int, jax.stages.Compiled] = {}
        self._predictors: dict[tuple[int, ...], jax.stages.Compiled] = {}
        self._draw = jax.jit(self.objective.model.init)
        self.params: Parameters

    def epochs(self, seed: int, *, predict_each: bool = True) -> Iterator[Epoch]:
        """Trains from the beginning with a seed, 0 to 2**32 - 1; yields each epoch when it is over, the last may be a part of one.

        - `predict_each`: False predicts after the last epoch only.

        The seed decides the new head, the order of the rows and what dropout drops. Raises WorkError where the loss is not finite.
        """
        with jax.set_mesh(self.mesh):
            state = self._first_state(seed)
        count = math.ceil(self.steps / self.batches_an_epoch)
        for number in range(count):
            with jax.set_mesh(self.mesh):
                state, epoch = self._epoch(state, seed, number, predict_each or number == count - 1)
            self.params = state["params"]
            yield epoch

    def _epoch(self, state: State, seed: int, number: int, predicts: bool) -> tuple[State, Epoch]:
        train, settings = self.splits[TRAIN], self.settings
        plan = training_plan(train.lengths, settings.batch_size, self.longest, seed=seed, epoch=number)
        plan = plan[: self.steps - number * self.batches_an_epoch]
        compiled_before = self.compile_seconds
        for length in sorted({batch.length for batch in plan}):
            self._compile(length)
        began, losses, after = time.perf_counter(), [], state
        with Prefetched(lambda step: self._batch(train, plan[step]), 0, len(plan)) as batches:
            for _, trained, metrics in fit(lambda step: self._programs[plan[step].length], state, batches):
                after = trained
                losses.append({name: metrics[name] for name in ("sums", "rejected")})
        found = jax.device_get(losses)
        seconds = time.perf_counter() - began
        if rejected := int(sum(each["rejected"] for each in found)):
            raise WorkError(
                f"seed {seed}, epoch {number + 1}: loss or gradient of {rejected} of {len(plan)} steps is not finite; set a lower "
                "learning_rate"
            )
        sums = jax.tree.map(lambda *each: np.sum(each, dtype=np.float64), *(each["sums"] for each in found))
        metrics = self.objective.metrics(sums)
        began, compiled = time.perf_counter(), self.compile_seconds
        predicted = {split: rows for split, rows in self.splits.items() if split != TRAIN} if predicts else {}
        predictions = {split: self.predict(after["params"], rows) for split, rows in predicted.items()}
        predicting = time.perf_counter() - began - (self.compile_seconds - compiled)
        return after, Epoch(
            number + 1,
            len(plan),
            float(metrics["loss"]),
            float(metrics["accuracy"]),
            seconds,
            self.compile_seconds - compiled_before,
            predicting,
            predictions,
        )

    def predict(self, params: Parameters, rows: LabelledRows) -> list[np.ndarray]:
        """What a model with these parameters says of each row (`Epoch.predictions`)."""
        plan = prediction_plan(rows.lengths, self.settings.batch_size, self.longest)
        found: list[np.ndarray] = [np.empty(0)] * len(rows)
        with jax.set_mesh(self.mesh), Prefetched(lambda step: self._batch(rows, plan[step]), 0, len(plan)) as batches:
            for step, batch in batches:
                said = np.asarray(self._predictor(batch)(params, batch))
                for place, row in enumerate(plan[step].rows):
                    count = len((rows.labels if self.head.kind == "dependencies" else rows.tokens)[row])
                    found[row] = said[place] if self.head.kind in ("classifier", "slots") else said[place, :count]
        return found

    def tuned(self, params: Parameters | None = None) -> Subject:
        """The fine-tuned model, with these parameters (numpy arrays) or those of the last epoch, which every process must gather then."""
        params, rules = everywhere(self.params) if params is None else params, self.objective.model_rules()
        return Subject(
            self.subject.family,
            self.subject.fine_tuning_config,
            frozenset({self.head.kind}),
            to_hugging_face(params, rules, self.subject.vocab_size),
            self.subject.tokenizer,
            self.subject.origin,
            self.subject.licences,
            self.subject.token_types,
            task=self.head,
        )

    def start(self, seed: int) -> Parameters:
        """The parameters at step 0, float32 numpy arrays: those of the trained encoder, and what it lacks as the seed draws it.

        What the encoder's module has of the head is trained, too: BERT's pooler. Another task's last map is left behind.
        """
        rules, size, given = self.objective.model_rules(), self.subject.vocab_size, self.subject.tensors
        drawn = jax.device_get(self._draw(jax.random.key(seed)))
        module, own = rules[0].hugging_face.partition(".")[0], to_hugging_face(drawn, rules, size)
        own |= {name: given[name] for name in own if name.startswith(f"{module}.") and name in given}
        return from_hugging_face(own, drawn, rules, size)

    def _first_state(self, seed: int) -> State:
        """The state at step 0. Steps are counted from a place that the seed decides, for dropout is of their number."""
        abstract = self._compiled.abstract_state
        state = self._compiled.init_from(placed(self.start(seed), abstract["params"]))
        first = np.random.SeedSequence(seed).generate_state(1)[0] >> 2  # int32 has room for all steps above it
        return {**state, "step": placed(np.array(first, np.int32), abstract["step"])}

    def _batch(self, rows: LabelledRows, planned: PlannedBatch) -> Batch:
        """The rows of this process on its devices; what fills up the batch has no tokens and no weight."""
        own = local_rows(self._shape, self._sharding)
        labels, by_token = rows.labels[0], self.head.kind in ("tags", "dependencies")
        shape = (self._width(rows, planned.length), *labels.shape[1:]) if by_token else labels.shape
        numbers = [planned.rows[place] if place < len(planned.rows) else None for place in own]
        fields = padded(rows, numbers, planned.length, self.subject.tokenizer.special.pad)
        fields["labels"] = np.full((len(own), *shape), -1 if by_token else 0, labels.dtype)
        for place, row in enumerate(numbers):
            if row is not None and by_token:
                fields["labels"][place, : len(rows.labels[row])] = rows.labels[row]
            elif row is not None:
                fields["labels"][place] = rows.labels[row]
        return place_rows(fields, own, self._shape, self._sharding)

    def _width(self, rows: LabelledRows, length: int) -> int:
        """Places for the labels of rows in batches of a length: the tokens, or as many eojeols as any sentence of that length has."""
        if self.head.kind != "dependencies":
            return length
        return min(length, EOJEOLS * max(1, math.ceil(rows.most_labels(length) / EOJEOLS)))

    def _compile(self, length: int) -> None:
        if length not in self._programs:
            began = time.perf_counter()
            rows = self.splits[TRAIN]
            batch = self._batch(rows, PlannedBatch(np.empty(0, np.int64), length))
            self._programs[length] = compile_train_step(self._compiled, batch)
            self.compile_seconds += time.perf_counter() - began

    def _predictor(self, batch: Batch) -> jax.stages.Compiled:
        shape = (*batch["tokens"].shape, *batch["labels"].shape)
        if shape not in self._predictors:
            began = time.perf_counter()
            shardings = jax.tree.map(lambda leaf: leaf.sharding, self._compiled.abstract_state["params"])
            predict = jax.jit(
                functools.partial(predictions, objective=self.objective),
                in_shardings=(shardings, self._sharding),
                out_shardings=replicated(self.mesh),
            )
            self._predictors[shape] = predict.lower(self._compiled.abstract_state["params"], batch).compile()
            self.compile_seconds += time.perf_counter() - began
        return self._predictors[shape]


def predictions(params: Parameters, batch: Batch, *, objective: FineTuning) -> jax.Array:
    """What the model says of the rows [1, B, ...] of a batch: float32 scores, int32 tags [B, L], int32 heads and
    relations of eojeols [B, W, 2], or int32 gates and tokens of slots [B, J, 1 + STEPS]."""
    prepared = jax.tree.map(lambda array: array[0], objective.prepare(batch, None))
    if objective.kind == "dependencies":
        chosen = [jnp.argmax(scores, -1) for scores in objective.tree_logits(params, prepared)]
        return jnp.stack(chosen, -1).astype(jnp.int32)
    if objective.kind == "slots":
        found = objective.generated(params, prepared)
        return jnp.concatenate([jnp.argmax(found.gates, -1)[..., None].astype(jnp.int32), found.tokens], -1)
    scores = objective.logits(params, prepared)
    return jnp.argmax(scores, -1).astype(jnp.int32) if objective.kind == "tags" else scores


def recipe_of(settings: Settings, steps: int) -> TrainingRecipe:
    """What the training step reads of a recipe: the optimizer and its steps."""
    constant = settings.schedule == "constant"
    optimizer = Optimizer(
        learning_rate=settings.learning_rate,
        warmup_steps=min(int(settings.warmup_share * steps), steps - 1),
        schedule="linear" if settings.schedule == "constant" else settings.schedule,
        final_share=1.0 if constant else 0.0,
        weight_decay=settings.weight_decay,
        epsilon=settings.adam_eps,
        clip_norm=settings.clip,
    )
    return TrainingRecipe(optimizer=optimizer, max_steps=steps)
