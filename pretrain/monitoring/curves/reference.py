"""Reference curves: what a shipped recipe's metrics were, so that a run says when it leaves them.

configs/reference/NAME.json   what was trained on what, mean and tolerance of some metrics, by step
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.recipe_file import PACKAGED_CONFIGS, differences
from data_pipeline.contract.records import RecordsHeader, read_header
from data_pipeline.contract.run_folder import RunFolder, software_versions
from data_pipeline.contract.storage import read_json, write_json
from pretrain.checkpoints.facts import recipe_of
from pretrain.checkpoints.resume import bound
from pretrain.monitoring.metrics import METRICS_FILE, read_metrics
from pretrain.recipe import TrainingRecipe, training_recipe_from_plain
from pretrain.recipe_upgrade import RECIPE_FORMAT

log = logging.getLogger("pretrain")
SPREADS = 2.0
"""Tolerance of a metric: so many times the largest distance of any of the runs, at any step, from their mean."""


class ReferenceCurves:
    """The curves of the recipe that a run trains.

    - `value`: a reference file's; None warns of nothing.
    """

    def __init__(self, value: dict[str, Any] | None) -> None:
        self._curves: dict[str, dict[str, float]] = value["curves"] if value else {}
        self._tolerances: dict[str, float] = value["tolerances"] if value else {}
        self._outside: set[str] = set()

    def look(self, step: int, values: Mapping[str, float | None]) -> None:
        """Warns of each metric that leaves its curve at a step that the curve has: once, until it is back."""
        for metric, curve in self._curves.items():
            expected, value = curve.get(str(step)), values.get(metric)
            if expected is None or metric not in values:
                continue
            near = value is not None and abs(value - expected) <= self._tolerances[metric]
            if not near and metric not in self._outside:
                log.warning(
                    "step %d: %s %s leaves the recipe's reference curve, which has %.4f (within %.4f)",
                    *(
                        step,
                        metric,
                        "is not finite" if value is None else f"{value:.4f}",
                        expected,
                        self._tolerances[metric],
                    ),
                )
            (self._outside.discard if near else self._outside.add)(metric)


def reference_of(
    name: str,
    recipe: TrainingRecipe,
    header: RecordsHeader,
    run: RunFolder,
    folder: Path = PACKAGED_CONFIGS / "reference",
) -> ReferenceCurves:
    """The reference of a recipe; one without curves where none is kept, or where this run trains something else.

    - `name`: the recipe's; `folder`: holds the files.
    """
    path = folder / f"{name}.json"
    value = read_json(path)
    if value is None:
        return ReferenceCurves(None)
    try:
        other = differences(in_todays_words(value["trained"]), what_is_trained(recipe, header, run))
    except InputError as error:
        other = [str(error)]
    if other:
        log.info("not compared with %s: %s", path, "; ".join(other))
        return ReferenceCurves(None)
    log.info("compared with the curve of %s", path)
    return ReferenceCurves(value)


def what_is_trained(recipe: TrainingRecipe, header: RecordsHeader, run: RunFolder) -> dict[str, Any]:
    """What two runs must share for their curves to be alike: all but the seed, devices, and how the text became records."""
    inputs = run.manifest().get("prepare", {}).get("inputs", [])
    return {
        "recipe": all_but_seed(recipe),
        "records": {"layout": header.layout, "length": header.length, "vocabulary_size": header.vocabulary_size},
        "inputs": {Path(each["path"]).name: each["size"] for each in inputs},
    }


def in_todays_words(trained: Mapping[str, Any]) -> dict[str, Any]:
    """What a reference file says was trained; it may be older than a field of the recipe."""
    return {**trained, "recipe": all_but_seed(training_recipe_from_plain(trained["recipe"]))}


def all_but_seed(recipe: TrainingRecipe) -> dict[str, Any]:
    """What binds a resumed run, without the seed."""
    return {name: value for name, value in bound(recipe).items() if name != "seed"}


def compared_metrics(recipe: TrainingRecipe) -> tuple[str, ...]:
    """The metrics of a reference: the loss, and the objective's headlines on held-out rows."""
    headlines = [headline.metric for headline in recipe.objective.headlines()]
    return headlines[0], *(f"evaluation_{metric}" for metric in headlines)


def write_reference(runs: Sequence[RunFolder], to: Path) -> None:
    """Writes the mean of finished runs, which differ in their seeds, and how far they lie from it.

    Raises InputError where they are fewer than two, are of one seed (whose curves would be told to lie 0 apart), did not train the
    same, or not to their end.
    """
    if len(runs) < 2:
        raise InputError("reference: give two runs or more, that differ in --training.seed")
    trained = [_trained(run) for run in runs]
    for run, each in zip(runs, trained, strict=True):
        if other := differences(trained[0], each):
            raise InputError(f"{run.path}: trained other than {runs[0].path}: {'; '.join(other)}")
    seeds: dict[int, RunFolder] = {}
    for run in runs:
        if (seed := recipe_of(run).seed) in seeds:
            raise InputError(
                f"{run.path}: has the seed {seed}, as {seeds[seed].path}; give runs that differ in --training.seed"
            )
        seeds[seed] = run
    lines = [read_metrics(run.metrics / METRICS_FILE) for run in runs]
    for run, logged in zip(runs, lines, strict=True):
        reached, last = max((line["step"] for line in logged), default=0), recipe_of(run).max_steps
        if reached < last:
            raise InputError(f"{run.path}: its metrics end at step {reached} of {last}; train it to its end first")
    curves: dict[str, dict[str, float]] = {}
    tolerances = {}
    for metric in compared_metrics(recipe_of(runs[0])):
        of_runs = [{str(line["step"]): line[metric] for line in each if line.get(metric) is not None} for each in lines]
        steps = [step for step in of_runs[0] if all(step in each for each in of_runs)]
        means = {step: sum(each[step] for each in of_runs) / len(of_runs) for step in steps}
        spread = max((abs(each[step] - means[step]) for each in of_runs for step in steps), default=0.0)
        curves[metric] = {step: round(mean, 4) for step, mean in means.items()}
        tolerances[metric] = round(SPREADS * spread, 4)
    made = {"runs": len(runs), "software": software_versions()}
    written = {**trained[0], "recipe": {"format": RECIPE_FORMAT, **trained[0]["recipe"]}}
    write_json(to, {"trained": written, "made_of": made, "tolerances": tolerances, "curves": curves})


def _trained(run: RunFolder) -> dict[str, Any]:
    return what_is_trained(recipe_of(run), read_header(run.examples), run)
