"""A study: every model of a grid on every task, cell by cell.

    python -m benchmarks.studies benchmarks/studies/pretraining.toml                what pretraining is worth; spacing and noise
    python -m benchmarks.studies benchmarks/studies/objectives.toml                 objectives at equal arithmetic
    python -m benchmarks.studies benchmarks/studies/pretraining.toml --minutes 30   as many cells as half an hour has room for

Rerun it after any interruption, or several at once: cells that are in the results folder are read, and none is computed twice. Copied to
another machine, the folder continues there; models are made again only where a cell needs them.
"""

import logging
import time
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Annotated

import tyro

from benchmarks.results_page import machine, write_page
from benchmarks.studies.evaluation import run_cell
from benchmarks.studies.figure import draw
from benchmarks.studies.grid import Cell, Grid, read_grid
from benchmarks.studies.models import Models
from benchmarks.studies.overlap import overlap_of
from benchmarks.studies.page import columns_of, page
from benchmarks.studies.results import Results
from data_pipeline.contract.errors import InputError, run_command
from data_pipeline.contract.storage import read_json, write_json

log = logging.getLogger("benchmarks")
OVERLAP = "overlap.json"
PACKAGES = ("jax", "flax", "optax", "torch", "transformers", "scikit-learn")


@dataclass(frozen=True)
class Study:
    """Evaluates the models of a grid on its tasks, and writes the page of what was run."""

    grid: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="GRID.toml")]
    """Models, tasks and seeds."""
    data: Path = Path("../shared/data")
    """Folder with corpus/, tasks/ and official/."""
    work: Path = Path("runs/studies")
    """Where models and predictions are kept on this machine."""
    results: Path = Path("benchmarks/results/studies")
    """Where the results of cells are kept, a folder for each study."""
    only: str = "*"
    """Cells to run, MODEL.SEED.TASK with * and ?; the page holds all that were run."""
    cells: int | None = None
    """Stop after so many cells."""
    minutes: float | None = None
    """Start no cell after so many minutes."""


def main() -> None:
    """The command."""
    run_command(lambda: study(tyro.cli(Study)))


def study(options: Study) -> None:
    """Runs what is missing and writes the page."""
    if not options.data.is_dir():
        raise InputError(f"--data {options.data}: no such folder")
    grid = read_grid(options.grid)
    results = Results(options.results / grid.name, options.work / "locks" / grid.name)
    models = Models(grid, options.data, options.work)
    run_missing(grid, results, models, options)
    columns = columns_of(grid, results)
    if not columns:
        log.info("no cell was run: there is nothing to show")
        return
    draw(grid, columns, options.results / f"{grid.name}.png")
    body = page(grid, results, read_json(results.folder / OVERLAP) or {})
    write_page(grid.name, grid.title, PACKAGES, body, "studies", options.results)


def run_missing(grid: Grid, results: Results, models: Models, options: Study) -> list[Cell]:
    """Runs the cells that have no result yet, as far as the budget goes, and returns them."""
    began = time.monotonic()
    done: list[Cell] = []
    for cell in grid.cells():
        over = options.minutes is not None and time.monotonic() - began >= 60 * options.minutes
        if over or (options.cells is not None and len(done) >= options.cells):
            break
        if not fnmatch(cell.name, options.only) or results.read(cell):
            continue
        with results.claimed(cell) as own:
            # Another process may have finished it between the two lines above.
            if not own or results.read(cell):
                continue
            place = models.place(cell.model, cell.seed)
            overlap = results.folder / OVERLAP
            if place and not overlap.is_file():
                write_json(overlap, overlap_of(grid, models.corpus, options.data))
            started = time.monotonic()
            facts, outcomes = run_cell(cell, place, options.data, options.work)
            clock = round(time.monotonic() - started, 1)
            about = {"clock": clock, "machine": machine(), "pretraining": models.facts(cell.model, cell.seed)}
            results.write(cell, {**facts, **about}, outcomes)
            done.append(cell)
            log.info("%s: %.0f s", cell.name, clock)
    return done


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    main()
