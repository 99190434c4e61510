"""report: what went in, what was dropped and why, what the vocabulary and the records are like."""

from itertools import accumulate
from typing import Any

from rich.console import Console
from rich.table import Table

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.records import RecordsHeader, read_header, records_folders
from data_pipeline.contract.run_folder import REPORT, RunFolder
from data_pipeline.contract.storage import read_json
from data_pipeline.prepare.formulae import formulae_table
from data_pipeline.report.facts import examples_shown
from data_pipeline.tasks.cost import Cost, rate, total
from data_pipeline.tasks.shard_task import stage_costs


def print_report(folder: RunFolder, examples: int) -> None:
    """Prints the report of a prepared run folder.

    - `examples`: how many of each reason to show.
    """
    stages = read_json(folder.corpus / REPORT)
    if stages is None:
        raise InputError(f"{folder.path}: prepare has not finished here; run the same prepare command again")
    console = Console(highlight=False, soft_wrap=True)
    _flow(console, stages)
    _costs(console, folder, stages)
    _corpus(console, stages, folder.manifest()["prepare"]["recipe"]["sources"])
    _drops(console, stages)
    _by_source(
        console, "left out by the format's design", stages["documents"].get("skipped", {}), ("number", "file_bytes")
    )
    _by_source(
        console,
        "removed by cleaning, from documents that were kept",
        stages["documents"].get("cleaned", {}),
        ("documents", "characters"),
    )
    _replaced(console, stages["sentences"]["replaced"])
    if stages.get("benchmarks"):
        _benchmarks(console, stages)
    _vocabulary(console, read_json(folder.vocabulary / REPORT), stages["vocabulary"])
    for place in records_folders(folder.examples):
        _records(console, read_header(place), stages["records"])
    _examples(console, stages, examples)


def _flow(console: Console, stages: dict[str, Any]) -> None:
    documents, sentences = stages["documents"], stages["sentences"]
    table = Table(title="from raw text to records", title_justify="left")
    for column in ("stage", "in", "out", "lost"):
        table.add_column(column, justify="left" if column == "stage" else "right")
    rows = [
        ("read and cleaned (documents)", documents["records"], documents["documents"]),
        ("deduplicated, filtered (documents)", sentences["documents_in"], sentences["documents"]),
        ("split, filtered (sentences)", sentences["sentences_in"], sentences["sentences"]),
    ]
    for stage, taken, passed in rows:
        table.add_row(stage, f"{taken:,}", f"{passed:,}", f"{taken - passed:,}")
    console.print(table)
    held_out = sentences.get("evaluation_documents", 0)
    console.print(f"held out for evaluation: {held_out:,} of {sentences['documents']:,} documents")


def _costs(console: Console, folder: RunFolder, stages: dict[str, Any]) -> None:
    """What the stages cost, each task in the run that did it."""
    table = Table(title="what it cost", title_justify="left")
    for column in ("stage", "MB of text", "CPU s", "MB/s per core", "peak MB a worker"):
        table.add_column(column, justify="left" if column == "stage" else "right")

    def add(name: str, text_bytes: int, cost: Cost) -> None:
        speed = (f"{text_bytes / 1e6:,.1f}", f"{rate(text_bytes, cost):,.2f}") if text_bytes else ("", "")
        table.add_row(name, speed[0], f"{cost.cpu_seconds:,.1f}", speed[1], f"{cost.peak_megabytes:,.0f}")

    paid = {stage: stage_costs(folder.corpus, stage) for stage in stages}
    for stage, counts in stages.items():
        add(stage, counts.get("text_bytes", 0), total(paid[stage]))
    all_costs = [cost for costs in paid.values() for cost in costs]
    add("all", stages["documents"].get("text_bytes", 0), total(all_costs))
    console.print(table)


def _corpus(console: Console, stages: dict[str, Any], sources: list[dict[str, Any]]) -> None:
    table = Table(title="corpus; copies are documents trained on, as often as they weigh", title_justify="left")
    numbers = ("documents", "sentences", "characters")
    for column in ("source", "category", *numbers, "copies"):
        text = column in ("source", "category")
        table.add_column(column, justify="left" if text else "right", overflow="fold", no_wrap=not text)
    for source in sources:
        name = source["name"] or source["format"]
        copies = stages["records"]["categories"].get(name, {})
        for category, kept in sorted(stages["sentences"]["categories"].get(name, {"": {}}).items()):
            trained = copies.get(category, {}).get("train_copies", 0)
            table.add_row(name, category, *(f"{kept.get(number, 0):,}" for number in numbers), f"{trained:,}")
    console.print(table)
    for source in sources:
        console.print(f"{source['name'] or source['format']}: licence {source['licence']}, weight {source['weight']:g}")


def _drops(console: Console, stages: dict[str, Any]) -> None:
    table = Table(title="dropped", title_justify="left")
    for column in ("stage", "what", "source", "reason", "number"):
        table.add_column(column, justify="right" if column == "number" else "left")
    for stage in ("documents", "sentences"):
        if bad := stages[stage].get("bad"):
            table.add_row(stage, "records", "", "unreadable", f"{bad:,}")
        for kind, sources in stages[stage]["dropped"].items():
            for source, reasons in sources.items():
                for reason, number in reasons.items():
                    table.add_row(stage, kind, source, reason, f"{number:,}")
    console.print(table if table.row_count else "nothing was dropped")


