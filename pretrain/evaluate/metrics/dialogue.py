"""Metrics of WoS. A turn is a list of "domain-slot-value" strings, compared as they are: `none` and `dontcare` are values."""

from collections.abc import Sequence

import numpy as np

from pretrain.evaluate.metrics.pairing import check_pairs

Turns = Sequence[Sequence[str]]


def slot_counts(pred: Sequence[str], target: Sequence[str]) -> tuple[int, int, int]:
    """True positives (gold slots that are predicted), false positives and false negatives of a turn, repeated ones counted."""
    predicted, gold = set(pred), set(target)
    found = sum(slot in predicted for slot in target)
    return found, sum(slot not in gold for slot in pred), len(target) - found


def slot_f1(pred: Sequence[str], target: Sequence[str]) -> float:
    """The F1 of a turn, a fraction; 1 where both are empty (KLUE: utils.py, compute_prf_for_wos)."""
    right, false, missed = slot_counts(pred, target)
    return 2 * right / (2 * right + false + missed) if pred or target else 1.0


def wos_jga(preds: Turns, targets: Turns) -> float:
    """Joint goal accuracy: the share of turns whose set of slots is right, as a percentage (KLUE: wos_jga); 0 without turns."""
    check_pairs(preds, targets, "turns")
    right = [set(pred) == set(target) for pred, target in zip(preds, targets, strict=True)]
    return 100 * float(np.mean(right or 0))


def wos_slot_micro_f1(preds: Turns, targets: Turns) -> float:
    """The mean over turns of `slot_f1`, as a percentage (KLUE: wos_slot_micro_f1); 0 without turns.

    The name says micro; `wos_slot_pooled_f1` is the micro average.
    """
    check_pairs(preds, targets, "turns")
    return 100 * float(np.mean([slot_f1(pred, target) for pred, target in zip(preds, targets, strict=True)] or 0))


def wos_slot_pooled_f1(preds: Turns, targets: Turns) -> float:
    """The F1, as a percentage, of the slots of all turns pooled; 0 without slots."""
    check_pairs(preds, targets, "turns")
    counts = [slot_counts(pred, target) for pred, target in zip(preds, targets, strict=True)]
    right, false, missed = (sum(column) for column in zip(*counts, strict=True)) if counts else (0, 0, 0)
    return 100 * 2 * right / ((2 * right + false + missed) or 1)
