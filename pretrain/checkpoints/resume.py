"""Whether a checkpoint belongs to the run that a recipe and its records now describe."""

import dataclasses
from typing import Any

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.recipe_file import differences, plain
from pretrain.recipe import TrainingRecipe
from pretrain.recipe_fields import is_free


def refuse_other_run(saved: dict[str, Any], recipe: TrainingRecipe, fingerprint: str) -> None:
    """Raises InputError, naming fields with old and new value, where a checkpoint belongs to another recipe or other records.

    - `saved`: the facts of the checkpoint.
    - `fingerprint`: that of the records now.

    Fields marked FREE (`pretrain.recipe_fields`), and all below them, may differ.
    """
    before, now = (without_free_fields(value, recipe) for value in (saved["recipe"], plain(recipe)))
    changed = differences(before, now)
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


def without_free_fields(value: Any, recipe: Any) -> Any:
    """A plain recipe without what may differ when a run is resumed.

    - `recipe`: the dataclass that says which fields these are; `value` may be of another version of it.
    """
    if isinstance(recipe, tuple) and isinstance(value, list) and len(value) == len(recipe):
        return [without_free_fields(*each) for each in zip(value, recipe, strict=True)]
    if not dataclasses.is_dataclass(recipe) or not isinstance(value, dict):
        return value
    fields = {field.name: field for field in dataclasses.fields(recipe)}
    return {
        name: without_free_fields(below, getattr(recipe, name)) if name in fields else below
        for name, below in value.items()
        if name not in fields or not is_free(fields[name])
    }
