"""What a checkpoint and the manifest say of their run, and how near it stays to itself on other devices or versions."""

import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import jax

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.recipe_file import plain
from data_pipeline.contract.records import RecordsHeader, header_from_plain, read_header
from data_pipeline.contract.run_folder import RunFolder, software_versions
from data_pipeline.contract.storage import read_json
from pretrain.checkpoints.verify import Facts, believed_facts, list_steps, step_folder
from pretrain.input.phases import Phases
from pretrain.input.schedule import stretches
from pretrain.job import Job
from pretrain.recipe import TrainingRecipe, training_recipe_from_plain
from pretrain.recipe_upgrade import plain_recipe

CHECKPOINT_FORMAT = 2
"""1: the recipe alone says what was trained, and the run's records are needed to export it."""
RECIPE_FILE = "training_recipe.json"
"""The resolved recipe, in the run folder."""
NOTHING: Facts = {"tokens_seen": 0, "parts": [], "metrics": {}, "window": {}, "rejected_updates": 0, "left_out": []}
"""Before the first step; and what a checkpoint says that does not have these yet."""
MASKS_AND_OPTIMIZER = ("jax", "jaxlib", "optax")
"""Packages that masks, dropout and the optimizer's arithmetic belong to. The order of rows is our own, whatever is installed."""


class Account:
    """What the checkpoints of one start of a run say of it.

    - `mesh`: on which it trains.
    - `saved`: the facts of the checkpoint from which it continues, or NOTHING; `start`: that step; `began`: time.perf_counter at
      its beginning.
    - `started_from`: what `pretrain.start` says of the model that the run began with, or None.
    """

    def __init__(
        self,
        job: Job,
        phases: Phases,
        mesh: jax.sharding.Mesh,
        saved: Facts,
        start: int,
        began: float,
        started_from: Facts | None = None,
    ) -> None:
        self._job, self._phases, self._mesh = job, phases, mesh
        self._saved, self._start, self._began = saved, start, began
        headers = [phase.header for phase in phases.all]
        self._always = {
            "format": CHECKPOINT_FORMAT,
            "recipe": plain_recipe(job.recipe),
            "objective": type(job.recipe.objective).__name__,
            "exports": dict(job.phases[-1].exports),
            "headers": {str(header.length): asdict(header) for header in headers},
            "records_fingerprint": phases.fingerprint,
            "mesh": dict(mesh.shape),
            "parameters": job.parameters,
            "software": software_versions(),
            "left_out": saved["left_out"],
            **({"started_from": started_from} if started_from else {}),
        }

    def after(self, done: int, reported: Facts) -> Facts:
        """The facts of the checkpoint after step `done`: enough to export it without records or recipe file.

        - `reported`: `pretrain.monitoring.reporter.Reporter.facts`.
        """
        device_kind = self._mesh.devices.flat[0].device_kind
        part = {"device_kind": device_kind, "devices": self._mesh.size, "start_step": self._start, "stop_step": done}
        return {
            **self._always,
            "models": self._job.phases[self._phases.number(done - 1)].parts.describe(),
            "rows_seen": self._phases.rows_before(done),
            "parts": [*self._saved["parts"], {**part, "seconds": time.perf_counter() - self._began}],
            **reported,
        }


def models_of(facts: Facts, run_folder: RunFolder) -> dict[str, Any]:
    """What `Parts.describe` said of each model of a checkpoint."""
    if "models" in facts:
        found: dict[str, Any] = facts["models"]
        return found
    # Format 1: one BERT, whose heads the records tell.
    model = training_recipe_from_plain(facts["recipe"]).model
    heads = ["pair", "vocabulary"] if header_of(facts, run_folder).has_pairs else ["vocabulary"]
    return {"model": {"family": "bert", "config": plain(model), "heads": heads, "path": "", "shares": {}}}


def exported_models(facts: Facts) -> dict[str, str]:
    """Folder below the export's -> model of a checkpoint."""
    return facts.get("exports", {"": "model"})


def header_of(facts: Facts, run_folder: RunFolder) -> RecordsHeader:
    """The header of a checkpoint's records, the longest rows' where there were several; format 1 left it with the records."""
    if "headers" not in facts:
        return read_header(run_folder.examples)
    value = facts["headers"][max(facts["headers"], key=int)]
    return header_from_plain(value)


def has_running_mean(saved: Facts) -> bool:
    """Whether a checkpoint's state has the running mean of `pretrain.optimization.spikes`."""
    return training_recipe_from_plain(saved["recipe"]).spikes.action != "none"


def left_out_of(run_folder: RunFolder) -> list[list[int]]:
    """Which batches the run left out (`pretrain.checkpoints.rewind`), as its newest checkpoint says."""
    checkpoints = (step_folder(run_folder.checkpoints, step) for step in reversed(list_steps(run_folder.checkpoints)))
    newest = next((facts for each in checkpoints if (facts := believed_facts(each)) is not None), NOTHING)
    left_out: list[list[int]] = newest.get("left_out", [])
    return left_out


def recipe_of(run_folder: RunFolder) -> TrainingRecipe:
    """The resolved recipe that a run trains. Raises InputError where it has not started."""
    value = read_json(run_folder.path / RECIPE_FILE)
    if value is None:
        raise InputError(f"{run_folder.path}: training has not started here; run `python -m pretrain train` first")
    return training_recipe_from_plain(value)


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


def other_software(saved: Facts) -> str | None:
    """A sentence where the versions that saved a checkpoint are not those of now, and what that may change; else None."""
    then, now = saved.get("software", {}), software_versions()
    changed = [name for name in (*MASKS_AND_OPTIMIZER, "code") if then.get(name, now[name]) != now[name]]
    if not changed:
        return None
    versions = ", ".join(f"{name} {then[name]} -> {now[name]}" for name in changed)
    consequence = "; masks and dropout may differ from here on" if changed != ["code"] else ""
    return f"resumed with other versions than saved it: {versions}{consequence}"


def another_topology(recipe: TrainingRecipe, saved: Facts, shape: Mapping[str, int]) -> str | None:
    """A sentence on how near the run stays to the one that it continues, where mesh or accumulation changed; else None."""
    before = training_recipe_from_plain(saved["recipe"])
    if (saved["mesh"], _accumulations(before)) == (dict(shape), _accumulations(recipe)):
        return None
    then, now = (", ".join(map(str, _accumulations(each))) for each in (before, recipe))
    changed = (
        f"resumed from mesh {saved['mesh']} with accumulation {then} on mesh {dict(shape)} with accumulation {now}"
    )
    dropout = any(stretch.recipe.model.has_dropout() for stretch in stretches(recipe))
    if dropout and recipe.dropout_rng == "rbg":
        return f"{changed}: dropout draws other bits from here on, so losses agree statistically only"
    if recipe.objective.samples:
        return f"{changed}: rounding now and then changes a token that the generator draws, so losses agree statistically only"
    return f"{changed}: losses agree with those of the old mesh within rounding"


def _accumulations(recipe: TrainingRecipe) -> list[int | None]:
    return [recipe.accumulation, *(phase.accumulation for phase in recipe.phases)]
