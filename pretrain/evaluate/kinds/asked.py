"""task.json beside a fine-tuned model's weights: how it was fine-tuned to be asked. No JAX here."""

from dataclasses import dataclass
from pathlib import Path

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.storage import read_json
from pretrain.evaluate.kinds.registry import KINDS
from pretrain.evaluate.tasks.task import KindName
from pretrain.models.task_heads import TaskHead

FILE = "task.json"


@dataclass(frozen=True)
class Asked:
    """How a model is asked; the defaults are those of models without task.json.

    - `kind`: of the task.
    - `pairs`: of classes and scores: whether of two texts; None where unknown.
    - `characters`: tags are of characters, not of words.
    - `answerable`: every question has an answer.
    - `max_length`: most tokens of a row; None means all that the model reads.
    - `fine_tuned`: by which settings, data and seed of which model; "" where unknown.
    - `document_stride`, `max_query_length`, `max_answer_length`: of spans (`pretrain.evaluate.tasks.task.Settings`).
    """

    kind: KindName
    pairs: bool | None = None
    characters: bool = False
    answerable: bool = True
    max_length: int | None = None
    document_stride: int = 128
    max_query_length: int = 64
    max_answer_length: int = 30
    fine_tuned: str = ""


def read_asked(place: str, head: TaskHead) -> Asked:
    """What FILE says in a folder, or what is customary for a model with this head. Raises InputError for another file of that name."""
    path = Path(place) / FILE
    if path.is_file():
        try:
            asked = Asked(**read_json(path))
            numbers = (asked.document_stride, asked.max_query_length, asked.max_answer_length, asked.max_length or 1)
            if KINDS[asked.kind].head == head.kind and all(isinstance(each, int) and each > 0 for each in numbers):
                return asked
        except (TypeError, KeyError):
            pass
        raise InputError(f"{path}: does not say how this model is asked; remove it, or export the model again")
    if head.kind in ("tags", "span"):
        return Asked(head.kind)
    return Asked("classes" if head.labels else "score")
