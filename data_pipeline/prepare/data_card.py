"""README.md of an export of text: what the hub reads, and the run's own account."""

from collections.abc import Mapping, Sequence
from typing import Any

from data_pipeline.contract.licences import UNKNOWN, forbids_redistribution, hub_licence
from data_pipeline.corpus.exported import METADATA, SIGNALS

SIZES = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (10**6, "100K<n<1M"),
    (10**7, "1M<n<10M"),
    (10**8, "10M<n<100M"),
)
"""The hub's categories of sizes, by documents."""
FIELDS: tuple[tuple[str, str, str], ...] = (
    (
        "id",
        "string",
        "32 hexadecimal digits, the hash of the cleaned text before pseudonyms and removals; equal texts have equal ids",
    ),
    ("text", "string", "the text: sentences and the blanks between them"),
    ("source", "string", "name of the corpus"),
    ("created", "string", "when it was written, ISO 8601; empty: unknown"),
    ("added", "string", "when it came into this collection, ISO 8601; empty: unknown"),
    ("category", "string", "kind of text; empty: unknown"),
    ("licence", "string", "licence of the corpus, as its recipe says"),
    ("split", "string", "train or validation"),
    ("sentence_starts", "list: int32", "where each sentence starts in `text`, in code points"),
    ("gaps", "list: int32", "numbers of the sentences (from 0) before which something was removed"),
    ("duplicates", "int32", "documents with the same cleaned text that were dropped; near duplicates are not counted"),
    ("weight", "float32", "how often the run trained on it"),
    (
        "signals",
        f"float32: {' '.join(SIGNALS)}",
        "hangul_share (of the letters), mean_sentence_chars, repeated_sentence_share; null: not defined",
    ),
    (
        "metadata",
        f"string: {' '.join(METADATA)}",
        "title, url, date (as its source has it), location (file and line of its source); null: unknown",
    ),
)
"""Of a row: name, type in the words of `datasets`, and what it is."""


def data_card(
    name: str,
    prepare: Mapping[str, Any],
    sources: Sequence[Mapping[str, Any]],
    counts: Mapping[str, Mapping[str, int]],
    file_format: str,
) -> str:
    """The card.

    - `prepare`: the manifest's section of that name.
    - `sources`: those that were written, as `prepare` has them. `counts`: of each split documents, sentences and text_bytes.
    - `file_format`: ending of the shards.
    """
    documents = sum(numbers.get("documents", 0) for numbers in counts.values())
    splits = [split for split, numbers in counts.items() if numbers.get("documents")]
    licences = [source["licence"] for source in sources]
    front = [
        "---",
        "language: ko",
        f"license: {hub_licence(licences)}",
        "task_categories:",
        "- text-generation",
        "- fill-mask",
        "size_categories:",
        f"- {next((category for most, category in SIZES if documents < most), '100M<n<1B')}",
        "configs:",
        "- config_name: default",
        "  data_files:",
        *(line for split in splits for line in (f"  - split: {split}", f"    path: data/{split}-*.{file_format}")),
        "dataset_info:",
        "  features:",  # without them JSON Lines have their dates read as times
        *(line for name, kind, _ in FIELDS for line in _feature(name, kind)),
        "---",
    ]
    table = [
        "| split | documents | sentences | MB of text |",
        "|---|---|---|---|",
        *(
            f"| {split} | {counts[split]['documents']:,} | {counts[split]['sentences']:,} | {counts[split]['text_bytes'] / 1e6:,.1f} |"
            for split in splits
        ),
    ]
    names = {source["name"] or source["format"] for source in sources}
    told = [each for each in prepare["account"]["sources"] if each.partition(":")[0] in names]
    held = [source["name"] or source["format"] for source in sources if forbids_redistribution(source["licence"])]
    corpora = [
        "| corpus | licence | category |",
        "|---|---|---|",
        *(
            f"| {source['name'] or source['format']} | {source['licence']} | {_category(source)} |"
            for source in sources
        ),
    ]
    warning = f"**Not to be passed on**: the licence of {', '.join(held)} forbids it.\n\n" if held else ""
    unknown = (
        f" Of corpora whose licence is {UNKNOWN} nobody here knows whether they may be passed on."
        if UNKNOWN in licences
        else ""
    )
    sections = [
        "\n".join(front),
        f"# {name}\n\n{warning}Korean text, cleaned, filtered and cut into sentences, as a model was trained on it.\n\n"
        + "\n".join(table),
        "## Sources\n\n"
        + "\n".join(corpora)
        + "\n\n"
        + "\n".join(f"- {each}" for each in told)
        + f"\n\nEach document is under the licence of its corpus (`licence`).{unknown}",
        "## What was done to the text\n\n" + "\n".join(f"- {each}" for each in prepare["account"]["steps"]),
        "## Personal information\n\nTitles went through the same rules as the text. Of what the sources tell of a document only title, address and "
        "date are kept: no authors, no speakers. The address is as the source has it.",
        "## Fields\n\n| field | |\n|---|---|\n" + "\n".join(f"| `{field}` | {what} |" for field, _, what in FIELDS),
        f"Prepared by korean-pretrain {prepare['software']['code']} with the recipe {prepare['recipe_name']}.",
    ]
    return "\n\n".join(sections) + "\n"


def _feature(name: str, kind: str) -> list[str]:
    """A field in the words of `datasets`."""
    what, _, of = kind.partition(": ")
    if what == "list":
        return [f"  - name: {name}", f"    list: {of}"]
    if of:
        members = (line for member in of.split() for line in (f"    - name: {member}", f"      dtype: {what}"))
        return [f"  - name: {name}", "    struct:", *members]
    return [f"  - name: {name}", f"    dtype: {what}"]


def _category(source: Mapping[str, Any]) -> str:
    field = source.get("category_field", "")
    return f"by field {field}" if field else source.get("category", "")
