"""docs/recipe_fields.md is what the dataclasses say now."""

import re

from support.recipe_fields import PAGE, page


def test_the_page_of_fields_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), (
        "run PYTHONPATH=.:tests .venv/bin/python -m support.recipe_fields"
    )


def test_the_page_has_what_only_a_recipe_file_can_set() -> None:
    text = page()
    for expected in (
        "### Source\n",
        "#### SentencePairs",
        "### Phase",
        "#### ModernBertConfig",
        "#### ReplacedToken",
        "| `category_weights` |",
    ):
        assert expected in text
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    silent = [row for row in rows if row.endswith("|  |") and not re.search(r"\((\.\.\.)?\)` \|", row)]
    assert silent == [], "a field without a docstring"
