"""Formulae: benchmark texts that stay in the corpus because so many documents hold them."""

from typing import Any

from rich.markup import escape
from rich.table import Table


def formulae_listed(formulae: dict[str, dict[str, dict[str, int]]]) -> list[dict[str, Any]]:
    """Text, benchmark, documents and sentences of each benchmark text that stays as a formula, the commonest first."""
    listed = [
        {"text": text, "benchmark": benchmark, **found}
        for benchmark, texts in formulae.items()
        for text, found in texts.items()
    ]
    return sorted(listed, key=lambda each: (-each["documents"], each["text"]))


def formulae_table(formulae: dict[str, Any]) -> Table:
    """Benchmark texts that stay because so many documents hold them, the commonest first."""
    table = Table(title="formulae: benchmark texts that stay in the corpus", title_justify="left")
    for column in ("text", "benchmark", "documents", "sentences"):
        table.add_column(column, justify="right" if column in ("documents", "sentences") else "left", overflow="fold")
    for each in formulae_listed(formulae):
        table.add_row(escape(each["text"]), each["benchmark"], f"{each['documents']:,}", f"{each['sentences']:,}")
    return table
