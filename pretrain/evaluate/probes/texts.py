"""The texts of a probe: rows of a task's training file, encoded, and packed into rows of the shape that the run trains on."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.tokenizer import Tokenizer
from pretrain.evaluate.kinds.registry import KINDS, OF_TEXTS
from pretrain.evaluate.tasks.examples import TextExample
from pretrain.evaluate.tasks.files import SPLIT_SEED, hold_out, read_split
from pretrain.evaluate.tasks.registry import is_description, task_named
from pretrain.evaluate.tasks.task import Task
from pretrain.evaluate.tasks.user import user_task
from pretrain.recipe import Probes

DRAWING = 0
"""Seed of the rows: not the run's, so that runs are probed with the same ones."""


@dataclass(frozen=True)
class ProbeRows:
    """The rows that are drawn of a task, which never change.

    - `texts`: of each row one, or of a pair both; rows to fit to come first.
    - `labels`: ids of classes, int64 [rows], or scores, float64.
    - `fitted`: how many rows are fitted to; the others are scored.
    - `part`: what they are drawn from, in words.
    """

    task: Task
    texts: list[str]
    labels: np.ndarray
    fitted: int
    part: str


def read_rows(name: str, recipe: Probes) -> ProbeRows:
    """Draws the rows of a task, by its name or description file. Rows with one text are all fitted to or all scored.

    Raises InputError for a task that is unknown, of another kind or without files, and for too few rows.
    """
    data = Path(recipe.data).expanduser()
    own = is_description(name)
    task = (
        user_task(Path(name).expanduser(), data, "--training.probes.tasks", "--training.probes.data")
        if own
        else task_named(name, "--training.probes.tasks")
    )
    if not KINDS[task.kind].of_texts:
        raise InputError(
            f"--training.probes.tasks {name}: {task.title} is a task of the kind {task.kind}; choose tasks of the kinds {' or '.join(OF_TEXTS)}"
        )
    found = read_split(task, data, "train", "--training.probes.data")
    wanted = recipe.train_rows + recipe.test_rows
    order = np.random.default_rng(DRAWING).permutation(len(found.examples))[:wanted]
    drawn = [found.examples[place] for place in order]
    fitted, scored = hold_out(drawn, recipe.test_rows / wanted, SPLIT_SEED)
    examples = cast(Sequence[TextExample], [*fitted, *scored])
    labels = np.array([task.labels.index(str(each.label)) if task.labels else float(each.label) for each in examples])
    if not scored or len(np.unique(labels[: len(fitted)])) < 2:
        raise InputError(
            f"--training.probes.train-rows {recipe.train_rows} and --training.probes.test-rows {recipe.test_rows}: {len(fitted)} and "
            f"{len(scored)} rows of {found.path} are drawn, which is too few to tell labels apart; set them higher"
        )
    texts = [text for each in examples for text in (each.first, each.second) if text is not None]
    return ProbeRows(task, texts, labels, len(fitted), found.part)


def encode(texts: Sequence[str], tokenizer: Tokenizer, length: int) -> list[np.ndarray]:
    """Texts as int32 [n] with special tokens, cut to `length` tokens.

    - `tokenizer`: of `pretrain.subject.text_tokenizer`.

    Raises InputError where special tokens leave no room.
    """
    backend = tokenizer.backend
    if length <= backend.num_special_tokens_to_add(False):
        raise InputError(
            f"--training.probes.length {length}: leaves no room for text beside the special tokens; set it higher"
        )
    backend.enable_truncation(length)
    try:
        return [np.array(row.ids, np.int32) for row in backend.encode_batch(list(texts))]
    finally:
        backend.no_truncation()


def pack(
    texts: Sequence[np.ndarray], length: int, pad_id: int, *, one_a_row: bool = False
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Packs texts in their order into rows, so that few tokens are padding; none sees another.

    - `texts`: int [n], 1 to `length` tokens each.
    - `one_a_row`: each has a row of its own (`ModelConfig.pools_tokens`).

    Returns `tokens`, `segments` (from 1, padding 0) and `positions`, int32 [rows, length], and the row and the segment of each text,
    int64 [texts, 2].
    """
    places: list[tuple[int, int]] = []
    starts: list[int] = []
    row, used, segment = 0, 0, 0
    for text in texts:
        if used + len(text) > length or (one_a_row and used):
            row, used, segment = row + 1, 0, 0
        segment += 1
        places.append((row, segment))
        starts.append(used)
        used += len(text)
    shape = (row + 1, length)
    fields = {
        "tokens": np.full(shape, pad_id, np.int32),
        "segments": np.zeros(shape, np.int32),
        "positions": np.zeros(shape, np.int32),
    }
    for text, (row, segment), start in zip(texts, places, starts, strict=True):
        own = slice(start, start + len(text))
        fields["tokens"][row, own], fields["segments"][row, own] = text, segment
        fields["positions"][row, own] = np.arange(len(text))
    return fields, np.array(places)
