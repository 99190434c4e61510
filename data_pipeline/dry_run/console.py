"""What a dry run prints."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from data_pipeline.dry_run.projection import StageProjection, whole
from data_pipeline.dry_run.sample import Sample
from data_pipeline.dry_run.shown import Example


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left")
    return table


def _console() -> Console:
    return Console(highlight=False)


def print_sample(samples: Sequence[Sample]) -> None:
    """What was drawn, and what share of the whole it is."""
    table = _table("sample", "source", "MB of files", "documents drawn", "unreadable", "the whole is")
    for sample in samples:
        cells = (f"{sample.file_bytes / 1e6:,.1f}", f"{len(sample.documents):,}", f"{len(sample.unreadable):,}")
        table.add_row(sample.source.name, *cells, f"{sample.factor:,.1f} times that")
    _console().print(table)
    for sample in samples:
        for unreadable in sample.unreadable[:1]:
            _console().print(f"unreadable, the first: {unreadable.location}: {unreadable.problem}", markup=False)


def print_examples(examples: Sequence[Example], stages: dict[str, Any]) -> None:
    """Text before and after each step, side by side, under what the step lets live."""
    console = _console()
    for step, of_step in groupby(examples, key=lambda example: example.step):
        table = Table(show_lines=True, expand=True)
        table.add_column("before", ratio=1, overflow="fold")
        table.add_column("after", ratio=1, overflow="fold")
        for example in of_step:
            # As Text, for rich would take [brackets] in strings for markup.
            table.add_row(Text(f"{example.id}\n{example.before}"), Text(example.after))
        console.print(f"\n{step}{_survival(step, stages)}", markup=False)
        console.print(table)


def _survival(step: str, stages: dict[str, Any]) -> str:
    """How many survive what a heading of examples tells of: `documents: too short`."""
    kind, separator, reason = step.partition(": ")
    if not separator or kind not in ("documents", "sentences"):
        return ""
    came = {"documents": stages["documents"]["records"], "sentences": stages["sentences"]["sentences_in"]}[kind]
    lost = sum(
        reasons.get(reason, 0)
        for stage in ("documents", "sentences")
        for reasons in stages[stage]["dropped"].get(kind, {}).values()
    )
    return f": {lost:,} of {came:,} {kind} lost, {1 - lost / max(1, came):.2%} survive"


def print_projection(
    samples: Sequence[Sample], stages: dict[str, Any], projected: Sequence[StageProjection], workers: int
) -> None:
    """Survival in the sample and for the whole, and hours."""
    console = _console()
    documents, sentences = stages["documents"], stages["sentences"]
    table = _table("survival", "", "sample", "survive", "whole, projected")

    def row(name: str, number: float, of: float, projected_number: float, unit: str = "") -> None:
        share = f"{number / of:.1%}" if of else ""
        table.add_row(name, f"{number:,.{2 if unit else 0}f}{unit}", share, f"{projected_number:,.0f}{unit}")

    row("documents read", documents["records"], 0, whole(samples, documents, "records"))
    row("documents kept", sentences["documents"], documents["records"], whole(samples, sentences, "documents"))
    all_sentences = sentences["sentences_in"]
    row("sentences kept", sentences["sentences"], all_sentences, whole(samples, sentences, "sentences"))
    read, kept = (
        sum(numbers.get("text_bytes", 0) for of in stage["categories"].values() for numbers in of.values()) / 1e6
        for stage in (documents, sentences)
    )
    row("text read", read, 0, whole(samples, documents, "text_bytes") / 1e6, " MB")
    row("text kept", kept, read, whole(samples, sentences, "text_bytes") / 1e6, " MB")
    if tokens := stages.get("records", {}).get("tokens"):
        factor = whole(samples, sentences, "text_bytes") / 1e6 / max(kept, 1e-9)
        row("tokens (by the sample's vocabulary)", tokens, 0, tokens * factor)
    console.print()
    console.print(table)
    console.print("Duplicates are those inside the sample; the whole has more.")
    table = _table("time", "stage", "CPU, sample", "CPU, whole", f"by the clock, --workers {workers}")
    for each in projected:
        table.add_row(each.stage, *map(_duration, (each.sample_seconds, each.whole_seconds, each.clock_seconds)))
    totals = (
        sum(each.sample_seconds for each in projected),
        sum(each.whole_seconds for each in projected),
        sum(each.clock_seconds for each in projected),
    )
    table.add_row("all", *map(_duration, totals))
    console.print(table)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:,.1f} h"
