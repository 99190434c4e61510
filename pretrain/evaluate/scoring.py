"""The metrics of a task from answers to its examples."""

from collections.abc import Sequence
from typing import Any

from data_pipeline.contract.errors import InputError
from pretrain.evaluate.kinds.kind import Inputs
from pretrain.evaluate.kinds.registry import KINDS
from pretrain.evaluate.metrics import golden_value
from pretrain.evaluate.tasks.examples import Example
from pretrain.evaluate.tasks.task import Task


def score(task: Task, examples: Sequence[Example], predictions: Sequence[Any]) -> dict[str, float]:
    """The value of each of the task's metrics.

    - `predictions`: one for each example: of "classes" and "relation" float [labels], what goes into a softmax; of "score" a number; of
      "tags" PredictedTags; of "span" a text; of "dependencies" PredictedTree; of "dialogue" the state, as in the example.

    Raises InputError where predictions are missing.
    """
    inputs = metric_inputs(task, examples, predictions)
    return {name: golden_value(name, inputs) for name in task.metrics}


def metric_inputs(task: Task, examples: Sequence[Example], predictions: Sequence[Any]) -> Inputs:
    """What any metric of the task's kind reads. Arguments as for `score`."""
    if len(examples) != len(predictions):
        raise InputError(
            f"{task.title}: {len(predictions)} predictions for {len(examples)} examples; give one for each, in the same order"
        )
    return KINDS[task.kind].inputs(task, examples, predictions)
