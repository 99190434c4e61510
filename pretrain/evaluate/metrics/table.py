"""Every metric by its name, with the names of its inputs."""

import difflib
from collections.abc import Callable, Mapping
from typing import Any

from data_pipeline.contract.errors import InputError
from pretrain.evaluate.metrics import answers, classes, dependencies, dialogue, regression, relations, tags

BY_OFFSETS = ("preds_by_offsets", "labels_by_offsets", "label_list")
"""Tags as KLUE-NER's metrics read them, aligned to characters without KLUE-baseline's faults (`pretrain.evaluate.scoring`)."""

METRICS: Mapping[str, tuple[Callable[..., float], tuple[str, ...]]] = {
    "accuracy": (classes.accuracy, ("preds", "labels")),
    "macro_f1": (classes.macro_f1, ("preds", "labels")),
    "pearson": (regression.pearson, ("preds", "labels")),
    "spearman": (regression.korsts_spearman, ("preds", "labels")),
    "ynat_macro_f1": (classes.ynat_macro_f1, ("preds", "targets")),
    "klue_nli_acc": (classes.klue_nli_acc, ("preds", "targets")),
    "nsmc_acc": (classes.accuracy, ("preds", "labels")),
    "kornli_acc": (classes.accuracy, ("preds", "labels")),
    "paws_acc": (classes.accuracy, ("preds", "labels")),
    "question_pair_acc": (classes.accuracy, ("preds", "labels")),
    "hate_speech_macro_f1": (classes.macro_f1, ("preds", "labels")),
    "klue_sts_pearsonr": (regression.klue_sts_pearsonr, ("preds", "labels")),
    "klue_sts_f1": (regression.klue_sts_f1, ("preds", "labels")),
    "korsts_spearman": (regression.korsts_spearman, ("preds", "labels")),
    "klue_ner_entity_macro_f1": (tags.klue_ner_entity_macro_f1, ("preds", "labels", "label_list")),
    "klue_ner_char_macro_f1": (tags.klue_ner_char_macro_f1, ("preds", "labels", "label_list")),
    "klue_ner_char_macro_f1_without_o": (tags.klue_ner_char_macro_f1_without_o, ("preds", "labels", "label_list")),
    "klue_ner_entity_macro_f1_by_offsets": (tags.klue_ner_entity_macro_f1, BY_OFFSETS),
    "klue_ner_char_macro_f1_by_offsets": (tags.klue_ner_char_macro_f1, BY_OFFSETS),
    "naver_ner_f1": (tags.naver_ner_f1, ("preds", "labels")),
    "entity_f1": (tags.entity_f1, ("preds", "labels")),
    "tag_accuracy": (tags.tag_accuracy, ("preds", "labels")),
    "klue_re_micro_f1": (relations.klue_re_micro_f1, ("preds", "labels", "label_list")),
    "klue_re_auprc": (relations.klue_re_auprc, ("probs", "labels")),
    "klue_re_auprc_recent": (relations.klue_re_auprc_recent, ("probs", "labels")),
    "klue_re_auprc_present": (relations.klue_re_auprc_present, ("probs", "labels")),
    "klue_dp_uas_macro_f1": (dependencies.klue_dp_uas_macro_f1, ("preds", "labels")),
    "klue_dp_uas_micro_f1": (dependencies.klue_dp_uas_micro_f1, ("preds", "labels")),
    "klue_dp_las_macro_f1": (dependencies.klue_dp_las_macro_f1, ("preds", "labels")),
    "klue_dp_las_micro_f1": (dependencies.klue_dp_las_micro_f1, ("preds", "labels")),
    "klue_dp_las_macro_f1_of_types": (dependencies.klue_dp_las_macro_f1_of_types, ("preds", "labels")),
    "klue_dp_las": (dependencies.klue_dp_las, ("preds", "labels")),
    "klue_mrc_em": (answers.klue_mrc_em, ("predictions", "examples")),
    "klue_mrc_rouge_w": (answers.klue_mrc_rouge_w, ("predictions", "examples")),
    "klue_mrc_em_normalized": (answers.klue_mrc_em_normalized, ("predictions", "examples")),
    "klue_mrc_rouge_w_without_autojunk": (answers.klue_mrc_rouge_w_without_autojunk, ("predictions", "examples")),
    "exact_match": (answers.exact_match, ("predictions", "examples")),
    "character_f1": (answers.character_f1, ("predictions", "examples")),
    "korquad_em": (answers.korquad_em, ("dataset", "predictions")),
    "korquad_f1": (answers.korquad_f1, ("dataset", "predictions")),
    "wos_jga": (dialogue.wos_jga, ("preds", "targets")),
    "wos_slot_micro_f1": (dialogue.wos_slot_micro_f1, ("preds", "targets")),
    "wos_slot_pooled_f1": (dialogue.wos_slot_pooled_f1, ("preds", "targets")),
}  # fmt: skip
"""Name -> function and the names of its arguments. `_char_macro_f1_without_o`, `_recent`, `_present`, `_of_types`, `klue_dp_las`,
`_normalized`, `_without_autojunk`, `_pooled_f1` and `_by_offsets` are the corrected ones; those without the name of a benchmark are for
tasks of one's own; the others are official."""


def golden_value(metric: str, inputs: Mapping[str, Any]) -> float:
    """The value of a metric of METRICS; NaN where it is not defined.

    - `inputs`: its arguments by name; others are not read. An InputError says which is missing.
    """
    if metric not in METRICS:
        near = difflib.get_close_matches(metric, METRICS, n=1)
        raise InputError(
            f"there is no metric {metric}"
            + (f"; did you mean {near[0]}?" if near else f"; known: {', '.join(METRICS)}")
        )
    function, names = METRICS[metric]
    missing = [name for name in names if name not in inputs]
    if missing:
        raise InputError(f"{metric} needs the inputs {', '.join(names)}; missing: {', '.join(missing)}")
    return float(function(*(inputs[name] for name in names)))
