"""The training loop: records -> checkpoints and metrics. Run it again after anything, and it goes on."""

import contextlib
import dataclasses
import logging
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils

from data_pipeline.contract.errors import WorkError
from data_pipeline.contract.recipe_file import plain
from data_pipeline.contract.records import Records
from data_pipeline.contract.run_folder import RunFolder
from data_pipeline.contract.storage import write_json
from data_pipeline.contract.tokenizer import refuse_other_tokenizer
from pretrain.batches import EvaluationBatches, Prefetched, TrainingBatches
from pretrain.checkpoints import Checkpoints, Facts, refuse_other_run
from pretrain.devices import use_compilation_cache
from pretrain.host_memory import keep_freed_memory
from pretrain.metrics import MetricsWriter, Window, console_line, model_flops_utilisation, peak_tflops
from pretrain.models.bert.model import SHARDING_RULES
from pretrain.models.layers import Parameters
from pretrain.objectives.bert_pretraining import make_objective
from pretrain.optimizer import learning_rate, make_optimizer
from pretrain.recipe import TrainingRecipe
from pretrain.recipe_checks import check, check_sizes
from pretrain.sharding import batch_sharding, make_mesh
from pretrain.step import CompiledSteps, loss_metrics, make_steps

log = logging.getLogger(__name__)
RECIPE_FILE = "training_recipe.json"


def train(run_folder: RunFolder, recipe_name: str, recipe: TrainingRecipe) -> None:
    """Trains until stop_at_step or max_steps, from the newest valid checkpoint or from the start.

    - `run_folder`: holds finished records; gets checkpoints, metrics and the manifest's section `train`.
    - `recipe_name`: what the manifest calls the recipe.

    Raises InputError where recipe, records, devices and an earlier part of this run do not go together; WorkError where
    the loss is not a number, a checkpoint cannot be written, none is valid, or SIGTERM came (after saving).
    """
    check(recipe)
    mesh = make_mesh(recipe.mesh)
    lock = run_folder.locked() if jax.process_index() == 0 else contextlib.nullcontext()
    with lock, sigterm_noticed() as terminated, jax.set_mesh(mesh):
        _train(run_folder, recipe_name, recipe, mesh, terminated)


