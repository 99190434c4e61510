"""Whether a checkpoint belongs to the run that a recipe and its records now describe."""

import dataclasses
import os
from typing import Any

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.recipe_fields import is_free
from data_pipeline.contract.recipe_file import differences, plain
from pretrain.recipe import TrainingRecipe, training_recipe_from_plain


def refuse_other_run(saved: dict[str, Any], recipe: TrainingRecipe, fingerprint: str) -> None:
    """Raises InputError, naming fields with old and new value, where a checkpoint belongs to another recipe or other records.

    - `saved`: the facts of the checkpoint.
    - `fingerprint`: that of the records now.

    Fields marked FREE (`data_pipeline.contract.recipe_fields`), and all below them, may differ.
    """
    # Fields that came later take their defaults, which are what the older code did.
    before = training_recipe_from_plain(saved["recipe"])
    changed = differences(bound(_placed(before)), bound(_placed(recipe)))
    if changed:
        raise InputError(
            f"the checkpoint of step {saved['step']} belongs to another recipe: {'; '.join(changed)}; "
            "set these back, or choose another --run-dir for a new run"
        )
    if saved["records_fingerprint"] != fingerprint:
        raise InputError(
            f"the checkpoint of step {saved['step']} belongs to other records: fingerprint {saved['records_fingerprint'][:12]} "
            f"-> {fingerprint[:12]}; restore the examples, or choose another --run-dir for a new run"
        )


def _placed(recipe: TrainingRecipe) -> TrainingRecipe:
    """A recipe with the places that it starts from as absolute paths: `runs/a`, from the folder above, is `/home/me/runs/a`."""
    places = (place if "://" in place else os.path.abspath(os.path.expanduser(place)) for place in recipe.start_from)
    return dataclasses.replace(recipe, start_from=tuple(places))


def bound(recipe: Any) -> Any:
    """A recipe as `plain` writes it, without what may differ when a run is resumed."""
    if isinstance(recipe, tuple):
        return [bound(each) for each in recipe]
    if not dataclasses.is_dataclass(recipe):
        return plain(recipe)
    fields = {field.name: getattr(recipe, field.name) for field in dataclasses.fields(recipe) if not is_free(field)}
    return {"kind": type(recipe).__name__, **{name: bound(value) for name, value in fields.items()}}
