"""The training loop: records -> checkpoints and metrics. Run it again after anything, and it goes on."""

import contextlib
import dataclasses
import logging
import math
import time
from pathlib import Path

import jax
import jax.numpy as jnp

from data_pipeline.contract.errors import UnfinishedError
from data_pipeline.contract.recipe_file import plain
from data_pipeline.contract.records import row_fields
from data_pipeline.contract.run_folder import RunFolder
from data_pipeline.contract.storage import write_json
from data_pipeline.contract.tokenizer import Tokenizer, refuse_other_tokenizer
from pretrain.checkpoints.facts import RECIPE_FILE, accumulations, record, what_another_topology_means
from pretrain.checkpoints.resume import refuse_other_run
from pretrain.checkpoints.store import CheckpointStore
from pretrain.checkpoints.verify import Facts
from pretrain.devices.available import use_compilation_cache
from pretrain.devices.broadcast import placed
from pretrain.devices.host_memory import keep_freed_memory
from pretrain.devices.peaks import model_flops_utilisation, peak_tflops
from pretrain.devices.preemption import Notice, any_process
from pretrain.devices.sharding import batch_sharding, make_mesh
from pretrain.input.batches import EvaluationBatches, Prefetched, abstract_batch
from pretrain.input.phases import PhaseData, Phases
from pretrain.models.core.layers import Parameters
from pretrain.monitoring.console import console_line
from pretrain.monitoring.curves.reference import reference_of
from pretrain.monitoring.data_wait import DataWait
from pretrain.monitoring.goodput import Goodput
from pretrain.monitoring.metrics import MetricsWriter, Window
from pretrain.monitoring.predictions import PredictionSample
from pretrain.monitoring.profiling import Profile
from pretrain.monitoring.progress import StepBar
from pretrain.monitoring.rejected import RejectedUpdates
from pretrain.monitoring.tensorboard import preformatted
from pretrain.monitoring.weights_and_biases import WandbRun
from pretrain.objectives.masked_lm.objective import make_objective
from pretrain.optimization.learning_rate import learning_rate
from pretrain.optimization.step import CompiledSteps, compile_train_step, loss_metrics, make_steps
from pretrain.recipe import TrainingRecipe
from pretrain.recipe_checks import check, check_sizes
from pretrain.start import starting_parameters

log = logging.getLogger(__name__)


def train(run_folder: RunFolder, recipe_name: str, recipe: TrainingRecipe, profile: range = range(0)) -> None:
    """Trains until stop_at_step or max_steps, from the newest valid checkpoint or from the start.

    - `run_folder`: holds finished records; gets checkpoints, metrics and the manifest's section `train`.
    - `recipe_name`: what the manifest calls the recipe.
    - `profile`: steps to trace, counted from 1.

    Raises InputError where recipe, records, devices and an earlier part of this run do not go together; WorkError where
    too many updates are rejected, a checkpoint cannot be written or none is valid; UnfinishedError, after saving, where SIGTERM
    came or stop_after_minutes are over.
    """
    check(recipe)
    mesh = make_mesh(recipe.mesh)
    lock = run_folder.locked() if jax.process_index() == 0 else contextlib.nullcontext()
    with lock, Notice() as notice, jax.set_mesh(mesh):
        _train(run_folder, recipe_name, recipe, profile, mesh, notice)


