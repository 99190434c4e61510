"""Our side of benchmarks.train_step: the compiled step fed from records, as `pretrain.train` runs it, and its parts."""

import os
import shutil
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.train_step.floor import products, seconds_per_step
from benchmarks.train_step.rounds import DROPOUTS, Setting, Turns, dropouts
from data_pipeline.contract.records import Records
from data_pipeline.contract.run_folder import RunFolder
from pretrain.devices.available import use_compilation_cache
from pretrain.devices.host_memory import keep_freed_memory
from pretrain.devices.sharding import batch_sharding, make_mesh
from pretrain.hugging_face.folder import write_folder
from pretrain.hugging_face.weights import to_hugging_face
from pretrain.input.batches import EvaluationBatches, Prefetched, TrainingBatches
from pretrain.job import objective_of
from pretrain.models.bert.family import FAMILY
from pretrain.models.core.layers import Parameters
from pretrain.models.protocols import Inputs
from pretrain.monitoring.steps.window import Window
from pretrain.objectives.losses import gather_positions, masked_lm_sums, sum_of_losses
from pretrain.objectives.masked_lm.objective import MaskedLanguageModelling
from pretrain.objectives.protocols import Prepared
from pretrain.optimization.optimizer import make_optimizer
from pretrain.optimization.step import compile_train_step, make_steps

PROOF_ROWS = 4
"""Held-out rows whose logits are compared."""
REPEATS = 5
"""Calls of which a part's time is the median."""


class Ours:
    """Mesh, objective, compiled step, state and batches, made as `pretrain.train` makes them."""

    def __init__(self, setting: Setting) -> None:
        recipe = setting.recipe
        keep_freed_memory()
        use_compilation_cache()
        self.mesh = make_mesh(recipe.mesh, jax.devices()[:1])
        self.run_folder = RunFolder(setting.folder)
        records = Records(self.run_folder.examples, "train")
        self.header = records.header
        self.recipe = recipe
        self.objective = cast(MaskedLanguageModelling, objective_of(recipe, self.header))
        self.optimizer = make_optimizer(recipe, self.objective.rules())
        with jax.set_mesh(self.mesh):
            self.steps = make_steps(self.objective, recipe, self.mesh)
            self.state = self.steps.init()
            rows = batch_sharding(self.mesh)
            self.batches = TrainingBatches(
                records,
                seed=recipe.seed,
                global_batch_size=recipe.global_batch_size,
                accumulation=recipe.accumulation,
                sharding=rows,
            )
            held_out = EvaluationBatches(
                Records(self.run_folder.examples, "evaluation"),
                rows=recipe.global_batch_size,
                microbatch=recipe.global_batch_size,
                sharding=rows,
            )
            self.held_out = held_out(0)
            self.compiled = compile_train_step(self.steps, self.batches(0))
        self.done = 0
        self.waited = 0.0

    def train(self, steps: int) -> None:
        """Takes steps as the training loop does; the batches are made while they are taken, none before."""
        stop = self.done + steps
        window = Window(self.done)
        with (
            jax.set_mesh(self.mesh),
            Prefetched(self.batches, self.done, stop) as prefetched,
            jax.transfer_guard("disallow"),
        ):
            for _, batch in prefetched:
                self.state, metrics = self.compiled(self.state, batch)
                window.add(metrics)
            window.settle()
        self.waited, self.done = self.waited + prefetched.waited, stop

    def held_out_loss(self) -> float:
        """Nats a prediction on the held-out batch."""
        with jax.set_mesh(self.mesh):
            sums = self.steps.evaluate(self.state["params"], self.held_out)
        return float(self.objective.metrics(sums)["loss"])

    def encode(self, params: Parameters, masked: Prepared) -> jax.Array:
        """The last hidden states [B, L, H] of a masked microbatch, without dropout."""
        fields = ("inputs", "segments", "position_ids", "token_type_ids")
        return self.objective.model.encode(params, Inputs(*(masked[name] for name in fields)))

    def logits(self, params: Parameters, hidden: jax.Array, masked: Prepared) -> jax.Array:
        """Scores of the vocabulary, float32 [B, K, V], at the masked positions."""
        return self.objective.model.vocabulary_logits(params, gather_positions(hidden, masked["positions"]))

    def write_start(self, setting: Setting) -> None:
        """Writes the parameters as a Hugging Face folder, and a masked held-out batch with the logits of its first rows."""
        shutil.rmtree(setting.start, ignore_errors=True)
        shutil.copytree(self.run_folder.vocabulary, setting.start)
        header, model = self.header, self.objective.model
        tensors = to_hugging_face(self.state["params"], self.objective.rules(), header.vocabulary_size)
        configuration = FAMILY.config_to_json(model.config, header.vocabulary_size, header.special_ids, model.heads)
        # An export names the dropouts of fine-tuning; the peers train with those that they read.
        configuration |= dict(zip(DROPOUTS, dropouts(model.config), strict=True))
        write_folder(setting.start, tensors, configuration)
        masked = jax.tree.map(lambda array: array[0], self.objective.prepare(self.held_out, None))
        first = jax.tree.map(lambda array: array[:PROOF_ROWS], masked)
        with jax.default_matmul_precision("highest"):
            hidden = self.encode(self.state["params"], first)
            logits = self.logits(self.state["params"], hidden, first)
        np.savez(setting.held_out, logits=logits[..., : header.vocabulary_size], **masked)