def _train(
    run_folder: RunFolder,
    recipe_name: str,
    recipe: TrainingRecipe,
    mesh: jax.sharding.Mesh,
    terminated: threading.Event,
) -> None:
    began = time.perf_counter()
    first_process = jax.process_index() == 0

    # ---- Machine
    kind = mesh.devices.flat[0].device_kind
    peak = recipe.peak_tflops_per_device or peak_tflops(kind)
    if mesh.devices.flat[0].platform == "cpu":
        keep_freed_memory()
    stop = check_sizes(recipe, mesh)

    # ---- Records and model
    records = Records(run_folder.examples, "train")
    header = records.header
    refuse_other_tokenizer(run_folder.vocabulary, header.tokenizer_sha256)
    objective = make_objective(recipe, header)
    recipe = dataclasses.replace(recipe, model=dataclasses.replace(recipe.model, vocab_size=header.vocabulary_size))
    schedule = learning_rate(recipe)
    parameters = recipe.model.parameter_count(header.vocabulary_size, pooler=objective.model.next_sentence)
    flops_per_token = recipe.model.flops_per_token(header.vocabulary_size, header.length, objective.max_predictions)

    # ---- Resume: what was done, or that all is done
    checkpoints = Checkpoints(run_folder.checkpoints, recipe.checkpoints.keep)
    found = checkpoints.newest_valid()
    nothing: Facts = {"tokens_seen": 0, "parts": [], "metrics": {}}
    start, saved = found or (0, nothing)
    if found:
        refuse_other_run(saved, recipe, header.fingerprint)
    if start >= stop:
        # Killed between its last checkpoint and its last line
        if run_folder.manifest().get("train", {}).get("step") != start:
            record(run_folder, recipe_name, saved)
        log.info("%s: complete: step %d of %d is done; nothing to train", run_folder.path, start, stop)
        return

    # ---- State
    use_compilation_cache()
    steps = make_steps(objective, make_optimizer(recipe), SHARDING_RULES, mesh)
    state = checkpoints.restore(start, steps.abstract_state) if found else steps.init()
    shape = dict(mesh.shape)
    log.info("%d x %s as %s; %s parameters; steps %d to %d", mesh.size, kind, shape, f"{parameters:,}", start, stop)
    if found and (saved["mesh"], saved["recipe"]["accumulation"]) != (shape, recipe.accumulation):
        log.warning("%s", what_another_topology_means(recipe, saved, shape))

    # ---- Batches
    rows = batch_sharding(mesh)
    batches = TrainingBatches(
        records,
        seed=recipe.seed,
        global_batch_size=recipe.global_batch_size,
        accumulation=recipe.accumulation,
        sharding=rows,
    )
    held_out = None
    if header.rows.get("evaluation") and recipe.evaluation.rows > 0:
        microbatch = recipe.global_batch_size // recipe.accumulation
        held_out = EvaluationBatches(
            Records(run_folder.examples, "evaluation"),
            rows=recipe.evaluation.rows,
            microbatch=microbatch,
            sharding=rows,
        )
    else:
        log.warning("%s: no held-out records are used: this run has no evaluation loss", run_folder.examples)

    # ---- Compile
    compiling = time.perf_counter()
    train_step = steps.train.lower(steps.abstract_state, batches(start)).compile()
    log.info("compiled in %.0f s", time.perf_counter() - compiling)

    def facts(done: int) -> Facts:
        part = {"device_kind": kind, "devices": mesh.size, "start_step": start, "stop_step": done}
        return {
            "recipe": plain(recipe),
            "records_fingerprint": header.fingerprint,
            "mesh": shape,
            "parameters": parameters,
            "rows_seen": done * recipe.global_batch_size,
            "tokens_seen": tokens_seen + int(window.tokens),
            "parts": [*saved["parts"], {**part, "seconds": time.perf_counter() - began}],
            "metrics": last,
        }

    # ---- Loop
    writer = MetricsWriter(run_folder.metrics, start) if first_process else None
    if first_process:
        write_json(run_folder.path / RECIPE_FILE, plain(recipe))
    window, last, tokens_seen, last_save = Window(start), saved["metrics"], saved["tokens_seen"], time.perf_counter()
    with checkpoints, Prefetched(batches, start, stop) as prefetched, jax.transfer_guard("disallow"):
        for step, batch in prefetched:
            state, metrics = train_step(state, batch)
            window.add(metrics)
            done = step + 1

            log_now = done % recipe.log_every_steps == 0 or done == stop
            minutes = recipe.checkpoints.every_minutes
            minutes_over = minutes > 0 and time.perf_counter() - last_save > 60 * minutes
            stopping, minutes_over = agreed(terminated.is_set(), minutes_over, ask=log_now)
            evaluate_now = held_out is not None and due(done, recipe.evaluation.every_steps, stop) and not stopping
            save_now = due(done, recipe.checkpoints.every_steps, stop) or minutes_over or stopping
            if not (log_now or evaluate_now or save_now):
                continue
            checkpoints.raise_failure()

            # ---- Metrics
            latest = window.settle()
            last = {**last, **latest}
            if log_now:
                seconds = window.seconds
                with jax.transfer_guard("allow"):
                    rate = float(schedule(step))
                values: dict[str, float | None] = {
                    **latest,
                    "learning_rate": rate,
                    "tokens_per_second": window.tokens / seconds,
                    "mfu": model_flops_utilisation(flops_per_token * window.tokens / seconds, peak, mesh.size),
                    "data_wait": prefetched.waited / seconds,
                }
                if writer:
                    writer.write(done, values)
                    left = (stop - done) * seconds / (done - window.first)
                    log.info("%s", console_line(done, stop, values, peak, mesh.size, left))
                tokens_seen += int(window.tokens)
                window, prefetched.waited = Window(done), 0.0

            # ---- Evaluation, before the checkpoint: a run resumed from it has nothing to catch up on
            with window.paused():
                if evaluate_now and held_out is not None:
                    scores = evaluate(steps, state["params"], held_out)
                    last = {**last, **scores}
                    log.info("step %d: %s", done, ", ".join(f"{name} {value:.4f}" for name, value in scores.items()))
                    if writer:
                        writer.write(done, {**scores})

                # ---- Checkpoint
                if save_now:
                    saved_now = facts(done)
                    with jax.transfer_guard("allow"):
                        checkpoints.save(done, state, saved_now)
                    last_save = time.perf_counter()
            if stopping:
                break

    # ---- End
    if writer:
        writer.close()
    record(run_folder, recipe_name, {"step": done, **saved_now})
    if done < stop:
        raise WorkError(f"stopped by SIGTERM at step {done}, which is saved: run again to go on to step {stop}")
    log.info("%s: step %d of %d is done", run_folder.path, done, stop)


