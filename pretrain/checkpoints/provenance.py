"""What a run's parameters were made from, as far as checkpoint and manifest tell: text, licences, another model, token types."""

from collections.abc import Mapping
from typing import Any

from data_pipeline.contract.records import PAIRS
from data_pipeline.contract.run_folder import RunFolder
from pretrain.checkpoints.facts import header_of
from pretrain.checkpoints.verify import Facts

UNKNOWN = "unknown"
"""What a model card says where nothing tells."""


def prepared(facts: Facts, run: RunFolder) -> dict[str, Any]:
    """The section `prepare` of a run's manifest; empty where there is none, or where it is of other records than the checkpoint's."""
    found: dict[str, Any] = run.manifest().get("prepare", {})
    published = [found.get("records", {}), *found.get("other_records", {}).values()]
    trained = {header["fingerprint"] for header in facts.get("headers", {}).values()}
    return found if trained <= {records.get("fingerprint") for records in published} else {}


def started_from(facts: Facts, part: str = "") -> dict[str, Any] | None:
    """What `pretrain.start` said of the model that a run began with; None where it began with drawn parameters.

    - `part`: of an objective with several models; empty, and any that it says nothing of by name, means the first.

    Checkpoints of older code tell nothing but the recipe's `start_from`, which was one place: then only `place` is there.
    """
    place = facts["recipe"].get("start_from")
    told: dict[str, Any] | None = facts.get("started_from", {"place": place} if place else None)
    return told and told.get("others", {}).get(part, told)


def licences(facts: Facts, run: RunFolder) -> tuple[str, ...]:
    """The licences of all that a checkpoint was made from, each once: the corpora's and those of the model it began with."""
    found = [source["licence"] for source in prepared(facts, run).get("recipe", {}).get("sources", [])] or [UNKNOWN]
    if start := started_from(facts):
        for model in (start, *start.get("others", {}).values()):
            found += model.get("licences", [UNKNOWN])
    return tuple(dict.fromkeys(found))


def own_token_types(facts: Facts, run: RunFolder) -> int:
    """The token types of a run's rows: 2 where they hold pairs (`pretrain.objectives.rows`), else 1."""
    headers: Mapping[str, Any] = facts.get("headers", {})
    pairs = (
        any(header["layout"] in PAIRS for header in headers.values()) if headers else header_of(facts, run).has_pairs
    )
    return 2 if pairs else 1


def trained_token_types(facts: Facts, run: RunFolder, part: str = "") -> int | None:
    """The rows of the token type table that training has used, here or in the model it began with; None where unknown.

    - `part`: as for `started_from`.
    """
    start, own = started_from(facts, part), own_token_types(facts, run)
    if start is None:
        return own
    return max(own, start["token_types"]) if "token_types" in start else None
