"""What both sides of benchmarks.fine_tune_speed train: the same model, rows and settings."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from pretrain.evaluate.tasks.examples import Example
from pretrain.evaluate.tasks.files import read_split
from pretrain.evaluate.tasks.registry import task_named
from pretrain.evaluate.tasks.task import Settings, Task


class Race(NamedTuple):
    """One task for every contender.

    - `start`: a Hugging Face folder with the parameters of step 0.
    - `rows`: examples an epoch, which is a round; a multiple of the batch, so that all batches are full.
    - `epochs`: as many as there are rounds, the first of which is a warm-up.
    """

    start: Path
    data: Path
    name: str
    rows: int
    epochs: int
    settings: Settings

    @property
    def task(self) -> Task:
        return task_named(self.name)

    def examples(self) -> list[Example]:
        """The rows, drawn of the training file."""
        found = read_split(self.task, self.data, "train").examples
        drawn = np.random.default_rng(0).permutation(len(found))[: self.rows]
        return [found[number] for number in np.sort(drawn)]
