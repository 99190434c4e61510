"""The grid of a study: which models are evaluated on which tasks, with which seeds. A cell is one model on one task."""

import functools
import hashlib
import json
import tomllib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.recipe_file import load_recipe
from data_pipeline.recipe import DataRecipe
from pretrain.evaluate.tasks.registry import task_named
from pretrain.evaluate.tasks.task import Settings, Task
from pretrain.recipe import TrainingRecipe

Kind = Literal["pretrained", "random", "run_mlm", "n_grams"]
SEED = 42
"""The first fine-tuning seed."""


@dataclass(frozen=True)
class ModelSpec:
    """A row of the study's tables.

    - `kind`: "pretrained" by `pretrain train`; "random", the same at step 0; "run_mlm", transformers' recipe for the seconds that the
      model `like` has taken; "n_grams", logistic regression on characters.
    - `recipe`: file of data and training; `data`, `training`: flags over it.
    - `steps` of pretraining, or `flops`, of which the steps follow.
    - `learning_rate`: of run_mlm.
    - `seeds`, `fine_tuning_seeds`: how many it has of each; None means the grid's.
    """

    name: str
    kind: Kind
    recipe: str = "benchmarks/studies/recipe.py"
    data: tuple[str, ...] = ()
    training: tuple[str, ...] = ()
    steps: int | None = None
    flops: float | None = None
    like: str = ""
    learning_rate: float = 5e-5
    seeds: int | None = None
    fine_tuning_seeds: int | None = None


@dataclass(frozen=True)
class TaskSpec:
    """A column.

    - `name`: of the task; `held_out`: the share of its dev file that is scored, the rest is learnt from, where no training file is at hand.
    - `train_rows`: examples drawn of the training file; None means all.
    - `frozen`: a linear probe.
    - `noise`: whether the scored texts are noised, too, for the first fine-tuning of the first pretraining seed.
    """

    name: str
    epochs: float = 1.0
    learning_rate: float = 3e-4
    batch_size: int = 32
    max_length: int = 128
    train_rows: int | None = None
    held_out: float = 0.0
    frozen: bool = False
    noise: bool = False

    @property
    def column(self) -> str:
        """Its name in files, unique in a grid."""
        return f"{self.name}-probe" if self.frozen else self.name

    @property
    def task(self) -> Task:
        """The task, selected at its last epoch: no file that is scored is looked at before."""
        found = replace(task_named(self.name), select="last")
        if self.held_out:
            found = replace(found, held_out=self.held_out, files={"train": found.files["dev"]}, rows={})
        return found

    @property
    def settings(self) -> Settings:
        """Those of the task, with what the grid says."""
        own = {name: getattr(self, name) for name in ("epochs", "learning_rate", "batch_size", "max_length")}
        return replace(self.task.settings, warmup_share=0.1, seed=SEED, **own)


@dataclass(frozen=True)
class Grid:
    """A study.

    - `note`: what its page says of the choices.
    - `pretraining_seeds`, `fine_tuning_seeds`: how many of each.
    """

    name: str
    title: str
    models: tuple[ModelSpec, ...]
    tasks: tuple[TaskSpec, ...]
    pretraining_seeds: int = 3
    fine_tuning_seeds: int = 3
    note: str = ""

    def cells(self) -> Iterator["Cell"]:
        """All cells: whole tables of the first pretraining seed, then of the next."""
        for seed in range(max(self.seeds_of(model) for model in self.models)):
            tasks = self.tasks if seed == 0 else [replace(task, noise=False) for task in self.tasks]
            for model in self.models:
                if seed < self.seeds_of(model):
                    count, pretrained = model.fine_tuning_seeds or self.fine_tuning_seeds, self.pretrained(model)
                    yield from (Cell(model, seed, task, count, pretrained) for task in tasks)

    def pretrained(self, model: ModelSpec) -> str:
        """A fingerprint of all that decides a model but its seed; how many others there are does not."""
        own = {**asdict(model), "seeds": None, "fine_tuning_seeds": None}
        recipe = "" if model.kind == "n_grams" else _declared(model.recipe)
        return _digest([own, recipe, self.pretrained(self.model(model.like)) if model.like else ""])

    def seeds_of(self, model: ModelSpec) -> int:
        """How many pretraining seeds a model has."""
        return self.pretraining_seeds if model.seeds is None else model.seeds

    def model(self, name: str) -> ModelSpec:
        """The model of this name."""
        return next(model for model in self.models if model.name == name)


@dataclass(frozen=True)
class Cell:
    """A model of one pretraining seed on one task: as many fine-tunings as `fine_tuning_seeds`."""

    model: ModelSpec
    seed: int
    task: TaskSpec
    fine_tuning_seeds: int
    pretrained: str
    """`Grid.pretrained` of the model."""

    @property
    def name(self) -> str:
        """Of its files."""
        return f"{self.model.name}.{self.seed}.{self.task.column}"

    @property
    def fingerprint(self) -> str:
        """Of all that the grid says of it: a result with another is not of this cell."""
        return _digest([self.pretrained, self.seed, self.fine_tuning_seeds, asdict(self.task)])


def _digest(told: object) -> str:
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]


@functools.cache
def _declared(recipe: str) -> str:
    """All that a recipe file says."""
    return repr(
        [load_recipe(recipe, name, kind)[1] for name, kind in (("data", DataRecipe), ("training", TrainingRecipe))]
    )


def read_grid(path: Path) -> Grid:
    """The grid that a TOML file declares. Raises InputError naming file and field."""
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; give a grid, as benchmarks/studies/pretraining.toml") from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path}: is not TOML: {error}") from None
    grid = Grid(
        path.stem,
        **{**told, "models": _all(path, told, "models", ModelSpec), "tasks": _all(path, told, "tasks", TaskSpec)},
    )
    for task in grid.tasks:
        task_named(task.name, f"{path}: tasks.name", "")
    for model in grid.models:
        if model.kind == "run_mlm" and model.like not in [
            each.name for each in grid.models if each.kind == "pretrained"
        ]:
            raise InputError(f"{path}: model {model.name}: like {model.like!r} names no pretrained model of the grid")
        if model.kind == "pretrained" and (model.steps is None) == (model.flops is None):
            raise InputError(f"{path}: model {model.name}: give steps or flops")
    return grid


def _all(path: Path, told: dict[str, Any], name: str, kind: type[Any]) -> tuple[Any, ...]:
    """Every table of an array of tables as a dataclass."""
    try:
        return tuple(
            kind(**{key: tuple(value) if isinstance(value, list) else value for key, value in table.items()})
            for table in told[name]
        )
    except (KeyError, TypeError) as error:
        raise InputError(f"{path}: {name}: {error}; the fields are those of {kind.__name__}") from None
