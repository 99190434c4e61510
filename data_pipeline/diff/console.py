"""What diff prints."""

from typing import Any

from rich.console import Console
from rich.table import Table

from data_pipeline.corpus.steps.pseudonyms.masked import masked


def print_diff(found: dict[str, Any]) -> None:
    """Prints what `diff` found; counts that are equal are left out."""
    console = Console(highlight=False, soft_wrap=True)
    first, second = found["runs"]
    for title, lines in (("recipe", found["recipe"]), ("inputs", found["inputs"]), ("software", found["software"])):
        console.print(f"{title}: {'the same' if not lines else ''}")
        for line in lines:
            console.print(f"  {line}", markup=False)
    table = Table(title="counts that differ", title_justify="left")
    table.add_column("")
    for column in (first, second, "difference"):
        table.add_column(column, justify="right", overflow="fold")
    for row in found["counts"]:
        one, other = row["numbers"]
        if one != other:
            table.add_row(row["count"], f"{one:,}", f"{other:,}", f"{other - one:+,}")
    console.print(table if table.row_count else "counts: the same")
    for side, lost_by in zip(found["sentences"], (second, first), strict=True):
        console.print(f"\nsentences that only {side['only_in']} has: {side['number']:,}", markup=False)
        if side["number"] > side["examined"]:
            console.print(f"  of {side['examined']:,} of them, drawn by hash:")
        for reason, of_reason in side["reasons"].items():
            console.print(f"  {of_reason['number']:,}: {reason}, in {lost_by}", markup=False)
            for example in of_reason["examples"]:
                detail = f"  ({masked(example['detail'])})" if example["detail"] else ""
                console.print(f"    - {example['document']}: {masked(example['text'])}{detail}", markup=False)