def _by_source(
    console: Console, title: str, counts: dict[str, dict[str, dict[str, int]]], numbers: tuple[str, ...]
) -> None:
    table = Table(title=title, title_justify="left")
    for column in ("source", "what", *numbers):
        table.add_column(column.replace("_", " "), justify="right" if column in numbers else "left")
    for source, of_source in counts.items():
        for what, of in sorted(of_source.items()):
            table.add_row(source, what, *(f"{of[number]:,}" for number in numbers))
    if table.row_count:
        console.print(table)


def _replaced(console: Console, replaced: dict[str, dict[str, int]]) -> None:
    table = Table(title="personal data replaced by pseudonyms", title_justify="left")
    for column in ("source", "type", "number"):
        table.add_column(column, justify="right" if column == "number" else "left")
    for source, kinds in replaced.items():
        for kind, number in kinds.items():
            table.add_row(source, kind, f"{number:,}")
    if table.row_count:
        console.print(table)


def _benchmarks(console: Console, stages: dict[str, Any]) -> None:
    """What was looked for, and what of it was found."""
    matched = stages["sentences"]["matched"]
    table = Table(title="benchmark texts in the corpus", title_justify="left")
    for column in ("benchmark", "texts", *matched):
        table.add_column(column, justify="left" if column == "benchmark" else "right")
    for name, texts in stages["benchmarks"]["texts"].items():
        table.add_row(name, f"{texts:,}", *(f"{of_source.get(name, 0):,}" for of_source in matched.values()))
    console.print(table)
    console.print(f"documents left with holes: {stages['sentences'].get('documents_with_holes', 0):,}")
    if formulae := stages["formulae"]["formulae"]:
        console.print(formulae_table(formulae))


def _vocabulary(console: Console, report: dict[str, Any], counts: dict[str, Any]) -> None:
    console.print(
        f"\nvocabulary: {report['rows']:,} rows, {report['hangul_initial']:,} word-initial and "
        f"{report['hangul_continuing']:,} continuing Hangul pieces ({report['initial_to_continuing']:.1f} to 1)\n"
        f"on this corpus: [UNK] {report['unknown_rate']:.3%} of tokens{_unknown(report)}, {report['tokens_per_eojeol']:.3f} tokens an eojeol, "
        f"{report['characters_per_token']:.2f} characters a token, continuing pieces {report['continuing_share']:.1%} of tokens"
    )
    if counts.get("corpus_morphemes") not in (None, counts.get("morphemes")):
        console.print(
            f"kept from before text was added: trained on {counts['morphemes']:,} morphemes, the corpus now has "
            f"{counts['corpus_morphemes']:,}; `prepare --retrain-vocabulary` makes a new one"
        )


def _unknown(report: dict[str, Any]) -> str:
    """What becomes [UNK], in characters: a word of a hundred counts as one token. Earlier versions did not count them."""
    if "unknown_characters" not in report:
        return ""
    return f" and {report['unknown_character_rate']:.3%} of characters ({report['unknown_characters']:,})"


def _records(console: Console, header: RecordsHeader, counts: dict[str, Any]) -> None:
    for split, rows in header.rows.items():
        padding = 1 - header.tokens[split] / (rows * header.row_tokens)
        size = f"{header.length} + {header.target_length}" if header.target_length else f"{header.length}"
        console.print(f"records, {split}: {rows:,} rows of {size} tokens ({header.layout}), padding {padding:.2%}")
    made = counts.get("by_length", {}).get(str(header.length), {})  # earlier versions counted none
    if "labelled_1" in made:
        console.print(f"pairs with label 1: {made['labelled_1'] / header.rows['train']:.1%}")
    uses = (
        ("tokens_left_out", "in no row"),
        ("tokens_cut", "cut off"),
        ("target_tokens_cut", "of targets cut off"),
        ("tokens_again", "used a second time"),
    )
    for name, what in uses:
        if number := made.get(name):
            console.print(f"tokens {what}: {number:,} of {made['tokens']:,}")
    if lengths := made.get("segment_lengths"):
        longer = list(accumulate(reversed(lengths)))[::-1]  # longer[n]: segments of at least n tokens
        shown = sorted({0, *(header.length * tenth // 10 - 1 for tenth in range(1, 11))})
        shares = ", ".join(f"{position}: {longer[position + 1] / max(1, longer[1]):.1%}" for position in shown)
        console.print(f"positions trained, share of segments that reach them: {shares}")


def _examples(console: Console, stages: dict[str, Any], number: int) -> None:
    if number == 0:
        return
    for shown in examples_shown(stages):
        console.print(f"\n{shown['heading']}")
        for example in shown["examples"][:number]:
            detail = f"\n      {example['detail']}" if example.get("detail") else ""
            console.print(f"  - {example['id']}: {example['text']}{detail}", markup=False)
