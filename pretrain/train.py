"""Pretraining: records to checkpoints and metrics. Rerun after any interruption; training resumes."""

import contextlib
import logging
import time

import jax

from data_pipeline.contract.errors import UnfinishedError
from data_pipeline.contract.run_folder import RunFolder
from data_pipeline.contract.storage import write_json
from data_pipeline.contract.tokenizer import Tokenizer, refuse_other_tokenizer
from pretrain.agenda import Agenda
from pretrain.checkpoints.facts import (
    NOTHING,
    RECIPE_FILE,
    Account,
    another_topology,
    has_running_mean,
    other_software,
    record,
)
from pretrain.checkpoints.resume import refuse_other_run
from pretrain.checkpoints.rewind import go_back
from pretrain.checkpoints.store import CheckpointStore
from pretrain.checkpoints.verify import Facts, committed_step
from pretrain.devices.available import bfloat16_warning, use_compilation_cache
from pretrain.devices.broadcast import placed
from pretrain.devices.host_memory import keep_freed_memory
from pretrain.devices.preemption import Notice
from pretrain.devices.sharding import batch_sharding, make_mesh
from pretrain.evaluate.probes.prober import Prober
from pretrain.input.batches import Prefetched
from pretrain.input.phases import Phases
from pretrain.input.schedule import objective_in_words
from pretrain.job import Job, make_job
from pretrain.loop import Programs, fit
from pretrain.monitoring.goodput import Goodput
from pretrain.monitoring.profiling import Profile
from pretrain.monitoring.progress import StepBar
from pretrain.monitoring.reporter import Reporter
from pretrain.monitoring.weights_and_biases import wandb_runs
from pretrain.optimization.learning_rate import learning_rate
from pretrain.optimization.spikes import as_saved, as_wanted
from pretrain.optimization.step import CompiledSteps, State
from pretrain.recipe import TrainingRecipe
from pretrain.recipe_checks import check, check_sizes
from pretrain.recipe_upgrade import plain_recipe
from pretrain.start.parameters import starting_parameters
from pretrain.start.places import with_sizes_of_run, with_sizes_of_start

log = logging.getLogger("pretrain")


def train(run_folder: RunFolder, recipe_name: str, recipe: TrainingRecipe, profile: range = range(0)) -> None:
    """Trains until stop_at_step or max_steps, from the newest valid checkpoint or from the start.

    - `run_folder`: holds finished records; gets checkpoints, metrics and the manifest's section `train`.
    - `recipe_name`: what the manifest calls the recipe.
    - `profile`: steps to trace, counted from 1.

    Raises InputError where recipe, records, devices and an earlier part of this run do not go together; WorkError where
    too many updates are rejected or too many spikes met, a checkpoint cannot be written or none is valid; UnfinishedError, after
    saving, where SIGTERM, Ctrl-C or SIGHUP came or stop_after_minutes are over.
    """
    check(recipe)
    began = time.perf_counter()
    mesh = make_mesh(recipe.mesh)
    lock = run_folder.locked() if jax.process_index() == 0 else contextlib.nullcontext()

    def saved_step() -> int | None:
        return (committed_step(run_folder.checkpoints) or 0) if jax.process_index() == 0 else None

    with lock, Notice(saved_step) as notice, jax.set_mesh(mesh):
        # To go back before a spike is to start again from a checkpoint, with the time that this start may take running on.
        while not _train(run_folder, recipe_name, recipe, profile, mesh, notice, began):
            pass


