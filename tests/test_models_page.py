"""docs/models.md has every recipe, with the numbers that follow from it."""

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from data_pipeline.contract.recipe_file import load_recipe, packaged_recipes
from data_pipeline.recipe import DataRecipe
from pretrain.devices.peaks import peak_tflops
from pretrain.input.schedule import stretches
from pretrain.job import make_job
from pretrain.planning.machines import MACHINES
from pretrain.planning.plan import planned_header
from pretrain.recipe import TrainingRecipe

ROOT = Path(__file__).parents[1]
ELSEWHERE = ("quickstart", "continue_domain")
"""Recipes with pages of their own; the second one's vocabulary is the reader's."""
RECIPES = [path for path in packaged_recipes() if path.stem not in ELSEWHERE]
MFU = 0.45


@cache
def page() -> Mapping[str, list[str]]:
    """The cells of the row of each recipe, by the path that it links to."""
    text = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \[.*?\]\(\.\./(configs/.*?\.py)\) \| (.*) \|$", text, re.MULTILINE)
    assert len(rows) == len(dict(rows)), "a recipe has two rows"
    return {path: [cell.strip() for cell in cells.split("|")] for path, cells in rows}


def cells_of(path: Path) -> list[str]:
    """What the page must say of a recipe: parameters of the model in `export/`, batch and rows, steps; of one that is not small, hours on
    a v3-8."""
    _, data = load_recipe(str(path), "data", DataRecipe)
    _, recipe = load_recipe(str(path), "training", TrainingRecipe)
    header, schedule = planned_header(data), stretches(recipe)
    job = make_job(recipe, [replace(header, length=each.length or header.length) for each in schedule])
    parts = job.phases[-1].parts
    model = parts.models[job.phases[-1].exports[""]]
    flops = sum(each.rows * phase.flops_per_row() for each, phase in zip(schedule, job.phases, strict=True))
    machine = MACHINES["v3-8"]
    peak = (peak_tflops(machine.device_kind) or 0) * 1e12 * machine.devices
    target = f" + {header.target_length:,}" if header.target_length else ""
    hours = f"{flops / (MFU * peak) / 3600:,.1f}"
    return [
        f"{model.config.parameter_count(model.vocab_size, model.heads):,}",
        f"{recipe.global_batch_size:,} x {header.length:,}{target}, {header.layout}",
        f"{recipe.max_steps:,}",
        *([] if path.parent.name == "mini" else [hours]),
    ]


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.relative_to(ROOT / "configs").as_posix())
def test_the_page_has_the_numbers_of_each_recipe(path: Path) -> None:
    name, expected = path.relative_to(ROOT).as_posix(), cells_of(path)
    assert page().get(name, [])[: len(expected)] == expected, f"docs/models.md lacks {name}: {' | '.join(expected)}"


def test_each_row_of_the_page_is_a_recipe() -> None:
    assert {name for name in page() if not (ROOT / name).is_file()} == set()
