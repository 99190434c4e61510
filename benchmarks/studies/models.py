"""The models of a study, made by the public commands when a cell first needs them."""

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from benchmarks.learning_curve import run
from benchmarks.studies.grid import Grid, ModelSpec
from benchmarks.studies.results import Facts
from data_pipeline.contract.recipe_file import load_recipe
from data_pipeline.contract.records import read_header
from data_pipeline.contract.run_folder import RunFolder
from data_pipeline.contract.storage import read_json, write_json
from data_pipeline.contract.tokenizer import TOKENIZER_FILES
from pretrain.checkpoints.facts import recipe_of
from pretrain.checkpoints.verify import facts_of, newest_valid, step_folder
from pretrain.job import objective_of
from pretrain.recipe import TrainingRecipe

FACTS = "pretraining.json"
"""What a finished model says of its pretraining."""
BASE = "prepared-recipe"
"""The run folder of benchmarks/studies/recipe.py, whose corpus the others take over."""
BENCHMARKS = ("tasks", "official")


@dataclass(frozen=True)
class Models:
    """The models of a grid.

    - `data`: has the tasks in tasks/ and official/, whose texts go from the corpus, which is that of the models' recipes.
    - `work`: the folder where they are kept.
    """

    grid: Grid
    data: Path
    work: Path

    def place(self, model: ModelSpec, seed: int) -> Path | None:
        """A run folder or a Hugging Face folder, made now where it is not there; None of a model that is not pretrained."""
        if model.kind == "n_grams":
            return None
        folder = self.folder(model, seed)
        if not (folder / FACTS).is_file():
            if model.kind == "run_mlm":
                self._run_mlm(model, seed, folder)
            else:
                self._pretrain(model, seed, folder)
        return folder

    def folder(self, model: ModelSpec, seed: int) -> Path:
        """Where a model is or will be; another recipe or number of steps is another folder."""
        return self.work / "models" / f"{model.name}-{seed}-{self.grid.pretrained(model)[:8]}"

    def facts(self, model: ModelSpec, seed: int) -> Facts:
        """Of a model's pretraining: steps, tokens, seconds; empty where there was none."""
        return {} if model.kind == "n_grams" else read_json(self.folder(model, seed) / FACTS) or {}

    @cached_property
    def corpus(self) -> RunFolder:
        """The decontaminated corpus, with the rows of the grid's first pretrained model."""
        first = next(model for model in self.grid.models if model.kind != "n_grams")
        return self._prepared(first)

    def _prepared(self, model: ModelSpec) -> RunFolder:
        """A run folder with a model's rows; corpus and vocabulary are those of all models."""
        name = "-".join(
            ("prepared", Path(model.recipe).stem, *(flag.strip("-").replace("/", "-") for flag in model.data))
        )
        folder, whole = RunFolder(self.work / name), self.work / BASE
        if not folder.path.exists() and whole.exists():
            linked(whole, folder.path, ("corpus", "vocabulary", "manifest.json"))
        benchmarks = [word for each in BENCHMARKS for word in ("--benchmark", str(self.data / each))]
        run("data_pipeline", "prepare", model.recipe, "--run-dir", folder.path, *benchmarks, *model.data)
        return folder

    def _pretrain(self, model: ModelSpec, seed: int, folder: Path) -> None:
        prepared = self._prepared(model)
        if not folder.exists():
            linked(prepared.path, folder, ("vocabulary", "examples", "manifest.json"))
        steps = self._steps(model, prepared)
        length = f"--training.max-steps {steps}"
        if model.kind == "random":
            # A step that learns nothing leaves the checkpoint of step 0.
            length = "--training.max-steps 1 --training.optimizer.learning-rate 0 --training.optimizer.warmup-steps 0"
        flags = ("--training.seed", str(seed), *model.training, *length.split())
        run("pretrain", "train", model.recipe, "--run-dir", folder, *flags)
        run_folder = RunFolder(folder)
        newest = newest_valid(run_folder.checkpoints)
        assert newest is not None
        told = facts_of(step_folder(run_folder.checkpoints, newest[0]))
        done = newest[0] if model.kind == "pretrained" else 0
        facts = {
            "steps": done,
            "tokens": done * recipe_of(run_folder).global_batch_size * read_header(run_folder.examples).length,
            "seconds": round(sum(part["seconds"] for part in told["parts"]), 1),
            "parameters": told["parameters"],
        }
        write_json(folder / FACTS, facts)

    def _steps(self, model: ModelSpec, prepared: RunFolder) -> int:
        """Steps of pretraining: those of the grid, or as many as its arithmetic pays for."""
        if model.flops is None:
            return model.steps or 0
        _, recipe = load_recipe(model.recipe, "training", TrainingRecipe)
        objective = objective_of(recipe, read_header(prepared.examples))
        return max(1, round(model.flops / (objective.flops_per_row() * recipe.global_batch_size)))

    def _run_mlm(self, model: ModelSpec, seed: int, folder: Path) -> None:
        """transformers' recipe on the rows of the model whose time it gets, from its architecture and tokenizer."""
        like = self.grid.model(model.like)
        place = self.place(like, seed)
        assert place is not None
        export = RunFolder(place).export
        run("pretrain", "export", place)
        unfinished = folder.with_name(f"{folder.name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        asked = {
            "config": str(export),
            "examples": str(RunFolder(place).examples),
            "seconds": self.facts(like, seed)["seconds"],
            "learning_rate": model.learning_rate,
            "seed": seed,
        }
        run("benchmarks.studies.run_mlm", json.dumps(asked), unfinished)
        for name in TOKENIZER_FILES:
            if (export / name).exists():
                shutil.copyfile(export / name, unfinished / name)
        unfinished.rename(folder)


def linked(source: Path, folder: Path, parts: Sequence[str]) -> None:
    """Copies parts of a run folder without their bytes: its files are only ever replaced."""
    fresh = folder.with_name(f"{folder.name}.unfinished")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    for part in parts:
        if (source / part).is_dir():
            shutil.copytree(source / part, fresh / part, copy_function=os.link)
        else:
            shutil.copyfile(source / part, fresh / part)
    fresh.rename(folder)
