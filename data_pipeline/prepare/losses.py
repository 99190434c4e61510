"""What was not read of the files, for the last lines that a command prints."""

import logging
from collections import Counter
from collections.abc import Iterator, Sequence

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.storage import InputFile
from data_pipeline.corpus.stages.documents import damage, place_of
from data_pipeline.recipe import DataRecipe
from data_pipeline.tasks.shard_task import Done

logger = logging.getLogger("data_pipeline")


def check_damage(done: Sequence[Done], files: Sequence[InputFile], recipe: DataRecipe) -> None:
    """Raises InputError for a damaged file that an earlier command read up to the damage, which this one must not."""
    if recipe.read_up_to_damage:
        return
    for task, file in zip(done, files, strict=True):
        for found in task.counts.get("damage", []):
            raise InputError(damage(place_of(file, found["place"]), found["problem"], found["mend"]))


def losses(done: Sequence[Done], files: Sequence[InputFile], recipe: DataRecipe) -> list[str]:
    """A sentence for the bad records that were left out, one for each file of which the rest is unread, and one a kind of damaged characters.

    - `done`: the tasks of the stage documents; `files`: that of each.
    """
    return list(_losses(done, files, recipe))


def _losses(done: Sequence[Done], files: Sequence[InputFile], recipe: DataRecipe) -> Iterator[str]:
    bad = sum(task.counts.get("bad", 0) for task in done)
    if bad:
        first = next((task, file) for task, file in zip(done, files, strict=True) if task.counts.get("bad"))
        record = first[0].counts["first_bad"][0]
        records = "1 bad record is" if bad == 1 else f"{bad:,} bad records are"
        yield (
            f"{records} left out (--data.max-bad-records {recipe.max_bad_records} allows that); "
            f"{'it' if bad == 1 else 'the first'} is {place_of(first[1], record['place'])}: {record['problem']}"
        )
    for task, file in zip(done, files, strict=True):
        for found in task.counts.get("damage", []):
            unread = task.counts["unread_bytes"]
            rest = f"{unread:,} bytes from there on are unread" if unread else "how much is missing is not known"
            yield f"{place_of(file, found['place'])}: {found['problem']}; {rest} (--data.read-up-to-damage allows that)"

    counts = Counter[str]()
    for task in done:
        counts.update({name: task.counts.get(name, 0) for name in ("lost_characters", "private_use", "hanyang")})
    if counts["lost_characters"]:
        yield (
            f"{_characters(counts['lost_characters'], 'was', 'were')} lost before the text came here (U+FFFD) and left out; documents with "
            f"more than {recipe.repair.max_lost_share:.0%} of them are dropped (--data.repair.max-lost-share)"
        )
    if counts["private_use"]:
        yield (
            f"{_characters(counts['private_use'], 'is', 'are')} private use (U+E0BC to U+F8F7), as Hanyang's fonts write old Hangul, and left "
            "as it came; --data.repair.hanyang maps it to jamo"
        )
    if counts["hanyang"]:
        yield f"{_characters(counts['hanyang'], 'was', 'were')} private use of Hanyang's fonts and mapped to jamo"


def _characters(number: int, one: str, several: str) -> str:
    return f"{number:,} {f'character {one}' if number == 1 else f'characters {several}'}"


def tell(sentences: Sequence[str]) -> None:
    """Prints them, each on a line of its own."""
    for sentence in sentences:
        logger.warning("%s", sentence)
