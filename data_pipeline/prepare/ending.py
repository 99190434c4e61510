"""What prepare prints at its end: rows, tokens, what was lost, and what to run next."""

import shlex
from collections import Counter
from typing import Any

from data_pipeline.contract.records import read_header, records_folders
from data_pipeline.contract.run_folder import REPORT, RunFolder
from data_pipeline.contract.storage import read_json

Reasons = Counter[str]


def ending(folder: RunFolder, recipe: str) -> list[str]:
    """Lines about a prepared run.

    - `recipe`: how the command names it.
    """
    stages, vocabulary = read_json(folder.corpus / REPORT), read_json(folder.vocabulary / REPORT)
    documents, sentences = stages["documents"], stages["sentences"]
    read, kept = (_total(stage, "text_bytes") for stage in (documents, sentences))
    unit, size = ("MB", 1e6) if read >= 1e6 else ("KB", 1e3)
    lines = [f"prepared in {folder.path}"]
    for place in records_folders(folder.examples):
        header = read_header(place)
        of = ", ".join(
            f"{split} {rows:,} ({header.tokens[split]:,} tokens)"
            for split, rows in sorted(header.rows.items(), reverse=True)
        )
        lines.append(f"  rows of {header.row_tokens}: {of}")
    lines += [
        f"  kept: {sentences['documents']:,} of {documents['records']:,} documents, {sentences['sentences']:,} of "
        f"{sentences['sentences_in']:,} sentences, {kept / size:,.1f} of {read / size:,.1f} {unit} of text",
        *(f"  {kind} dropped: {_told(lost)}" for kind, lost in _dropped(documents, sentences) if lost),
    ]
    if skipped := _added(documents.get("skipped", {}), "number"):
        lines.append(f"  left out by the format: {_told(skipped)}")
    if cleaned := _added(documents.get("cleaned", {}), "characters"):
        lines.append(f"  characters removed by cleaning: {_told(cleaned)}")
    lines.append(
        f"  [UNK]: {vocabulary['unknown_character_rate']:.3%} of characters ({vocabulary['unknown_characters']:,}), "
        f"{vocabulary['unknown_rate']:.3%} of tokens"
    )
    where = shlex.quote(str(folder.path))
    return [
        *lines,
        "next:",
        f"  python -m data_pipeline report {where}",
        f"  python -m pretrain train {shlex.quote(recipe)} --run-dir {where}",
    ]


def _total(stage: dict[str, Any], name: str) -> int:
    return sum(numbers.get(name, 0) for of in stage["categories"].values() for numbers in of.values())


def _dropped(*stages: dict[str, Any]) -> list[tuple[str, Reasons]]:
    """Reasons by kind, those of all sources and stages together."""
    found: dict[str, Reasons] = {"records": Counter(), "documents": Counter(), "sentences": Counter()}
    for stage in stages:
        found["records"]["unreadable"] += stage.get("bad", 0)
        for kind, sources in stage["dropped"].items():
            for reasons in sources.values():
                found[kind].update(reasons)
    return [(kind, +reasons) for kind, reasons in found.items()]


def _added(by_source: dict[str, dict[str, dict[str, int]]], number: str) -> Reasons:
    total: Reasons = Counter()
    for of_source in by_source.values():
        total.update({what: counts[number] for what, counts in of_source.items()})
    return total


def _told(numbers: Reasons) -> str:
    return ", ".join(
        f"{what} {number:,}" for what, number in sorted(numbers.items(), key=lambda pair: (-pair[1], pair[0]))
    )
