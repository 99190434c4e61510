"""Training recipes that older code wrote down, as today's code writes them.

Format 1: `masking` beside `model`. Format 2: `objective`, which holds it. Format 3: `start_from` names several places.

A field that came later needs no line here where its default is what the older code did: what a written recipe lacks takes the
default. A field that moves, or whose default changes, gets its line and a new number.
"""

import importlib
from typing import Any

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.recipe_file import plain

RECIPE_FORMAT = 3


def plain_recipe(recipe: Any) -> dict[str, Any]:
    """A training recipe as JSON-ready data, with the number of its format and the modules of members that are not this package's."""
    modules = {type(member).__module__ for member in (recipe.model, recipe.objective)}
    others = sorted(module for module in modules if not module.startswith(f"{__package__}."))
    return {"format": RECIPE_FORMAT, **({"modules": others} if others else {}), **plain(recipe)}


def upgraded(value: dict[str, Any]) -> dict[str, Any]:
    """A written recipe of any format as `plain` writes it today; a number beyond RECIPE_FORMAT stays in it and is refused.

    Imports the modules that it names, so that their members are known. Raises InputError where one is not installed.
    """
    found = dict(value)
    for module in found.pop("modules", ()):
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise InputError(
                f"needs {module}, which cannot be imported here ({error}); add its folder to PYTHONPATH"
            ) from None
    if found.get("format", 1) == 1 and "masking" in found:
        found["objective"] = {"kind": "MaskedLM", "masking": found.pop("masking")}
    if found.get("format", 1) <= 2 and not isinstance(found.get("start_from", ()), list | tuple):
        found["start_from"] = [found["start_from"]] if found["start_from"] else []
    if found.get("format", 1) <= RECIPE_FORMAT:
        found.pop("format", None)
    return found