def _train(
    run_folder: RunFolder,
    recipe_name: str,
    recipe: TrainingRecipe,
    profile: range,
    mesh: jax.sharding.Mesh,
    notice: Notice,
    whole_start: float,
) -> bool:
    """Trains from the newest valid checkpoint; False where training went back before a spike, which the checkpoint knows now.

    - `whole_start`: time.perf_counter from which stop_after_minutes counts.
    """
    # ---- Set-up
    began = time.perf_counter()
    if mesh.devices.flat[0].platform == "cpu":
        keep_freed_memory()
    checkpoints = CheckpointStore(
        run_folder.checkpoints, recipe.checkpoints.keep, recipe.checkpoints.milestone_every_steps
    )
    found = checkpoints.newest_valid()
    recipe = with_sizes_of_run(recipe, found[1]) if found else with_sizes_of_start(recipe)
    stop = check_sizes(recipe, mesh)
    phases = Phases(run_folder.examples, recipe, batch_sharding(mesh))
    job = make_job(recipe, [phase.header for phase in phases.all])
    refuse_other_tokenizer(run_folder.vocabulary, phases.all[-1].header.tokenizer_sha256)
    recipe, schedule = job.recipe, learning_rate(job.recipe)
    start, saved = (found[0], {**NOTHING, **found[1]}) if found else (0, NOTHING)
    if found:
        refuse_other_run(saved, recipe, phases.fingerprint)
        phases.leave_out(saved["left_out"])
    if start >= stop:
        # Killed between its last checkpoint and its last line
        if run_folder.manifest().get("train", {}).get("step") != start:
            record(run_folder, recipe_name, saved)
        log.info("%s: complete: step %d of %d is done; nothing to train", run_folder.path, start, stop)
        return True
    phases.check_staged(start, stop)
    goodput = Goodput(run_folder.metrics, start, began)
    probes = Prober(job, phases, run_folder, mesh, goodput) if recipe.probes.every_steps else None
    others = wandb_runs(run_folder, recipe)
    use_compilation_cache()
    programs = Programs(job, phases, run_folder, mesh, goodput)
    programs.enter(start)
    if found:
        abstract, guarded = programs.steps.abstract_state, has_running_mean(saved)
        begun = as_wanted(checkpoints.restore(start, as_saved(abstract, guarded)), abstract)
        started_from = saved.get("started_from")
    else:
        begun, started_from = _first_state(run_folder, job, programs.steps, goodput)
    _log_start(run_folder, job, phases, mesh, saved, range(start, stop))
    programs.compile()
    # Only now is anything written: what is wrong with recipe, start or compiler options was told above.
    report = Reporter(run_folder, recipe_name, job, phases, saved, range(start, stop), mesh, schedule, goodput, others)
    if jax.process_index() == 0:
        write_json(run_folder.path / RECIPE_FILE, plain_recipe(recipe))
    account = Account(job, phases, mesh, saved, start, began, started_from)
    last_saved = start if found else None
    agenda, profiled = Agenda(recipe, notice, stop, whole_start), Profile(run_folder.metrics, profile)

    def program_of(step: int) -> jax.stages.Compiled:
        if step == programs.stop:
            with report.window.paused(), jax.transfer_guard("allow"):
                programs.enter(step)
                programs.compile()
        profiled.before(step + 1)
        return programs.train_step

    # ---- Loop
    with (
        checkpoints,
        Prefetched(phases, start, stop) as prefetched,
        profiled,
        StepBar(start, stop) as bar,
        jax.transfer_guard("disallow"),
    ):
        for done, state, metrics in fit(program_of, begun, prefetched):
            report.add(done, metrics, prefetched.waited)
            profiled.after(done, metrics)
            bar.done(done)
            due = agenda.after(done, programs.stop, held_out=programs.held_out is not None)
            if due.nothing:
                continue
            checkpoints.raise_failure()
            means = report.settle(goes_back=recipe.spikes.action == "rewind" and last_saved is not None)
            if report.spike:
                break
            if due.log:
                report.log(done, means, prefetched.waited)
                prefetched.waited = 0.0
            with report.window.paused():
                # Before the checkpoint: a run resumed from it has nothing to catch up on.
                if due.evaluate:
                    with goodput.spent_on("evaluation"):
                        scores, sample = programs.evaluate(state["params"])
                    report.evaluated(done, scores, sample)
                if due.probe and probes and (probed := probes.after(done, state["params"])):
                    report.scored(done, probed)
                if due.save:
                    now = account.after(done, report.facts)
                    with goodput.spent_on("checkpoint"), jax.transfer_guard("allow"):
                        checkpoints.save(done, state, now)
                    last_saved = done
                    agenda.saved()
            if due.stop:
                break
        with goodput.spent_on("checkpoint"):
            checkpoints.finish()

    # ---- End
    report.close()
    if report.spike and last_saved is not None:
        go_back(checkpoints, last_saved, saved, report.spike.step, recipe.spikes)
        if due.stop:
            raise UnfinishedError(f"stopped {due.stop}, going back to step {last_saved}: run again to continue")
        return False
    record(run_folder, recipe_name, {"step": done, **now})
    if done < stop:
        raise UnfinishedError(f"stopped {due.stop} at step {done}, which is saved: run again to go on to step {stop}")
    log.info("%s: step %d of %d is done", run_folder.path, done, stop)
    return True


def _first_state(run_folder: RunFolder, job: Job, steps: CompiledSteps, goodput: Goodput) -> tuple[State, Facts | None]:
    """The state at step 0, with the parameters that the recipe starts from, and what is known of these."""
    if not job.recipe.start_from:
        with goodput.spent_on("compile"):
            return steps.init(), None
    params, facts = starting_parameters(job.recipe.start_from, job.phases[0], Tokenizer(run_folder.vocabulary))
    with goodput.spent_on("compile"):
        return steps.init_from(placed(params, steps.abstract_state["params"])), facts


def _log_start(
    run_folder: RunFolder, job: Job, phases: Phases, mesh: jax.sharding.Mesh, saved: Facts, steps: range
) -> None:
    """Logs what is trained on what, and what a resumed run should know."""
    kind, shape = mesh.devices.flat[0].device_kind, dict(mesh.shape)
    log.info(
        "%d x %s as %s; %s parameters; steps %d to %d",
        *(mesh.size, kind, shape, f"{job.parameters:,}", steps.start, steps.stop),
    )
    log.info("%s: %s", job.recipe.objective.title, objective_in_words(job.recipe))
    if job.recipe.compute_dtype == "bfloat16" and (warning := bfloat16_warning(mesh.devices.flat[0])):
        log.warning("%s", warning)
    for warning in job.warnings:
        log.warning("%s", warning)
    if steps.start:
        for warning in (another_topology(job.recipe, saved, shape), other_software(saved)):
            if warning:
                log.warning("%s", warning)
    if not all(phase.held_out for phase in phases.all):
        log.warning("%s: no held-out records are used: this run has no evaluation loss", run_folder.examples)
