"""What the counts of a stage must say before the next one begins."""

import json
import logging
from collections import Counter
from collections.abc import Sequence
from typing import Any

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.file_names import tidy_name
from data_pipeline.corpus.sources.plain_text import LONGEST_BLOCK
from data_pipeline.corpus.tally import reconcile, total_dropped
from data_pipeline.recipe import DataRecipe, Source

MOST_CATEGORIES_NAMED = 20
MOST_FILES_NAMED = 3

logger = logging.getLogger("data_pipeline")


def tell_of_empty_files(paths: Sequence[str], records: Sequence[int]) -> None:
    """No mistake for sure, but a download that failed looks like this."""
    empty = [path for path, number in zip(paths, records, strict=True) if not number]
    if empty:
        more = f" and {len(empty) - MOST_FILES_NAMED} more" if len(empty) > MOST_FILES_NAMED else ""
        logger.warning("files without a record: %s%s", ", ".join(empty[:MOST_FILES_NAMED]), more)


def tell_of_single_blocks(sources: Sequence[Source], counts: Sequence[dict[str, Any]]) -> None:
    """Text without blank lines is one document a file, or pieces of one: seldom what was meant where its lines are many.

    - `sources`, `counts`: of each file.
    """
    for source in dict.fromkeys(sources):
        of_source = [each for other, each in zip(sources, counts, strict=True) if other is source]
        lines = [each["lines_of_one_block"] for each in of_source if "lines_of_one_block" in each]
        cut = sum(each.get("blocks_cut", 0) for each in of_source)
        if lines:
            logger.warning(
                "%s: in %s of %s files are many lines (%s) and no blank line, so that each is one document; where each line is one, read them as lines:%s",
                source.name,
                f"{len(lines):,}",
                f"{len(of_source):,}",
                f"{sum(lines):,}",
                source.glob,
            )
        if cut:
            logger.warning(
                "%s: documents longer than %s characters are cut at the end of a line (%s cuts)",
                source.name,
                f"{LONGEST_BLOCK:,}",
                f"{cut:,}",
            )


def check_documents(counts: dict[str, Any], recipe: DataRecipe) -> None:
    """Raises InputError for too many bad records, a category that no document has, and where there is no document."""
    records, bad = counts.get("records", 0), counts.get("bad", 0)
    if bad > recipe.max_bad_records:
        first = counts["examples"]["records: unreadable"][0]
        raise InputError(
            f"{bad} bad records, --data.max-bad-records allows {recipe.max_bad_records}; "
            f"the first: {first['id']}: {first['text']}"
        )
    reconcile("documents", records, counts.get("documents", 0), total_dropped(counts, "documents"), bad)
    found = sorted({category for of_source in counts.get("categories", {}).values() for category in of_source})
    if records and (absent := set(map(tidy_name, recipe.categories)).difference(found)):
        more = ", ..." if len(found) > MOST_CATEGORIES_NAMED else ""
        raise InputError(
            f"--data.categories: no document has the category {sorted(absent)[0]!r} "
            f"(found: {', '.join(found[:MOST_CATEGORIES_NAMED])}{more}); "
            "correct it, or name the field that tells it in category_field of a source"
        )
    if not counts.get("documents"):
        globs = ", ".join(source.glob for source in recipe.sources)
        dropped = f", dropped by source and reason: {_drop_reasons(counts)}" if records else ""
        skipped = Counter[str]()
        for of_source in counts.get("skipped", {}).values():
            skipped.update({what: each["number"] for what, each in of_source.items()})
        left_out = ", ".join(f"{what} {number:,}" for what, number in sorted(skipped.items()))
        dropped += f", left out by the format: {left_out}" if left_out else ""
        raise InputError(f"no document in {globs}: {records} records{dropped}; give files with text in them")


def check_sentences(counts: dict[str, Any]) -> None:
    """In = out + dropped, of documents and of sentences."""
    reconcile("documents", counts["documents_in"], counts.get("documents", 0), total_dropped(counts, "documents"))
    lost = total_dropped(counts, "sentences")
    reconcile("sentences", counts.get("sentences_in", 0), counts.get("sentences", 0), lost)


def check_training_documents(counts: dict[str, Any]) -> None:
    """Raises InputError where the stage sentences left no document to train on."""
    if not counts.get("train_documents"):
        held_out = counts.get("evaluation_documents", 0)
        kept = f"{held_out} held out for evaluation; " if held_out else ""
        raise InputError(
            f"no document is left to train on; {kept}dropped by source and reason: {_drop_reasons(counts)}; give Korean "
            "text, or loosen the rules under --data.korean, --data.long-words, --data.length and --data.evaluation-fraction"
        )


def _drop_reasons(counts: dict[str, Any]) -> str:
    dropped = counts["dropped"].get("documents", {})
    return json.dumps(dropped, ensure_ascii=False) if dropped else "none"
