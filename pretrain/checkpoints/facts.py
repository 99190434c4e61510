"""What a run leaves of itself in its manifest, and how near it stays to itself on other devices."""

from typing import Any

import jax

from data_pipeline.contract.recipe_file import plain
from data_pipeline.contract.run_folder import RunFolder
from pretrain.checkpoints.verify import Facts
from pretrain.recipe import TrainingRecipe

RECIPE_FILE = "training_recipe.json"
"""The resolved recipe, in the run folder."""


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


def accumulations(recipe: dict[str, Any]) -> list[int | None]:
    """The accumulation of a plain recipe, and of each of its phases."""
    return [recipe["accumulation"], *(phase["accumulation"] for phase in recipe.get("phases", ()))]


def what_another_topology_means(recipe: TrainingRecipe, saved: Facts, shape: dict[str, int]) -> str:
    """A sentence on how near the run stays to the one that it goes on from."""
    then, now = (", ".join(map(str, accumulations(plan))) for plan in (saved["recipe"], plain(recipe)))
    changed = f"resumed from mesh {saved['mesh']} with accumulation {then} on mesh {shape} with accumulation {now}"
    dropout = recipe.model.hidden_dropout_prob or recipe.model.attention_probs_dropout_prob
    if dropout and recipe.dropout_rng == "rbg":
        return f"{changed}: dropout draws other bits from here on, so losses agree statistically only"
    return f"{changed}: losses agree with those of the old mesh within rounding"
