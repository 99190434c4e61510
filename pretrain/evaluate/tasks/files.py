"""Where the files of a task are, and what part of the official data they hold."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from data_pipeline.contract.compression import COMPRESSED
from data_pipeline.contract.errors import InputError
from pretrain.evaluate.tasks.examples import DialogueExample, Example
from pretrain.evaluate.tasks.fetching import fetch_file
from pretrain.evaluate.tasks.task import Split, Task

DATA = Path("data")
"""Where files are looked for if nobody says where they are."""
COLLECTIONS = (".", "tasks", "official", "klue_benchmark")
"""Folders of a collection of benchmarks that have a folder for each task."""

SPLIT_SEED = 42
"""Of what tasks hold out: not a setting, because models and seeds are compared on the same rows."""


@dataclass(frozen=True)
class SplitExamples:
    """The examples of a split.

    - `path`: the file that they were read from.
    - `part`: how much of the official data that is, as a sentence without a full stop for pages.
    """

    examples: list[Example]
    path: Path
    part: str


def find_file(task: Task, data: Path | None, split: Split, flag: str = "--data") -> Path:
    """The file of a split.

    - `data`: the folder that holds the task's official files, or one with a folder for each task, itself or below one of
      COLLECTIONS. None looks in DATA and then fetches the file (`pretrain.evaluate.tasks.fetching`).
    - `flag`: what an error calls it.

    Files may be compressed (.gz, .xz, .bz2, .zst). Where no whole file is found, one that holds a part of it will do:
    `NAME_69.json` instead of `NAME.json`. Raises InputError saying where to get a file that is missing.
    """
    if data is not None and not data.is_dir():
        raise InputError(f"{flag} {data}: no such folder; give the one that has the files of {task.title}")
    names = task.files.get(split)
    if not names:
        have = ", ".join(task.files)
        raise InputError(f"{task.name}: {task.title} has no labelled {split} file; its splits are {have}")
    if found := _found(task, data or DATA, split, names):
        return found
    if data is None:
        return fetch_file(task, split)
    where = f"get it from {task.source}" if task.source else f"correct its name in the task's description, or {flag}"
    there = f" (nor is it in a folder {' or '.join(task.folders)} there)" if task.folders else ""
    raise InputError(f"{flag} {data}: {names[0]} of {task.title} is missing{there}; {where}")


def _found(task: Task, data: Path, split: Split, names: Sequence[str]) -> Path | None:
    places = [data, *(data / above / folder for above in COLLECTIONS for folder in task.folders)]
    for place in places:
        for name in names:
            for ending in ("", *COMPRESSED):
                if (place / f"{name}{ending}").is_file():
                    return place / f"{name}{ending}"
    # A part tells what it is a part of only where the whole is known.
    for place in places if split in task.rows else ():
        for name in names:
            parts = sorted(place.glob(f"{Path(name).stem}_[0-9]*{Path(name).suffix}*"))
            if parts:
                return parts[0]
    return None


def read_split(task: Task, data: Path | None, split: Split, flag: str = "--data") -> SplitExamples:
    """Reads a split. See `find_file` for where it may be.

    Where the task holds out a share of train, that share is its scored split, and the rest is train.
    """
    if not task.held_out:
        path = find_file(task, data, split, flag)
        examples = task.read(path)
        return SplitExamples(examples, path, _part(task, examples, split))
    path = find_file(task, data, "train", flag)
    kept, held_out = hold_out(task.read(path), task.held_out, SPLIT_SEED)
    examples = {"train": kept, task.scored: held_out}.get(split, [])
    if not examples:
        if split not in ("train", task.scored):
            raise InputError(f"{task.name}: no {split} split; held_out takes {task.scored} from {path}")
        texts = len({example.group for example in (*kept, *held_out)})
        raise InputError(
            f"{path}: {texts:,} different texts, of which held_out {task.held_out:g} leaves none for {split}; change it, or add rows"
        )
    part = f"{len(examples):,} of {len(kept) + len(held_out):,} rows of {path.name}, split at random"
    return SplitExamples(examples, path, part)


def hold_out(examples: Sequence[Example], share: float, seed: int) -> tuple[list[Example], list[Example]]:
    """Divides examples in two, both in their order.

    - `share`: of all examples, that the second part has; more only by what its last group counts.

    A group of examples with one text is never divided. Whether an example is held out depends on the seed and the groups,
    not on the order of rows.
    """
    sizes: dict[str, int] = {}
    for example in examples:
        sizes[example.group] = sizes.get(example.group, 0) + 1
    order = sorted(sizes, key=lambda group: hashlib.sha256(f"{seed}:{group}".encode()).digest())
    wanted = round(share * len(examples))
    held_out = set(_until(order, sizes, wanted))
    return (
        [example for example in examples if example.group not in held_out],
        [example for example in examples if example.group in held_out],
    )


def _until(groups: Sequence[str], sizes: dict[str, int], wanted: int) -> Iterator[str]:
    for group in groups:
        if wanted <= 0:
            return
        wanted -= sizes[group]
        yield group


def _part(task: Task, examples: Sequence[Example], split: Split) -> str:
    # A row of a dialogue file is a dialogue.
    rows = len({example.dialogue if isinstance(example, DialogueExample) else example.name for example in examples})
    official = task.rows.get(split)
    return f"{rows:,} rows (the official {split} file has {official:,})" if official else f"{rows:,} rows"
