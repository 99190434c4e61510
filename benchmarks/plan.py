"""Every shipped recipe compiled for a v3-8 and a v5e-8: memory, traffic, roofline and arithmetic.

python -m benchmarks.plan      seven minutes on two cores; no TPU, but `pip install .[plan]`
"""

import logging
import os
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import tyro

from benchmarks.results_page import table, write_page
from data_pipeline.contract.errors import run_command
from data_pipeline.contract.recipe_file import PACKAGED_CONFIGS, load_recipe
from pretrain.planning.machines import machine_named
from pretrain.recipe import TrainingRecipe

PACKAGES = ("jax", "jaxlib", "libtpu", "optax")


@dataclass(frozen=True)
class Plan:
    """Compiles every shipped recipe for each machine."""

    on: tuple[str, ...] = ("v3-8", "v5e-8")
    """Machines, as `python -m pretrain plan --on` takes them."""
    recipes: tuple[str, ...] = ()
    """Names in configs/; none means all of them."""


def main() -> None:
    """The command."""
    os.environ["JAX_PLATFORMS"] = "cpu"
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    run_command(lambda: measure(tyro.cli(Plan)))


def measure(options: Plan) -> None:
    """Writes the page."""
    recipes = options.recipes or sorted(
        path.stem for path in Path(PACKAGED_CONFIGS).glob("*.py") if path.stem != "__init__"
    )
    rows = [compiled_row(recipe, machine) for recipe in recipes for machine in options.on]
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
        "bound by",
        "MFU at most, %",
        "days at 45 % MFU",
        "compiled in s",
    )
    body = f"""{table(columns, rows)}

Parameters: of the encoder. State: parameters, Adam's moments and the batch; peak: what the compiled step needs of one device at
most. Sent: the collectives' results on one device, bytes of the type that is sent. Products, memory, links: the least seconds of a
step if a device did nothing else (docs/plan.md); in turn: with one instruction after the other. Days: arithmetic, all rows of the
recipe.
"""
    write_page("plan", "The shipped recipes compiled for TPUs that are not there", PACKAGES, body)


def compiled_row(name: str, on: str) -> tuple[Any, ...]:
    """One recipe on one machine."""
    from pretrain.devices.peaks import peak_tflops
    from pretrain.input.schedule import stretches  # here, because they import jax
    from pretrain.job import objective_of
    from pretrain.planning.ahead_of_time import GIB, compile_step, topology_devices
    from pretrain.planning.collectives import traffic
    from pretrain.planning.plan import planned_header, roofline_of

    _, recipe = load_recipe(name, "training", TrainingRecipe)
    header = planned_header(load_recipe(name, "data", object)[1])
    machine = machine_named(on)
    began = time.monotonic()
    footprint = compile_step(recipe, header, topology_devices(machine))
    seconds = time.monotonic() - began
    sent = sum(each.bytes for each in traffic(footprint.module)) if footprint.program else 0
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
    bounds: tuple[Any, ...] = ("",) * 6
    if footprint.program and (found := roofline_of(recipe, header, footprint, machine)):
        roofline, most = found
        times = (roofline.products, roofline.memory, roofline.links, roofline.in_turn)
        bounds = (*("" if each is None else f"{each:.3g}" for each in times), roofline.bound, f"{100 * most:.0f}")
    return (
        name,
        on,
        f"{objective.parts.parameter_count():,}",
        f"{flops / header.row_tokens:.3g}",
        recipe.global_batch_size // recipe.accumulation // machine.devices,
        f"{footprint.state / GIB:.2f}",
        f"{footprint.peak / GIB:.2f}" + ("" if footprint.program else ": does not fit"),
        f"{(footprint.limit or (machine.memory_gib or 0) * GIB) / GIB:.2f}",
        f"{sent / 1e6:,.1f}",
        *bounds,
        f"{days:,.2f}",
        f"{seconds:.0f}",
    )


if __name__ == "__main__":
    main()
