"""Training recipes that older code wrote down, as today's code writes them.

Format 1: `masking` beside `model`. Format 2: `objective`, which holds it.

A field that came later needs no line here where its default is what the older code did: what a written recipe lacks takes the
default. A field that moves, or whose default changes, gets its line and a new number.
"""

from typing import Any

from data_pipeline.contract.recipe_file import plain

FORMAT = 2


def plain_recipe(recipe: Any) -> dict[str, Any]:
    """A training recipe as JSON-ready data, with the number of its format."""
    return {"format": FORMAT, **plain(recipe)}


def upgraded(value: dict[str, Any]) -> dict[str, Any]:
    """A written recipe of any format as `plain` writes it today, without its number; a number beyond FORMAT stays and is refused."""
    found = dict(value)
    if found.get("format", 1) == 1 and "masking" in found:
        found["objective"] = {"kind": "MaskedLM", "masking": found.pop("masking")}
    if found.get("format", 1) <= FORMAT:
        found.pop("format", None)
    return found