def train_ours(turns: Turns, setting: Setting) -> None:
    """The row `ours`: rounds of real training, then the step's parts one by one."""
    ours = _train(turns, setting)
    wait = ours.waited / ours.done
    turns.tell({"loss": ours.held_out_loss(), "wait": wait, "parts": parts(ours), "products": product_seconds(ours)})


def train_ours_on_gpu(turns: Turns, setting: Setting) -> None:
    """The row `ours` of a GPU: rounds of real training, and the most memory that they took."""
    ours = _train(turns, setting)
    memory = jax.devices()[0].memory_stats() or {}
    turns.tell(
        {
            "loss": ours.held_out_loss(),
            "wait": ours.waited / ours.done,
            "memory": memory.get("peak_bytes_in_use"),
            "device": jax.devices()[0].device_kind,
        }
    )


def _train(turns: Turns, setting: Setting) -> Ours:
    ours = Ours(setting)
    ours.write_start(setting)
    turns.tell(
        {
            "loss": ours.held_out_loss(),
            "parameters": sum(tensor.size for tensor in jax.tree.leaves(ours.state["params"])),
            "dropouts": dropouts(ours.objective.model.config),
            "threads": len(os.sched_getaffinity(0)),
        }
    )
    for _ in turns:
        ours.train(setting.steps)
    return ours


def parts(ours: Ours) -> dict[str, float]:
    """Seconds of the whole step, of its parts jitted alone, and of the host's work on a batch.

    `forward` is the loss with dropout, `forward and backward` its gradient; `without dropout` the same gradient without it,
    `head` the gradient of the head alone, from the hidden states to the loss.
    """
    objective, optimizer = ours.objective, ours.optimizer
    params, step = ours.state["params"], ours.state["step"]
    batch = ours.batches(ours.done)

    def loss(params: Parameters, masked: Prepared, key: jax.Array | None) -> jax.Array:
        return sum_of_losses(objective.loss_sums(params, masked, key), objective.totals(masked), objective.weights)

    def head_loss(params: Parameters, hidden: jax.Array, masked: Prepared) -> jax.Array:
        logits = ours.logits(params, hidden, masked)
        return masked_lm_sums(logits, masked["labels"], masked["weights"])["loss_sum"]

    def update(state: dict[str, Any], gradients: Parameters) -> dict[str, Any]:
        updates, optimizer_state = optimizer.update(gradients, state["optimizer"], state["params"])
        return {"params": optax.apply_updates(state["params"], updates), "optimizer": optimizer_state}

    mask = jax.jit(objective.prepare)
    masked = jax.tree.map(lambda array: array[0], mask(batch, step))
    key = objective.keys.dropout(step, jnp.arange(ours.recipe.global_batch_size, dtype=jnp.int32))
    forward, gradient = jax.jit(loss), jax.jit(jax.grad(loss))
    gradient_of_head = jax.jit(jax.grad(head_loss, argnums=(0, 1)))
    hidden, gradients = jax.jit(ours.encode)(params, masked), gradient(params, masked, key)
    with jax.set_mesh(ours.mesh):
        # The step and the optimizer take the state that they are given, as in training, so each call gets the last one's.
        jitted = jax.jit(update, donate_argnums=0)
        state = {name: value for name, value in ours.steps.init().items() if name != "step"}

        def optimize() -> Any:
            nonlocal state
            state = jitted(state, gradients)
            return state

        # A copy, for the whole step takes its state.
        params = jax.tree.map(jnp.copy, params)
        head = {"bert": {"embeddings": params["bert"]["embeddings"]}, "cls": params["cls"]}

        def whole() -> Any:
            ours.state, metrics = ours.compiled(ours.state, batch)
            return metrics, ours.state

        return _seconds(
            {
                "batch": lambda: ours.batches(ours.done),
                "masking": lambda: mask(batch, step),
                "forward": lambda: forward(params, masked, key),
                "forward and backward": lambda: gradient(params, masked, key),
                "without dropout": lambda: gradient(params, masked, None),
                "head": lambda: gradient_of_head(head, hidden, masked),
                "optimizer": optimize,
                "step": whole,
            }
        )


def product_seconds(ours: Ours) -> dict[str, float]:
    """Seconds a step of each of its matrix products, by jnp."""
    multiply = jax.jit(
        lambda a, b, swap_a, swap_b: jnp.matmul(a.mT if swap_a else a, b.mT if swap_b else b), static_argnums=(2, 3)
    )
    listed = products(ours.recipe, ours.header.vocabulary_size, ours.header.length, ours.objective.predictions)
    return seconds_per_step(listed, jnp.asarray, lambda *call: jax.block_until_ready(multiply(*call)))


def _seconds(calls: Mapping[str, Callable[[], Any]]) -> dict[str, float]:
    """Medians of calls that take turns, after one of each: what the machine does meanwhile meets all of them."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(REPEATS + 1):
        for name, call in calls.items():
            began = time.perf_counter()
            jax.block_until_ready(call())
            if number:
                times[name].append(time.perf_counter() - began)
    return {name: statistics.median(measured) for name, measured in times.items()}
