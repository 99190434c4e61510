"""What each item says of a metric, kept so that models are compared long after, without their predictions' task or data."""

import hashlib
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from data_pipeline.contract.storage import write_atomically
from pretrain.evaluate.metrics.counts import class_counts, macro_f1_of, micro_f1_of
from pretrain.evaluate.metrics.relations import NO_RELATION
from pretrain.evaluate.statistics import Counted
from pretrain.evaluate.tasks.examples import Example

FILE = "outcomes.npz"
Values = NDArray[np.float64]


class Outcome(NamedTuple):
    """A metric by items.

    - `values`: the metric's inputs (`pretrain.evaluate.metrics`) to what each item says, float64[items, ...].
    - `score`: these values to the metric on draws of the items (`pretrain.evaluate.statistics.compare_counted`).
    """

    values: Callable[[Mapping[str, Any]], Values]
    score: Callable[[Values], Counted]


def _right(gold: str) -> Callable[[Mapping[str, Any]], Values]:
    return lambda inputs: (np.asarray(inputs["preds"]) == np.asarray(inputs[gold])).astype(np.float64)[:, None]


def _classes(gold: str, without: str = "") -> Callable[[Mapping[str, Any]], Values]:
    def values(inputs: Mapping[str, Any]) -> Values:
        counted = [number for number, label in enumerate(inputs["label_list"]) if label != without]
        return class_counts(inputs["preds"], inputs[gold], counted)

    return values


def _pairs(inputs: Mapping[str, Any]) -> Values:
    return np.stack([np.asarray(inputs[side], np.float64) for side in ("preds", "labels")], axis=1)


def _of_sums(metric: Callable[[Values], Values], unit: float) -> Callable[[Values], Counted]:
    return lambda values: lambda times: unit * metric(np.tensordot(times, values, 1))


def _mean(unit: float) -> Callable[[Values], Counted]:
    return lambda values: lambda times: unit * (times @ values[:, 0]) / times.sum(axis=1)


def _correlation(unit: float, *, of_ranks: bool) -> Callable[[Values], Counted]:
    def score(values: Values) -> Counted:
        def counted(times: Values) -> Values:
            sides = [_ranks(side, times) if of_ranks else side[None] for side in values.T]
            count = times.sum(axis=1, keepdims=True)
            one, other = (side - (times * side).sum(axis=1, keepdims=True) / count for side in sides)
            spread = (times * one**2).sum(axis=1) * (times * other**2).sum(axis=1)
            together = (times * one * other).sum(axis=1)
            return np.divide(unit * together, np.sqrt(spread), out=np.full(len(times), np.nan), where=spread > 0)

        return counted

    return score


def _ranks(values: Values, times: Values) -> Values:
    """float64[some, items]: the rank of each item in each draw, where equal values share their average rank."""
    _, group, sizes = np.unique(values, return_inverse=True, return_counts=True)
    order, starts = np.argsort(values, kind="stable"), np.cumsum(sizes) - sizes
    drawn = np.add.reduceat(times[:, order], starts, axis=1)
    return (np.cumsum(drawn, axis=1) - (drawn - 1) / 2)[:, group]


OUTCOMES: Mapping[str, Outcome] = {
    **{
        name: Outcome(_right("labels"), _mean(1))
        for name in ("accuracy", "nsmc_acc", "kornli_acc", "paws_acc", "question_pair_acc")
    },
    "klue_nli_acc": Outcome(_right("targets"), _mean(100)),
    "macro_f1": Outcome(_classes("labels"), _of_sums(macro_f1_of, 1)),
    "hate_speech_macro_f1": Outcome(_classes("labels"), _of_sums(macro_f1_of, 1)),
    "ynat_macro_f1": Outcome(_classes("targets"), _of_sums(macro_f1_of, 100)),
    "klue_re_micro_f1": Outcome(_classes("labels", without=NO_RELATION), _of_sums(micro_f1_of, 100)),
    "pearson": Outcome(_pairs, _correlation(1, of_ranks=False)),
    "klue_sts_pearsonr": Outcome(_pairs, _correlation(100, of_ranks=False)),
    "spearman": Outcome(_pairs, _correlation(1, of_ranks=True)),
    "korsts_spearman": Outcome(_pairs, _correlation(1, of_ranks=True)),
}
"""By metric. Models are compared by those that are here."""


def digest(examples: Sequence[Example]) -> str:
    """SHA-256 of examples in their order: names, texts and gold answers. Models are compared where it is the same."""
    found = hashlib.sha256()
    for example in examples:
        found.update(f"{example!r}\n".encode(errors="surrogatepass"))
    return found.hexdigest()


def write_outcomes(folder: Path, by_seed: Mapping[int, Values]) -> None:
    """Writes `outcomes.npz`: what each item says, `SEED` -> float64[items, ...]."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **{str(seed): values for seed, values in by_seed.items()})  # type: ignore[arg-type]
    write_atomically(folder / FILE, buffer.getvalue())


def read_outcomes(folder: Path) -> list[Values]:
    """What each item says, of each seed; empty where nothing was kept."""
    if not (folder / FILE).is_file():
        return []
    with np.load(folder / FILE, allow_pickle=False) as stored:
        return [stored[seed] for seed in stored.files]
