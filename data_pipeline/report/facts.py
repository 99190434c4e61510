"""What the report of a run says, as JSON: the page is drawn from this, and nothing else."""

from dataclasses import asdict
from typing import Any

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.records import RecordsHeader, read_header, records_folders
from data_pipeline.contract.run_folder import REPORT, RunFolder
from data_pipeline.contract.storage import read_json
from data_pipeline.corpus.histogram_bins import LENGTH_EDGES, SHARE_BINS
from data_pipeline.corpus.steps.pseudonyms.masked import masked
from data_pipeline.corpus.tally import EXAMPLE_CHARS, REPLACED, merged
from data_pipeline.pipeline import ROWS, reasons_of
from data_pipeline.prepare.formulae import formulae_listed
from data_pipeline.tasks.cost import rate, total
from data_pipeline.tasks.shard_task import stage_costs

ORDER = {heading: place for place, heading in enumerate(heading for row in ROWS for heading in row.reasons)}
"""Headings in the order of the steps; what is lost before them is not among them."""
CUT = 40
"""Characters that a cut example loses at its end: half a telephone number is not recognised as one."""


def stages_of(folder: RunFolder) -> dict[str, Any]:
    """The counts of a prepared run folder, by stage; an InputError where prepare has not finished."""
    stages: dict[str, Any] | None = read_json(folder.corpus / REPORT)
    if stages is None:
        raise InputError(f"{folder.path}: prepare has not finished here; run the same prepare command again")
    if "histograms" not in stages["sentences"] or "by_length" not in stages["records"]:
        raise InputError(
            f"{folder.path}: prepared by an earlier version, which counted less than the page shows; run the same prepare "
            "command again, or report with --no-page"
        )
    return stages


def report_facts(folder: RunFolder) -> dict[str, Any]:
    """Everything that the page shows. Personal data in examples is masked, whatever the recipe says.

    Raises InputError where prepare has not finished in the folder.
    """
    stages = stages_of(folder)
    prepared = folder.manifest()["prepare"]
    recipe = prepared["recipe"]
    sentences = stages["sentences"]
    records = [_records(read_header(place), stages["records"]) for place in records_folders(folder.examples)]
    return {
        "run": {
            "name": folder.path.resolve().name,
            "recipe": prepared["recipe_name"],
            "software": prepared["software"],
        },
        "flow": _flow(stages),
        "sources": [_source(source, stages) for source in recipe["sources"]],
        "dropped": _dropped(stages),
        "skipped": stages["documents"].get("skipped", {}),
        "cleaned": stages["documents"].get("cleaned", {}),
        "histograms": {
            "length_edges": LENGTH_EDGES,
            "share_edges": [bin_ / SHARE_BINS for bin_ in range(SHARE_BINS)],
            "min_hangul_share": recipe["korean"]["min_hangul_share"],
            "by_source": {
                name: {source: _kept(moments) for source, moments in by.items()}
                for name, by in sentences["histograms"].items()
            },
            "all": {name: _kept(merged(by.values())) for name, by in sentences["histograms"].items()},
        },
        "near_duplicates": {
            name: stages.get("survivors", {}).get(name, 0) for name in ("near_duplicates", "groups", "largest_group")
        },
        "benchmarks": {
            name: {
                "texts": texts,
                "sources": {source: found.get(name, 0) for source, found in sentences["matched"].items()},
            }
            for name, texts in sorted(stages.get("benchmarks", {}).get("texts", {}).items())
        },
        "formulae": formulae_listed(stages.get("formulae", {}).get("formulae", {})),
        "documents_with_holes": sentences.get("documents_with_holes", 0),
        "personal_data": sentences["replaced"],
        "vocabulary": read_json(folder.vocabulary / REPORT),
        "records": records,
        "costs": _costs(folder, stages),
        "examples": examples_shown(stages),
    }


def _records(header: RecordsHeader, counts: dict[str, Any]) -> dict[str, Any]:
    """The records of one length, and what the layout did to make them."""
    made = counts["by_length"][str(header.length)]
    return {**asdict(header), "row_tokens": header.row_tokens, "has_pairs": header.has_pairs, "made": made}


def _kept(moments: dict[str, list[int]]) -> dict[str, list[int]]:
    """A histogram of what came into the filters, and of what they kept."""
    came = moments["in"]
    lost = moments.get("lost", [0] * len(came))
    return {"in": came, "kept": [one - other for one, other in zip(came, lost, strict=True)]}


