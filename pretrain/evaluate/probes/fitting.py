"""Linear models on features that do not change: what can be read off them (Alain and Bengio 2016, arXiv 1610.01644)."""

import numpy as np

from data_pipeline.contract.packages import needed
from pretrain.evaluate.metrics import golden_value
from pretrain.evaluate.probes.texts import ProbeRows
from pretrain.evaluate.tasks.task import Task

INVERSE_PENALTY = 0.01
"""Of logistic regression (C)."""
PENALTY = 1000.0
"""Of ridge regression (alpha)."""
ITERATIONS = 200
"""Of L-BFGS at most; with this penalty it needs fewer."""


def check_scikit_learn() -> None:
    """Raises InputError where scikit-learn is missing."""
    needed("sklearn", "a probe", extra="evaluate")


def row_features(of_texts: np.ndarray, task: Task) -> np.ndarray:
    """Features of rows, float32 [rows, n], from those of their texts [texts, H].

    A pair's are u, v, |u - v| and u * v of its texts, each read by itself (Conneau et al. 2017, arXiv 1705.02364, section 3.1).
    """
    if not task.pair:
        return of_texts
    u, v = of_texts[0::2], of_texts[1::2]
    return np.concatenate([u, v, np.abs(u - v), u * v], axis=1)


def probe_score(features: np.ndarray, rows: ProbeRows) -> float:
    """The task's headline metric of a linear model on the rows that are scored; NaN where a feature is not finite.

    Logistic regression for classes, ridge regression for scores, on standardised features.

    - `features`: float [rows, n].
    """
    if not np.isfinite(features).all():
        return float("nan")
    linear = needed("sklearn.linear_model", "a probe", extra="evaluate")
    model = (
        linear.LogisticRegression(C=INVERSE_PENALTY, max_iter=ITERATIONS)
        if rows.task.labels
        else linear.Ridge(alpha=PENALTY)
    )
    own, others = np.split(features.astype(np.float64), [rows.fitted])
    mean, deviation = own.mean(axis=0), own.std(axis=0)
    deviation[deviation == 0] = 1.0
    model.fit((own - mean) / deviation, rows.labels[: rows.fitted])
    return _score(model.predict((others - mean) / deviation), rows)


def baseline_score(rows: ProbeRows) -> float:
    """The same of what is said without features: the commonest class or the mean score; NaN where the metric is undefined of a constant."""
    own = rows.labels[: rows.fitted]
    said = np.bincount(own).argmax() if rows.task.labels else own.mean()
    return _score(np.full(len(rows.labels) - rows.fitted, said), rows)


def _score(said: np.ndarray, rows: ProbeRows) -> float:
    right = rows.labels[rows.fitted :]
    return golden_value(rows.task.metrics[0], {"preds": said, "labels": right, "targets": right})