def due(done: int, every: int, stop: int) -> bool:
    """Whether something that happens every so many steps (0: never) and at the end happens after `done` steps."""
    return done == stop or (every > 0 and done % every == 0)


def agreed(stopping: bool, minutes_over: bool, *, ask: bool) -> tuple[bool, bool]:
    """What all processes do about a signal or a clock that only some have noticed; several processes ask at log steps only."""
    if jax.process_count() == 1:
        return stopping, minutes_over
    if not ask:
        return False, False
    with jax.transfer_guard("allow"):
        wishes = multihost_utils.process_allgather(np.array([stopping, minutes_over]))
    return bool(wishes[:, 0].any()), bool(wishes[:, 1].any())


def evaluate(steps: CompiledSteps, params: Parameters, batches: EvaluationBatches) -> dict[str, float]:
    """`evaluation_loss`, `evaluation_masked_accuracy` and so on over all held-out batches."""
    sums = steps.evaluate(params, batches(0))
    for index in range(1, len(batches)):
        sums = jax.tree.map(jnp.add, sums, steps.evaluate(params, batches(index)))
    scores = jax.device_get(jax.jit(loss_metrics)(sums))
    return {f"evaluation_{name}": float(value) for name, value in scores.items()}


def record(run_folder: RunFolder, recipe_name: str, facts: Facts) -> None:
    """Writes the manifest's section `train` from the facts of the last checkpoint: what the model card tells."""
    if jax.process_index() == 0:
        section = {
            "recipe": recipe_name,
            "training_recipe": facts["recipe"],
            "records_fingerprint": facts["records_fingerprint"],
            "parameters": facts["parameters"],
            "step": facts["step"],
            "rows_seen": facts["rows_seen"],
            "tokens_seen": facts["tokens_seen"],
            "seconds": sum(part["seconds"] for part in facts["parts"]),
            "parts": facts["parts"],
            "metrics": facts["metrics"],
        }
        run_folder.record("train", section)


def what_another_topology_means(recipe: TrainingRecipe, saved: Facts, shape: dict[str, int]) -> str:
    """A sentence on how near the run stays to the one that it goes on from."""
    before = f"mesh {saved['mesh']} with accumulation {saved['recipe']['accumulation']}"
    changed = f"resumed from {before} on mesh {shape} with accumulation {recipe.accumulation}"
    dropout = recipe.model.hidden_dropout_prob or recipe.model.attention_probs_dropout_prob
    if dropout and (recipe.dropout_rng == "rbg" or saved["recipe"]["accumulation"] != recipe.accumulation):
        return f"{changed}: dropout draws other bits from here on, so losses agree statistically only"
    return f"{changed}: losses agree with those of the old mesh within rounding"


@contextlib.contextmanager
def sigterm_noticed() -> Iterator[threading.Event]:
    """Turns SIGTERM (a preempted machine, a scheduler) into an event while the block runs; outside the main thread nothing changes."""
    noticed = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield noticed
        return
    before: Any = signal.signal(signal.SIGTERM, lambda *_: noticed.set())
    try:
        yield noticed
    finally:
        signal.signal(signal.SIGTERM, before)
