"""Every shipped recipe planned for machines that are not there: memory, traffic, roofline and days.

python -m benchmarks.plan      minutes for each recipe and machine on two cores; no TPU, but `pip install .[plan]`

What is compiled is kept beside the runs: started again, it continues with the first recipe and machine that are missing or changed.
"""

import hashlib
import importlib.metadata
import json
import logging
import os
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import tyro

import pretrain
from benchmarks.results_page import table, write_page
from data_pipeline.contract.errors import run_command
from data_pipeline.contract.recipe_file import PACKAGED_CONFIGS, load_recipe
from pretrain.planning.machines import machine_named
from pretrain.recipe import TrainingRecipe

PACKAGES = ("jax", "jaxlib", "libtpu", "optax")
PRETRAIN = Path(pretrain.__file__).parent


@dataclass(frozen=True)
class Plan:
    """Compiles every shipped recipe for each machine."""

    on: tuple[str, ...] = ("v3-8", "v5e-8", "v4-32", "v5p-16", "v5e-32", "v6e-16", "h100-8", "h200-8")
    """Machines, as `python -m pretrain plan --on` takes them."""
    recipes: tuple[str, ...] = ()
    """Names in configs/; none means all of them whose sizes are not those of a model that they start from."""
    kept: Path = Path("runs/plan.jsonl")
    """Rows compiled so far. A row counts for the very recipe, code of the model and compiler that it was made with."""


def main() -> None:
    """The command."""
    os.environ["JAX_PLATFORMS"] = "cpu"
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    run_command(lambda: measure(tyro.cli(Plan)))


def measure(options: Plan) -> None:
    """Writes the page."""
    recipes = options.recipes or sorted(
        path.stem
        for path in Path(PACKAGED_CONFIGS).glob("*.py")
        if path.stem != "__init__" and not load_recipe(str(path), "training", TrainingRecipe)[1].start_from
    )
    rows = [row for recipe in recipes for machine in options.on if (row := kept_row(options.kept, recipe, machine))]
    columns = (
        "recipe",
        "machine",
        "parameters",
        "FLOPs a token",
        "rows a device at once",
        "state, GiB",
        "peak, GiB",
        "of GiB",
        "sent a step, MB",
        "products, s",
        "memory, s",
        "links, s",
        "in turn, s",
        "XLA's, s",
        "bound by",
        "MFU at most, %",
        "days at 45 % MFU",
        "compiled in s",
    )
    body = f"""{table(columns, rows)}

Parameters: of the encoder. State: parameters, Adam's moments and the batch; peak: what the compiled step needs of one device at
most. Sent: the collectives' results on one device, bytes of the type that is sent. Products, memory, links: the least seconds of a
step if a device did nothing else (docs/plan.md); in turn: with one instruction after the other; XLA's: its own estimate, where it
counts everything. Days: arithmetic, all rows of the recipe. Nothing is compiled for GPUs: their memory and roofline are arithmetic.
Machines among which a recipe's batch cannot be divided are left out.
"""
    write_page("plan", "The shipped recipes planned for machines that are not there", PACKAGES, body)


def kept_row(kept: Path, name: str, on: str) -> list[Any] | None:
    """`planned_row`, from the file where it is there, else compiled and written there."""
    key = [name, on, fingerprint(name)]
    lines = kept.read_text(encoding="utf-8").splitlines() if kept.is_file() else []
    for line in lines:
        known: dict[str, Any] = json.loads(line)
        if known["key"] == key:
            row: list[Any] | None = known["row"]
            return row
    made = planned_row(name, on)
    kept.parent.mkdir(parents=True, exist_ok=True)
    with open(kept, "a", encoding="utf-8") as file:
        file.write(json.dumps({"key": key, "row": made}) + "\n")
    return list(made) if made else None


def fingerprint(name: str) -> str:
    """Of all that a recipe's program depends on: its fields, the packages, and the code that is traced."""
    parts = [repr(load_recipe(name, kind, object)[1]) for kind in ("data", "training")]
    parts += [importlib.metadata.version(package) for package in PACKAGES]
    rooms = ("models", "objectives", "optimization", "devices", "planning")
    parts += [path.read_text(encoding="utf-8") for room in rooms for path in sorted((PRETRAIN / room).rglob("*.py"))]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def planned_row(name: str, on: str) -> tuple[Any, ...] | None:
    """One recipe on one machine; None where its batch cannot be divided among the devices."""
    from pretrain.devices.peaks import peak_tflops
    from pretrain.input.schedule import stretches  # here, because they import jax
    from pretrain.job import objective_of
    from pretrain.planning.ahead_of_time import GIB, compile_step, estimate_step, topology_devices
    from pretrain.planning.collectives import traffic
    from pretrain.planning.plan import planned_header, roofline_of

    _, recipe = load_recipe(name, "training", TrainingRecipe)
    header = planned_header(load_recipe(name, "data", object)[1])
    machine = machine_named(on)
    if recipe.global_batch_size % (recipe.accumulation * machine.devices):
        return None
    began = time.monotonic()
    if machine.topology:
        footprint = compile_step(recipe, header, topology_devices(machine))
    else:
        footprint = estimate_step(recipe, header, machine.devices)
    seconds = f"{time.monotonic() - began:.0f}" if machine.topology else ""
    sent = f"{sum(each.bytes for each in traffic(footprint.module)) / 1e6:,.1f}" if footprint.program else ""
    peak = peak_tflops(machine.device_kind) or 0
    objective = objective_of(recipe, header)
    flops = objective.flops_per_row()
    total = sum(
        stretch.rows
        * objective_of(stretch.recipe, replace(header, length=stretch.length or header.length)).flops_per_row()
        for stretch in stretches(recipe)
    )
    days = total / (0.45 * peak * 1e12 * machine.devices) / 86400
    logging.info("%s on %s: %.2f GiB", name, on, footprint.peak / GIB)
    fits = footprint.peak <= (footprint.limit or (machine.memory_gib or 0) * GIB)
    bounds: tuple[Any, ...] = ("",) * 7
    if fits and (found := roofline_of(recipe, header, footprint, machine)):
        roofline, most = found
        times = (roofline.products, roofline.memory, roofline.links, roofline.in_turn, roofline.by_xla)
        bounds = (*("" if each is None else f"{each:.3g}" for each in times), roofline.bound, f"{100 * most:.0f}")
    return (
        name,
        on,
        f"{objective.parts.parameter_count():,}",
        f"{flops / header.row_tokens:.3g}",
        recipe.global_batch_size // recipe.accumulation // machine.devices,
        f"{footprint.state / GIB:.2f}",
        f"{footprint.peak / GIB:.2f}" + ("" if fits else ": does not fit"),
        f"{(footprint.limit or (machine.memory_gib or 0) * GIB) / GIB:.2f}",
        sent,
        *bounds,
        f"{days:,.2f}",
        seconds,
    )


if __name__ == "__main__":
    main()