def _train(
    run_folder: RunFolder,
    recipe_name: str,
    recipe: TrainingRecipe,
    profile: range,
    mesh: jax.sharding.Mesh,
    notice: Notice,
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
    rows = batch_sharding(mesh)
    phases = Phases(run_folder.examples, recipe, rows)
    header = phases.all[-1].header
    refuse_other_tokenizer(run_folder.vocabulary, header.tokenizer_sha256)
    for phase in phases.all:  # all now: a length that does not fit must not be found hours into the run
        objective = make_objective(recipe, phase.header)
    recipe = dataclasses.replace(recipe, model=dataclasses.replace(recipe.model, vocab_size=header.vocabulary_size))
    schedule = learning_rate(recipe)
    parameters = recipe.model.parameter_count(header.vocabulary_size, objective.model.heads)

    # ---- Resume: what was done, or that all is done
    checkpoints = CheckpointStore(
        run_folder.checkpoints, recipe.checkpoints.keep, recipe.checkpoints.milestone_every_steps
    )
    found = checkpoints.newest_valid()
    nothing: Facts = {"tokens_seen": 0, "parts": [], "metrics": {}}
    start, saved = found or (0, nothing)
    if found:
        refuse_other_run(saved, recipe, phases.fingerprint)
    if start >= stop:
        # Killed between its last checkpoint and its last line
        if run_folder.manifest().get("train", {}).get("step") != start:
            record(run_folder, recipe_name, saved)
        log.info("%s: complete: step %d of %d is done; nothing to train", run_folder.path, start, stop)
        return

    # ---- State
    goodput = Goodput(run_folder.metrics, start, began)
    others = wandb_runs(run_folder, recipe) if first_process else []
    use_compilation_cache()
    steps = make_steps(objective, recipe, mesh)
    if found:
        state = checkpoints.restore(start, steps.abstract_state)
    else:
        with goodput.spent_on("compile"):
            state = steps.init()
        if recipe.start_from:
            params = starting_parameters(Path(recipe.start_from), objective, run_folder.vocabulary)
            state["params"] = placed(params, steps.abstract_state["params"])
    shape = dict(mesh.shape)
    log.info("%d x %s as %s; %s parameters; steps %d to %d", mesh.size, kind, shape, f"{parameters:,}", start, stop)
    if found and (saved["mesh"], accumulations(saved["recipe"])) != (shape, accumulations(plain(recipe))):
        log.warning("%s", what_another_topology_means(recipe, saved, shape))

    if not all(phase.held_out for phase in phases.all):
        log.warning("%s: no held-out records are used: this run has no evaluation loss", run_folder.examples)
    tokenizer = Tokenizer(run_folder.vocabulary)

    # ---- Compile: for each row length when its turn comes
    def begin(phase: PhaseData) -> tuple[jax.stages.Compiled, PredictionSample | None]:
        compiling, size = time.perf_counter(), phase.stretch.recipe.global_batch_size
        with goodput.spent_on("compile"):
            batch = abstract_batch(row_fields(phase.header), size, phase.stretch.recipe.accumulation, rows)
            program = compile_train_step(steps, batch)
        seconds = time.perf_counter() - compiling
        log.info("%d rows of %d tokens a step: compiled in %.0f s", size, phase.header.length, seconds)
        held_out = phase.held_out
        return program, PredictionSample(objective, held_out(0), phase.header, tokenizer, mesh) if held_out else None

    phase = phases.at(start)
    train_step, sample = begin(phase)

    def facts(done: int) -> Facts:
        part = {"device_kind": kind, "devices": mesh.size, "start_step": start, "stop_step": done}
        return {
            "recipe": plain(recipe),
            "records_fingerprint": phases.fingerprint,
            "mesh": shape,
            "parameters": parameters,
            "rows_seen": phases.rows_before(done),
            "tokens_seen": tokens_seen + int(window.tokens),
            "parts": [*saved["parts"], {**part, "seconds": time.perf_counter() - began}],
            "metrics": last,
        }

    # ---- Loop
    writer = None
    if first_process:
        write_json(run_folder.path / RECIPE_FILE, plain(recipe))
        writer = MetricsWriter(run_folder.metrics, start, others)
        writer.write_text(start, "recipe", preformatted(plain(recipe)))
    rejected = RejectedUpdates(phases, run_folder.metrics / "rejected", recipe.max_rejected_updates)
    data_wait = DataWait(phases.spent)
    reference = reference_of(recipe_name, recipe, header, run_folder)
    window, last, tokens_seen, last_save = Window(start), saved["metrics"], saved["tokens_seen"], time.perf_counter()
    profiled, bar = Profile(run_folder.metrics, profile), StepBar(start, stop)
    with checkpoints, Prefetched(phases, start, stop) as prefetched, profiled, bar, jax.transfer_guard("disallow"):
        for step, batch in prefetched:
            if step == phase.stretch.stop:
                with window.paused(), jax.transfer_guard("allow"):
                    phase = phases.at(step)
                    train_step, sample = begin(phase)
            done, phase_stop = step + 1, min(phase.stretch.stop, stop)
            profiled.before(done)
            state, metrics = train_step(state, batch)
            window.add(metrics)
            profiled.after(done, metrics)
            bar.done(done)

            log_now = due(done, recipe.log_every_steps, phase_stop)
            save_wish = longer_ago(last_save, recipe.checkpoints.every_minutes or None)
            save_wish, out_of_time = any_process(save_wish, longer_ago(began, recipe.stop_after_minutes), ask=log_now)
            noticed = notice.stops_after(done)
            stopping = noticed or out_of_time
            evaluate_now = bool(sample) and due(done, recipe.evaluation.every_steps, phase_stop) and not stopping
            intervals = (recipe.checkpoints.every_steps, recipe.checkpoints.milestone_every_steps)
            save_now = any(due(done, every, stop) for every in intervals) or save_wish or stopping
            if not (log_now or evaluate_now or save_now):
                continue
            checkpoints.raise_failure()

            # ---- Metrics
            latest = window.settle()
            rejected.report(window.rejected)
            last = {**last, **{name: value for name, value in latest.items() if math.isfinite(value)}}
            if log_now:
                seconds, flops_per_token = window.seconds, objective.flops_per_token(phase.header.length)
                with jax.transfer_guard("allow"):
                    rate = float(schedule(step))
                values: dict[str, float | None] = {
                    **latest,
                    "learning_rate": rate,
                    "tokens_per_second": window.tokens / seconds,
                    "mfu": model_flops_utilisation(flops_per_token * window.tokens / seconds, peak, mesh.size),
                    "data_wait": prefetched.waited / seconds,
                    "seconds": seconds,
                }
                goodput.add_training(seconds, prefetched.waited)
                data_wait.look(done, prefetched.waited, seconds)
                if writer:
                    writer.write(done, values)
                    left = phases.flops(objective, done, stop) * seconds / phases.flops(objective, window.first, done)
                    log.info("%s", console_line(done, stop, values, peak, mesh.size, left))
                    reference.look(done, values)
                    goodput.write()
                    if hourly := goodput.hourly_line():
                        log.info("%s", hourly)
                tokens_seen += int(window.tokens)
                window, prefetched.waited = Window(done), 0.0

            # ---- Evaluation, before the checkpoint: a run resumed from it has nothing to catch up on
            with window.paused():
                if evaluate_now and phase.held_out and sample:
                    with goodput.spent_on("evaluation"):
                        scores = evaluate(steps, state["params"], phase.held_out)
                        shown = sample.markdown(state["params"])
                    last = {**last, **scores}
                    log.info("step %d: %s", done, ", ".join(f"{name} {value:.4f}" for name, value in scores.items()))
                    if writer:
                        writer.write(done, {**scores})
                        reference.look(done, scores)
                        writer.write_text(done, "predictions", shown)

                # ---- Checkpoint
                if save_now:
                    saved_now = facts(done)
                    with goodput.spent_on("checkpoint"), jax.transfer_guard("allow"):
                        checkpoints.save(done, state, saved_now)
                    last_save = time.perf_counter()
            if stopping:
                break
        with goodput.spent_on("checkpoint"):
            checkpoints.finish()

    # ---- End
    if writer:
        writer.close()
        goodput.write()
        log.info("%s", goodput.line())
    record(run_folder, recipe_name, {"step": done, **saved_now})
    if done < stop:
        why = "by SIGTERM" if noticed else f"after stop_after_minutes {recipe.stop_after_minutes:g}"
        raise UnfinishedError(f"stopped {why} at step {done}, which is saved: run again to go on to step {stop}")
    log.info("%s: step %d of %d is done", run_folder.path, done, stop)


def due(done: int, every: int, stop: int) -> bool:
    """Whether something that happens every so many steps (0: never) and at the end happens after `done` steps."""
    return done == stop or (every > 0 and done % every == 0)


def longer_ago(moment: float, minutes: float | None) -> bool:
    """Whether a moment of time.perf_counter is so many minutes ago; never where there is no limit."""
    return minutes is not None and time.perf_counter() - moment > 60 * minutes


def wandb_runs(run_folder: RunFolder, recipe: TrainingRecipe) -> list[WandbRun]:
    """The run at Weights & Biases, where the recipe wants one."""
    if recipe.wandb_project is None:
        return []
    return [WandbRun(recipe.wandb_project, run_folder.metrics, run_folder.path.resolve().name, plain(recipe))]


def evaluate(steps: CompiledSteps, params: Parameters, batches: EvaluationBatches) -> dict[str, float]:
    """`evaluation_loss`, `evaluation_masked_accuracy` and so on over all held-out batches."""
    sums = steps.evaluate(params, batches(0))
    for index in range(1, len(batches)):
        sums = jax.tree.map(jnp.add, sums, steps.evaluate(params, batches(index)))
    scores = jax.device_get(jax.jit(loss_metrics)(sums))
    return {f"evaluation_{name}": float(value) for name, value in scores.items()}
