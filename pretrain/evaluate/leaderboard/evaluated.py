"""A model's evaluations, read from the folder that `evaluate` has written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.storage import read_json
from pretrain.monitoring.curves.compare import names_of

EVALUATION = "evaluation"
"""The folder's name, below a run or what --to says."""
NEEDED = {"items", "metric", "accelerator_hours"}
"""Fields of TASK.json that older code did not write."""


@dataclass(frozen=True)
class Evaluated:
    """A model's evaluations.

    - `folder`: which has them.
    - `results`: by task what TASK.json says.
    """

    name: str
    folder: Path
    results: Mapping[str, Mapping[str, Any]]


def _told(result: Mapping[str, Any]) -> str:
    step = result.get("step")
    return result["model"] if step is None else f"{result['model']} at step {step:,}"


def read_evaluations(folders: Sequence[Path]) -> list[Evaluated]:
    """The evaluations of models, named after their folders."""
    owners = [folder.resolve().parent if folder.resolve().name == EVALUATION else folder for folder in folders]
    models = []
    for name, owner in zip(names_of(owners), owners, strict=True):
        found = [read_json(path) for path in sorted((owner / EVALUATION).glob("*.json"))]
        results = {each["task"]: each for each in found if isinstance(each, dict) and {"task", "scores"} <= set(each)}
        if not results:
            raise InputError(
                f"{owner / EVALUATION}: holds no evaluation; make one with `python -m pretrain evaluate {owner} --task TASK`"
            )
        if old := [task for task, each in results.items() if not set(each) >= NEEDED]:
            raise InputError(
                f"{owner / EVALUATION / old[0]}.json: does not say which items were scored; run the same `python -m pretrain evaluate` again"
            )
        # A model's folder may have moved since, and files of older code do not have the tensors' digest.
        origins = {(Path(each["model"]).name, each.get("tensors_sha256")): task for task, each in results.items()}
        names, digests = {name for name, _ in origins}, {digest for _, digest in origins if digest}
        if max(len(names), len(digests)) > 1:
            told = " and ".join(f"{task}.json is of {_told(results[task])}" for task in origins.values())
            raise InputError(f"{owner / EVALUATION}: {told}; move one away, or evaluate each with a --to of its own")
        models.append(Evaluated(name, owner / EVALUATION, results))
    return models
