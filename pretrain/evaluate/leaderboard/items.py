"""What each example adds to a metric, so that the paired bootstrap (`pretrain.evaluate.statistics.compare_sums`) need not score every draw.

A correlation and the area under a curve are no function of sums: `compare_scores` with `pretrain.evaluate.scoring.score`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pretrain.evaluate.metrics import golden_value
from pretrain.evaluate.metrics.counts import Counts, class_counts, macro_f1_of, micro_f1_of, span_counts
from pretrain.evaluate.metrics.dependencies import FIRST_OTHER, OTHERS, WRONG_HEAD, Words, words_of
from pretrain.evaluate.metrics.dialogue import slot_counts
from pretrain.evaluate.metrics.libraries import library
from pretrain.evaluate.metrics.pairing import names_of
from pretrain.evaluate.metrics.regression import SIMILAR
from pretrain.evaluate.metrics.relations import NO_RELATION
from pretrain.evaluate.metrics.tags import OUTSIDE, has_suffixes
from pretrain.evaluate.scoring import Inputs, metric_inputs
from pretrain.evaluate.tasks.examples import DependencyExample, Example
from pretrain.evaluate.tasks.task import Task

LAS_TYPES = (*range(FIRST_OTHER), OTHERS, WRONG_HEAD)
MEANS = frozenset(
    (
        "accuracy", "klue_nli_acc", "nsmc_acc", "kornli_acc", "paws_acc", "question_pair_acc", "klue_mrc_em",
        "klue_mrc_em_normalized", "klue_mrc_rouge_w", "klue_mrc_rouge_w_without_autojunk", "korquad_em", "korquad_f1",
        "exact_match", "character_f1", "wos_jga", "wos_slot_micro_f1",
    )
)  # fmt: skip
"""Metrics that are the mean of their values for each item."""


@dataclass(frozen=True)
class ItemSums:
    """A metric by its items.

    - `items`: float64 [items, ...], what each example adds to the sums.
    - `metric`: sums, float64 [some, ...], to scores, float64 [some], in the metric's unit.
    """

    items: Counts
    metric: Callable[[Counts], Counts]


def item_sums(metric: str, task: Task, examples: Sequence[Example], predictions: Sequence[Any]) -> ItemSums | None:
    """A metric of a task by its examples, or None where it is no function of sums. Other arguments as for `scoring.score`.

    The sum over all examples gives the metric's value, but for the entity F1 of KLUE-NER, which lets spans reach into the next
    sentence; here they do not.
    """
    if metric not in MEANS and metric not in COUNTED:
        return None
    each = [metric_inputs(task, [one], [said]) for one, said in zip(examples, predictions, strict=True)]
    count = len(each)
    if metric in MEANS:
        return ItemSums(np.array([golden_value(metric, inputs) for inputs in each]), lambda sums: sums / count)
    counts, combine = COUNTED[metric]
    # Heads are classes: as many as the longest sentence has eojeols, and the root.
    heads = 1 + max((len(one.eojeols) for one in examples if isinstance(one, DependencyExample)), default=0)
    suffixes = has_suffixes([task.labels])
    found = [counts(inputs, Classes(task.labels, heads, suffixes)) for inputs in each]
    return ItemSums(np.array(found, np.float64), combine)


@dataclass(frozen=True)
class Classes:
    """What is counted apart: `labels` of the task, numbers of heads below `heads`; `suffixes`: tags are written "PER-B"."""

    labels: tuple[str, ...]
    heads: int
    suffixes: bool


def _classes(inputs: Inputs, classes: Classes) -> Counts:
    return class_counts(inputs["preds"], inputs["labels"], range(len(classes.labels))).sum(axis=0)


def _without(name: str) -> Callable[[Inputs, Classes], Counts]:
    return lambda inputs, classes: np.delete(_classes(inputs, classes), classes.labels.index(name), axis=0)


def _similar(inputs: Inputs, classes: Classes) -> Counts:
    return class_counts(inputs["preds"] >= SIMILAR, inputs["labels"] >= SIMILAR, [True]).sum(axis=0)


def _by_offsets(counts: Callable[[Inputs, Classes], Counts]) -> Callable[[Inputs, Classes], Counts]:
    return lambda inputs, classes: counts(
        {"preds": inputs["preds_by_offsets"], "labels": inputs["labels_by_offsets"]}, classes
    )


def _entities(inputs: Inputs, classes: Classes) -> Counts:
    types = sorted({label.partition("-")[2] for label in classes.labels if label != OUTSIDE})
    predicted, gold = (names_of(inputs[side], classes.labels) for side in ("preds", "labels"))
    return span_counts([predicted], [gold], types)[0]


def _lenient_entities(inputs: Inputs, classes: Classes) -> Counts:
    entities = library("seqeval.metrics.sequence_labeling").get_entities
    predicted, gold = (set(entities(inputs[side][0], classes.suffixes)) for side in ("preds", "labels"))
    return np.array([[len(predicted & gold), len(predicted), len(gold)]], np.float64)


def _words(inputs: Inputs, classes: Classes) -> Counts:
    predicted, gold = inputs["preds"][0], inputs["labels"][0]
    return class_counts(predicted, gold, classes.labels).sum(axis=0)


def _heads(inputs: Inputs, classes: Classes) -> Counts:
    words = _parsed(inputs)
    return class_counts(words.predicted_heads, words.heads, range(classes.heads)).sum(axis=0)


def _types(inputs: Inputs, classes: Classes) -> Counts:
    return class_counts(*_parsed(inputs).las_types(), LAS_TYPES).sum(axis=0)


def _attachments(inputs: Inputs, classes: Classes) -> Counts:
    words = _parsed(inputs)
    right = words.right_head & (words.predicted_types == words.types)
    return np.array([[right.sum(), len(right), len(right)]], np.float64)


def _parsed(inputs: Inputs) -> Words:
    return words_of(inputs["preds"], inputs["labels"])


def _slots(inputs: Inputs, classes: Classes) -> Counts:
    right, false, missed = slot_counts(inputs["preds"][0], inputs["targets"][0])
    return np.array([[right, right + false, right + missed]], np.float64)


def _percent(combine: Callable[[Counts], Counts]) -> Callable[[Counts], Counts]:
    return lambda sums: 100 * combine(sums)


def _with_absent(sums: Counts) -> Counts:
    """The macro F1 in which a class that occurs nowhere counts with 1."""
    absent = (sums[..., 1] + sums[..., 2] == 0).sum(axis=-1)
    present = sums.shape[-2] - absent
    return (np.nan_to_num(macro_f1_of(sums)) * present + absent) / sums.shape[-2]


COUNTED: Mapping[str, tuple[Callable[[Inputs, Classes], Counts], Callable[[Counts], Counts]]] = {
    "macro_f1": (_classes, macro_f1_of),
    "hate_speech_macro_f1": (_classes, macro_f1_of),
    "ynat_macro_f1": (_classes, _percent(macro_f1_of)),
    "klue_sts_f1": (_similar, _percent(micro_f1_of)),
    "klue_re_micro_f1": (_without(NO_RELATION), _percent(micro_f1_of)),
    "klue_ner_entity_macro_f1": (_entities, _percent(macro_f1_of)),
    "klue_ner_entity_macro_f1_by_offsets": (_by_offsets(_entities), _percent(macro_f1_of)),
    "klue_ner_char_macro_f1": (_classes, _percent(_with_absent)),
    "klue_ner_char_macro_f1_by_offsets": (_by_offsets(_classes), _percent(_with_absent)),
    "klue_ner_char_macro_f1_without_o": (_without(OUTSIDE), _percent(macro_f1_of)),
    "naver_ner_f1": (_lenient_entities, micro_f1_of),
    "entity_f1": (_lenient_entities, micro_f1_of),
    "tag_accuracy": (_words, micro_f1_of),
    "klue_dp_uas_macro_f1": (_heads, _percent(macro_f1_of)),
    "klue_dp_uas_micro_f1": (_heads, _percent(micro_f1_of)),
    "klue_dp_las_macro_f1": (_types, _percent(macro_f1_of)),
    "klue_dp_las_micro_f1": (_types, _percent(micro_f1_of)),
    "klue_dp_las_macro_f1_of_types": (
        lambda inputs, classes: _types(inputs, classes)[:-1],
        _percent(macro_f1_of),
    ),
    "klue_dp_las": (_attachments, _percent(micro_f1_of)),
    "wos_slot_pooled_f1": (_slots, _percent(micro_f1_of)),
}
"""Metric -> (inputs of one example) to float64 [classes, 3], right, predicted and gold; and their sums to the score."""
