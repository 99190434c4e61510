"""Markdown of pages: tables, scores, and text from data that must not become markup."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

PERCENTAGES = re.compile(r"klue_|ynat_|korquad_|wos_")
"""Beginnings of the metrics whose own code returns percentages; all others are fractions."""
LONGEST = 300
"""Characters of a text that are shown."""


def points(metric: str, value: float) -> float:
    """A value of a metric with 100 for the best."""
    return value if PERCENTAGES.match(metric) else 100 * value


def score(metric: str, found: Mapping[str, Any]) -> str:
    """Mean and deviation over seeds, in points."""
    if found["mean"] is None:
        return "undefined"
    deviation = "" if found["deviation"] is None else f" ± {points(metric, found['deviation']):.2f}"
    return f"{points(metric, found['mean']):.2f}{deviation}"


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The first column is set left, the others right."""
    ruler = ["---", *("---:" for _ in columns[1:])]
    return "\n".join(f"| {' | '.join(row)} |" for row in (columns, ruler, *rows))


def text(content: str) -> str:
    """A text in one line, with no character that Markdown or a table would take for its own."""
    line = " ".join(content.split())
    line = line if len(line) <= LONGEST else f"{line[:LONGEST]}…"
    return re.sub(r"([\\`*_{}\[\]<>|~#])", r"\\\1", line).replace("&", "&amp;")