def _flow(stages: dict[str, Any]) -> list[dict[str, Any]]:
    """What is there after each stage: documents, sentences and bytes of text (UTF-8)."""
    documents, sentences = stages["documents"], stages["sentences"]
    duplicates = reasons_of("drop_duplicates", "near_duplicates")
    clean = _category_total(documents, "clean_bytes")
    repeated, repeated_bytes = (
        sum(
            number
            for reasons in sentences[kind].get("documents", {}).values()
            for reason, number in reasons.items()
            if reason in duplicates
        )
        for kind in ("dropped", "dropped_bytes")
    )
    return [
        {"after": "read", "documents": documents["records"], "text_bytes": documents.get("text_bytes", 0)},
        {"after": "cleaned", "documents": documents["documents"], "text_bytes": clean},
        {
            "after": "deduplicated and split",
            "documents": sentences["documents_in"] - repeated,
            "sentences": sentences["sentences_in"],
            "text_bytes": clean - repeated_bytes,
        },
        {
            "after": "filtered",
            "documents": sentences["documents"],
            "sentences": sentences["sentences"],
            "text_bytes": _category_total(sentences, "text_bytes"),
        },
    ]


def _category_total(counts: dict[str, Any], name: str) -> int:
    return sum(numbers.get(name, 0) for categories in counts["categories"].values() for numbers in categories.values())


def _source(source: dict[str, Any], stages: dict[str, Any]) -> dict[str, Any]:
    name = source["name"] or source["format"]
    read, kept, trained = (stages[stage]["categories"].get(name, {}) for stage in ("documents", "sentences", "records"))
    categories = {
        category: {
            "records": of.get("records", 0),
            "bytes_read": of.get("text_bytes", 0),
            "documents": kept.get(category, {}).get("documents", 0),
            "sentences": kept.get(category, {}).get("sentences", 0),
            "characters": kept.get(category, {}).get("characters", 0),
            "bytes_kept": kept.get(category, {}).get("text_bytes", 0),
            "copies_trained_on": trained.get(category, {}).get("train_copies", 0),
        }
        for category, of in sorted(read.items())
    }
    return {
        "name": name,
        **{field: source[field] for field in ("format", "glob", "licence", "weight")},
        "all": merged(categories.values()),
        "categories": categories,
    }


def _dropped(stages: dict[str, Any]) -> list[dict[str, Any]]:
    """A row for each stage, kind and reason, with numbers and bytes by source."""
    rows = []
    for stage in ("documents", "sentences"):
        counts = stages[stage]
        if counts.get("bad"):
            rows.append(
                {"stage": stage, "kind": "records", "reason": "unreadable", "number": counts["bad"], "sources": {}}
            )
        for kind, sources in counts["dropped"].items():
            reasons = sorted({reason for of_source in sources.values() for reason in of_source})
            for reason in reasons:
                by_source = {
                    source: {
                        "number": of_source[reason],
                        "text_bytes": counts["dropped_bytes"][kind][source][reason],
                    }
                    for source, of_source in sources.items()
                    if reason in of_source
                }
                both = merged(by_source.values())
                rows.append({"stage": stage, "kind": kind, "reason": reason, **both, "sources": by_source})
    return sorted(rows, key=lambda row: ORDER.get(f"{row['kind']}: {row['reason']}", -1))


def _costs(folder: RunFolder, stages: dict[str, Any]) -> list[dict[str, Any]]:
    """What each stage cost, each task in the run that did it."""
    rows = []
    for stage, counts in stages.items():
        cost = total(stage_costs(folder.corpus, stage))
        text_bytes = counts.get("text_bytes", 0)
        speed = rate(text_bytes, cost) if text_bytes else None
        rows.append({"stage": stage, "text_bytes": text_bytes, **asdict(cost), "megabytes_per_second": speed})
    return rows


def examples_shown(stages: dict[str, Any]) -> list[dict[str, Any]]:
    """A few of what was dropped or replaced, by heading; personal data are masked."""
    found = []
    for stage in ("documents", "survivors", "sentences"):
        for heading, examples in stages.get(stage, {}).get("examples", {}).items():
            if examples:
                masked_already = heading.startswith(REPLACED)
                shown = examples if masked_already else [without_personal_data(example) for example in examples]
                found.append({"heading": heading, "examples": shown})
    return found


def without_personal_data(example: dict[str, str]) -> dict[str, str]:
    """An example of what was dropped, fit to be shown: personal data masked, whatever the recipe says."""
    return {**example, "text": _shown(example["text"]), "detail": _shown(example["detail"])}


def _shown(text: str) -> str:
    """Without readable personal data, also where the text was cut."""
    hidden = masked(text)
    return f"{hidden[:-CUT]}…" if len(text) >= EXAMPLE_CHARS else hidden
