"""What each item says of a metric, and the metric of any draw of the items: by this the paired bootstrap compares models.

The values of an item are those of its own predictions alone. So the entity F1 of KLUE-NER is that of sentences apart, where the official
one lets spans reach into the next sentence.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pretrain.evaluate.kinds.kind import Inputs
from pretrain.evaluate.leaderboard.statistics import Counted
from pretrain.evaluate.metrics import golden_value
from pretrain.evaluate.metrics.counts import Counts, class_counts, macro_f1_of, micro_f1_of, span_counts
from pretrain.evaluate.metrics.dependencies import FIRST_OTHER, OTHERS, WRONG_HEAD, Words, words_of
from pretrain.evaluate.metrics.dialogue import slot_counts
from pretrain.evaluate.metrics.libraries import library
from pretrain.evaluate.metrics.pairing import names_of
from pretrain.evaluate.metrics.regression import SIMILAR
from pretrain.evaluate.metrics.relations import NO_RELATION
from pretrain.evaluate.metrics.tags import OUTSIDE, has_suffixes
from pretrain.evaluate.scoring import metric_inputs
from pretrain.evaluate.tasks.examples import DependencyExample, Example
from pretrain.evaluate.tasks.task import Task

Values = NDArray[np.float64]
LAS_TYPES = (*range(FIRST_OTHER), OTHERS, WRONG_HEAD)


@dataclass(frozen=True)
class Classes:
    """What is counted apart: `labels` of the task, numbers of heads below `heads`; `suffixes`: tags are written "PER-B"."""

    labels: tuple[str, ...]
    heads: int
    suffixes: bool


OfItem = Callable[[Inputs, Classes], Any]
"""(what metrics read of one item, the task's classes) -> what the item says, float64 [...]."""


class Outcome(NamedTuple):
    """A metric by items.

    - `of_item`: what an item says.
    - `score`: float64 [items, ...], what all items say, to the metric on draws of the items, in its own unit.
    """

    of_item: OfItem
    score: Callable[[Values], Counted]


def item_values(metric: str, task: Task, examples: Sequence[Example], predictions: Sequence[Any]) -> Values:
    """What each item says of a metric of OUTCOMES, float64 [items, ...]. Other arguments as for `scoring.score`."""
    # Heads are classes: as many as the longest sentence has eojeols, and the root.
    heads = 1 + max((len(one.eojeols) for one in examples if isinstance(one, DependencyExample)), default=0)
    classes, of_item = Classes(task.labels, heads, has_suffixes([task.labels])), OUTCOMES[metric].of_item
    pairs = zip(examples, predictions, strict=True)
    return np.array([of_item(metric_inputs(task, [one], [said]), classes) for one, said in pairs], np.float64)


def _mean(metric: str, unit: float = 1) -> Outcome:
    """A metric that is the mean of its values for each item; a unit of 100 is a percentage."""
    return Outcome(
        lambda inputs, _: [golden_value(metric, inputs) / unit],
        lambda values: lambda times: unit * (times @ values[:, 0]) / times.sum(axis=1),
    )


def _counted(of_item: OfItem, combine: Callable[[Counts], Counts], unit: float = 1) -> Outcome:
    """A metric of sums.

    - `of_item`: float64 [classes, 3], right, predicted and gold. - `combine`: their sums [some, classes, 3] to [some].
    """
    return Outcome(of_item, lambda values: lambda times: unit * combine(np.tensordot(times, values, 1)))


def _correlation(*, of_ranks: bool, unit: float = 1) -> Outcome:
    def score(values: Values) -> Counted:
        def counted(times: Values) -> Values:
            sides = [_ranks(side, times) if of_ranks else side[None] for side in values.T]
            count = times.sum(axis=1, keepdims=True)
            one, other = (side - (times * side).sum(axis=1, keepdims=True) / count for side in sides)
            spread = (times * one**2).sum(axis=1) * (times * other**2).sum(axis=1)
            together = (times * one * other).sum(axis=1)
            return np.divide(unit * together, np.sqrt(spread), out=np.full(len(times), np.nan), where=spread > 0)

        return counted

    return Outcome(lambda inputs, _: [inputs["preds"][0], inputs["labels"][0]], score)


def _ranks(values: Values, times: Values) -> Values:
    """float64[some, items]: the rank of each item in each draw, where equal values share their average rank."""
    _, group, sizes = np.unique(values, return_inverse=True, return_counts=True)
    order, starts = np.argsort(values, kind="stable"), np.cumsum(sizes) - sizes
    drawn = np.add.reduceat(times[:, order], starts, axis=1)
    return (np.cumsum(drawn, axis=1) - (drawn - 1) / 2)[:, group]


def _classes(inputs: Inputs, classes: Classes) -> Counts:
    return class_counts(inputs["preds"], inputs["labels"], range(len(classes.labels))).sum(axis=0)


def _without(name: str) -> OfItem:
    return lambda inputs, classes: np.delete(_classes(inputs, classes), classes.labels.index(name), axis=0)


def _similar(inputs: Inputs, classes: Classes) -> Counts:
    return class_counts(inputs["preds"] >= SIMILAR, inputs["labels"] >= SIMILAR, [True]).sum(axis=0)


def _by_offsets(counts: OfItem) -> OfItem:
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


def _with_absent(sums: Counts) -> Counts:
    """The macro F1 in which a class that occurs nowhere counts with 1."""
    absent = (sums[..., 1] + sums[..., 2] == 0).sum(axis=-1)
    present = sums.shape[-2] - absent
    return (np.nan_to_num(macro_f1_of(sums)) * present + absent) / sums.shape[-2]


FRACTIONS = ("accuracy", "nsmc_acc", "kornli_acc", "paws_acc", "question_pair_acc", "exact_match", "character_f1")
PERCENTAGES = (
    "klue_nli_acc", "klue_mrc_em", "klue_mrc_em_normalized", "klue_mrc_rouge_w", "klue_mrc_rouge_w_without_autojunk",
    "korquad_em", "korquad_f1", "wos_jga", "wos_slot_micro_f1",
)  # fmt: skip

OUTCOMES: Mapping[str, Outcome] = {
    **{name: _mean(name) for name in FRACTIONS},
    **{name: _mean(name, 100) for name in PERCENTAGES},
    "macro_f1": _counted(_classes, macro_f1_of),
    "hate_speech_macro_f1": _counted(_classes, macro_f1_of),
    "ynat_macro_f1": _counted(_classes, macro_f1_of, 100),
    "pearson": _correlation(of_ranks=False),
    "klue_sts_pearsonr": _correlation(of_ranks=False, unit=100),
    "spearman": _correlation(of_ranks=True),
    "korsts_spearman": _correlation(of_ranks=True),
    "klue_sts_f1": _counted(_similar, micro_f1_of, 100),
    "klue_re_micro_f1": _counted(_without(NO_RELATION), micro_f1_of, 100),
    "klue_ner_entity_macro_f1": _counted(_entities, macro_f1_of, 100),
    "klue_ner_entity_macro_f1_by_offsets": _counted(_by_offsets(_entities), macro_f1_of, 100),
    "klue_ner_char_macro_f1": _counted(_classes, _with_absent, 100),
    "klue_ner_char_macro_f1_by_offsets": _counted(_by_offsets(_classes), _with_absent, 100),
    "klue_ner_char_macro_f1_without_o": _counted(_without(OUTSIDE), macro_f1_of, 100),
    "naver_ner_f1": _counted(_lenient_entities, micro_f1_of),
    "entity_f1": _counted(_lenient_entities, micro_f1_of),
    "tag_accuracy": _counted(_words, micro_f1_of),
    "klue_dp_uas_macro_f1": _counted(_heads, macro_f1_of, 100),
    "klue_dp_uas_micro_f1": _counted(_heads, micro_f1_of, 100),
    "klue_dp_las_macro_f1": _counted(_types, macro_f1_of, 100),
    "klue_dp_las_micro_f1": _counted(_types, micro_f1_of, 100),
    "klue_dp_las_macro_f1_of_types": _counted(lambda inputs, classes: _types(inputs, classes)[:-1], macro_f1_of, 100),
    "klue_dp_las": _counted(_attachments, micro_f1_of, 100),
    "wos_slot_pooled_f1": _counted(_slots, micro_f1_of, 100),
}
"""By metric. Models are compared by those that are here: all but the areas under KLUE-RE's curves, which are undefined on most draws, as
each of 30 classes must have been drawn."""
