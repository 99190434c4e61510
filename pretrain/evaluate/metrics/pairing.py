"""Predictions beside the gold answers: as many of the one as of the other."""

from collections.abc import Sequence, Sized

from data_pipeline.contract.errors import InputError


def check_pairs(predictions: Sized, labels: Sized, what: str = "items") -> None:
    """An InputError where the numbers differ; `what` is counted."""
    if len(predictions) != len(labels):
        raise InputError(
            f"predictions of {len(predictions)} {what} were given for the labels of {len(labels)}; give one for each, in the same order"
        )


def names_of(ids: Sequence[int], label_list: Sequence[str]) -> list[str]:
    """The label of each id; an InputError where the list is too short."""
    for item, label in enumerate(ids):
        if not 0 <= label < len(label_list):
            raise InputError(f"item {item} has the label id {label}; label_list has the ids 0 to {len(label_list) - 1}")
    return [label_list[label] for label in ids]
