"""How a task is evaluated, and what cannot be."""

from dataclasses import dataclass, field
from functools import partial

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.recipe_fields import check_limits, flag
from pretrain.evaluate.hardware import Hardware
from pretrain.evaluate.kinds.registry import KINDS
from pretrain.evaluate.tasks.task import Settings, Task


@dataclass(frozen=True)
class Trials:
    """How a task is evaluated.

    - `seeds`: how many; they count from `settings.seed`.
    - `train_rows`: examples that are drawn of the training file, the same for all seeds and models; None means all.
    - `frozen`: a linear probe.
    - `every_epoch`: whether every epoch is scored; else the last one is, and selected.
    - `export`: whether the model of the first seed is written, after its last epoch.
    - `noises`: of `pretrain.evaluate.noise.NOISES`: the scored split is predicted with each of them, too, after the last epoch.
    """

    settings: Settings
    hardware: Hardware = field(default_factory=Hardware)
    seeds: int = 5
    train_rows: int | None = None
    frozen: bool = False
    every_epoch: bool = True
    export: bool = False
    noises: tuple[str, ...] = ()

    @property
    def each_seed(self) -> list[int]:
        """The seeds, from 0 to 2**32 - 1."""
        return [(self.settings.seed + number) % 2**32 for number in range(self.seeds)]

    def check(self, task: Task) -> None:
        """Raises InputError for a number out of its range, and for what the task has not."""
        check_limits(self.settings, partial(flag, "settings"))
        check_limits(self.hardware, partial(flag, "hardware"))
        for name in ("seeds", "train_rows"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"--{name.replace('_', '-')} {value}: must be 1 or more")
        if self.settings.select_by not in (None, *task.metrics):
            raise InputError(
                f"--settings.select-by {self.settings.select_by}: {task.title} has the metrics {', '.join(task.metrics)}"
            )
        if self.noises and not KINDS[task.kind].of_texts:
            raise InputError(
                f"--noise: changes texts with a class or a score; {task.title} is a task of the kind {task.kind}"
            )
