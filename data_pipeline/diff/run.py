"""diff: two prepared runs side by side: recipes, counts, and which sentences only one has, and through which step."""

from typing import Any

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.recipe_file import differences
from data_pipeline.diff.prepared import Prepared
from data_pipeline.diff.reasons import explain
from data_pipeline.diff.sentences import only_in_one


def diff(first: Prepared, second: Prepared, examined: int) -> dict[str, Any]:
    """What differs between two prepared run folders, JSON-ready.

    - `examined`: sentences of each that are followed through the other's steps; those with the smallest hashes, so that
      they are a fair sample, and the same every time.

    `counts` are exact, and so is the number of sentences that only one has (copies counted). The reasons are of the
    sentences examined. Raises InputError where both are the same folder or files of one are missing.
    """
    if examined < 1:
        raise InputError(f"--examined {examined}: must be at least 1")
    if first.path.resolve() == second.path.resolve():
        raise InputError(f"{first.path}: both are the same run folder; give two")
    of_first, of_second = only_in_one((first, second), examined)
    return {
        "runs": [str(first.path), str(second.path)],
        "recipe": differences(first.facts["recipe"], second.facts["recipe"]),
        "inputs": _inputs(first.facts["inputs"], second.facts["inputs"]),
        "software": differences(first.facts["software"], second.facts["software"]),
        "counts": _counts((first, second)),
        "sentences": [
            {"only_in": str(first.path), "number": of_first.number, **explain(first, second, of_first.sample)},
            {"only_in": str(second.path), "number": of_second.number, **explain(second, first, of_second.sample)},
        ],
    }


def _inputs(first: list[dict[str, Any]], second: list[dict[str, Any]]) -> list[str]:
    """Files that only one run read, or that changed between them."""
    one, other = ({file["path"]: (file["size"], file["stamp"]) for file in files} for files in (first, second))
    gone = [f"{path}: only in the first" for path in one if path not in other]
    new = [f"{path}: only in the second" for path in other if path not in one]
    return gone + new + [f"{path}: changed" for path in one if path in other and one[path] != other[path]]


def _counts(runs: tuple[Prepared, Prepared]) -> list[dict[str, Any]]:
    """A row for each count: what is there after each stage, then what was dropped by stage, kind, source and reason."""
    tables = [_named_counts(run) for run in runs]
    names = list(dict.fromkeys([*tables[0], *tables[1]]))
    return [{"count": name, "numbers": [table.get(name, 0) for table in tables]} for name in names]


def _named_counts(run: Prepared) -> dict[str, int]:
    documents, sentences = run.stages["documents"], run.stages["sentences"]
    found = {
        "documents read": documents["records"],
        "documents after cleaning": documents["documents"],
        "documents kept": sentences["documents"],
        "sentences after splitting": sentences["sentences_in"],
        "sentences kept": sentences["sentences"],
        "characters kept": sentences["characters"],
        "evaluation documents": sentences.get("evaluation_documents", 0),
        "tokens": run.stages["records"]["tokens"],
        "vocabulary rows": run.stages["vocabulary"]["rows"],
        **{f"rows, {split}": rows for split, rows in run.facts["records"]["rows"].items()},
    }
    for stage in ("documents", "sentences"):
        for kind, sources in run.stages[stage]["dropped"].items():
            for source, reasons in sources.items():
                for reason, number in reasons.items():
                    found[f"dropped {kind}: {reason} ({source})"] = number
    for source, kinds in sentences["replaced"].items():
        for kind, number in kinds.items():
            found[f"personal data: {kind} ({source})"] = number
    return found
