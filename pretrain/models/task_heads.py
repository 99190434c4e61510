"""What a model is fine-tuned to say, three of five in transformers' forms, and how a config.json tells it. No JAX here."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

TaskKind = Literal["classifier", "tags", "span", "dependencies", "slots"]
CLASSES: dict[TaskKind, str] = {
    "classifier": "ForSequenceClassification",
    "tags": "ForTokenClassification",
    "span": "ForQuestionAnswering",
}
"""The end of the name of transformers' class, by kind of head; one without has no folder to export."""

CLASSIFIER_DROPOUT = "classifier_dropout"
"""What most families' config.json calls the dropout of a head."""


@dataclass(frozen=True)
class ParserSizes:
    """Sizes of a head of dependencies (`pretrain.models.core.dependency_parser`), KLUE-baseline's.

    - `parts_of_speech`: how many there are; `part_of_speech`: the width of their vectors.
    - `hidden`: of each LSTM; `arcs`, `relations`: of the vectors that the biaffine forms compare.
    """

    parts_of_speech: int = 45
    part_of_speech: int = 256
    hidden: int = 768
    arcs: int = 512
    relations: int = 256


GATES = ("none", "dontcare", "ptr", "yes", "no")
"""What a head of slots says of each: a gate's own name is its value, but `ptr` has one that is generated; ids are positions."""
PIPELINES: dict[TaskKind, str] = {
    "classifier": "text-classification",
    "tags": "token-classification",
    "span": "question-answering",
}
"""The hub's task, by kind of head."""


@dataclass(frozen=True)
class TaskHead:
    """The head of a fine-tuned model.

    - `kind`: `classifier` (of a row), `tags` (of each token), `span` (its start and its end), `dependencies` (of eojeols) or `slots`
      (of a dialogue's state).
    - `labels`: the classes, tags, relations or slots, ids are places; empty for a `span`, and for a `classifier` whose output is one score.
    - `dropout`: before the last map, 0 to below 1 (transformers' `classifier_dropout`); None: what transformers takes for the
      family, which mostly is the model's dropout of hidden states; of `dependencies` 0.33.
    - `parser`: of `dependencies`; None for KLUE-baseline's sizes.
    """

    kind: TaskKind
    labels: tuple[str, ...] = ()
    dropout: float | None = None
    parser: ParserSizes | None = None

    @property
    def outputs(self) -> int:
        """Numbers that the head gives for a row, or for each token."""
        return len(self.labels) or {"classifier": 1, "span": 2}.get(self.kind, 0)


def task_to_json(head: TaskHead, prefix: str, dropout: str = CLASSIFIER_DROPOUT) -> dict[str, Any]:
    """A head's part of config.json.

    - `prefix`: how transformers' names of the family's classes begin, as "Bert".
    - `dropout`: what it calls the head's dropout, which it leaves out where the head has none of its own.
    """
    told: dict[str, Any] = {"architectures": [prefix + CLASSES[head.kind]]}
    if head.dropout is not None:
        told[dropout] = head.dropout
    if head.kind == "span":
        return told
    labels = head.labels or ("LABEL_0",)
    if head.kind == "classifier":
        told["problem_type"] = "single_label_classification" if head.labels else "regression"
    return {
        **told,
        "id2label": {str(index): label for index, label in enumerate(labels)},
        "label2id": {label: index for index, label in enumerate(labels)},
    }


def task_from_json(configuration: Mapping[str, Any], dropout: str = CLASSIFIER_DROPOUT) -> TaskHead | None:
    """The head that a config.json tells; None where its class has none of these, or gives several labels at once.

    - `dropout`: as for `task_to_json`.
    """
    named = (configuration.get("architectures") or [""])[0]
    kind = next((kind for kind, ending in CLASSES.items() if named.endswith(ending)), None)
    if kind is None or configuration.get("problem_type") == "multi_label_classification":
        return None
    # Where config.json names no labels, transformers takes two.
    ids = configuration.get("id2label") or {str(index): f"LABEL_{index}" for index in range(2)}
    labels = tuple(label for _, label in sorted(ids.items(), key=lambda item: int(item[0])))
    is_score = kind == "classifier" and (configuration.get("problem_type") == "regression" or len(labels) == 1)
    return TaskHead(kind, () if is_score or kind == "span" else labels, configuration.get(dropout))
