"""The baseline of the studies: logistic regression on character n-grams, and ridge regression where the answer is a number."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import scipy.sparse
import sklearn
from sklearn.feature_extraction import FeatureHasher
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier

from benchmarks.studies.grid import Cell
from benchmarks.studies.results import Facts, Values
from pretrain.evaluate.evaluation import drawn
from pretrain.evaluate.kinds.tags import PredictedTags
from pretrain.evaluate.leaderboard.outcomes import OUTCOMES, item_values
from pretrain.evaluate.leaderboard.outcomes_file import digest
from pretrain.evaluate.metrics.tags import OUTSIDE
from pretrain.evaluate.noise import NOISES, noisy
from pretrain.evaluate.scoring import score
from pretrain.evaluate.selection import noise_told, summaries
from pretrain.evaluate.tasks.examples import Example, TagExample, TextExample
from pretrain.evaluate.tasks.files import read_split

N_GRAMS = (1, 4)
AROUND = 3
"""Characters on each side from which the tag of one is predicted."""
Predict = Callable[[Sequence[Example]], Sequence[Any]]


def run_cell(cell: Cell, data: Path) -> tuple[Facts, Sequence[Values]]:
    """As `benchmarks.studies.evaluation.run_cell`; nothing of it is random, and it has one seed."""
    began, task = time.perf_counter(), cell.task.task
    train, scored = (read_split(task, data, split) for split in ("train", task.scored))
    rows = drawn(train.examples, cell.task.train_rows)
    predict = fitted(rows, task.labels)
    fitting = time.perf_counter() - began
    predictions = predict(scored.examples)
    found = score(task, scored.examples, predictions)
    some = f", of which {len(rows):,} were drawn" if len(rows) < len(train.examples) else ""
    facts: Facts = {
        "task": task.name,
        "title": task.title,
        "split": task.scored,
        "metric": task.metrics[0],
        "scores": summaries([found]),
        "part": {"train": train.part + some, task.scored: scored.part},
        "items": {"count": len(scored.examples), "sha256": digest(scored.examples)},
        "seconds": {"train": round(fitting, 3), "predict": round(time.perf_counter() - began - fitting, 3)},
        "software": {"scikit-learn": sklearn.__version__},
    }
    if cell.task.noise:
        noised = {
            f"{task.scored}/{noise}": score(
                task, scored.examples, predict([noisy(cast(TextExample, each), noise) for each in scored.examples])
            )
            for noise in NOISES
        }
        facts["noise"] = noise_told(task.scored, tuple(NOISES), [[{"scores": {task.scored: found, **noised}}]])
    metric = task.metrics[0]
    return facts, [item_values(metric, task, scored.examples, predictions)] if metric in OUTCOMES else []


def fitted(examples: Sequence[Example], labels: Sequence[str]) -> Predict:
    """What predicts examples as `pretrain.evaluate.scoring.score` takes them, fitted to others.

    - `labels`: of the task; none where a number is predicted.
    """
    if isinstance(examples[0], TagExample):
        return _tagger(cast(Sequence[TagExample], examples))
    texts = cast(Sequence[TextExample], examples)
    vectorizer = TfidfVectorizer(analyzer="char", ngram_range=N_GRAMS, min_df=2, sublinear_tf=True, dtype=np.float32)
    vectorizer.fit([text for each in texts for text in (each.first, each.second) if text is not None])

    def features(asked: Sequence[Example]) -> Any:
        found = cast(Sequence[TextExample], asked)
        first = vectorizer.transform([each.first for each in found])
        if texts[0].second is None:
            return first
        second = vectorizer.transform([str(each.second) for each in found])
        # What both have, how much of it, and what only one has.
        both = first.multiply(second)
        return scipy.sparse.hstack([both, both.sum(axis=1), abs(first - second)], format="csr")

    if not labels:
        ridge = Ridge(1.0).fit(features(texts), [float(each.label) for each in texts])
        return lambda asked: list(ridge.predict(features(asked)))
    ids = [labels.index(str(each.label)) for each in texts]
    logistic = LogisticRegression(C=10.0, max_iter=300).fit(features(texts), ids)

    def scores(asked: Sequence[Example]) -> Sequence[Any]:
        # A class that no training row has gets no probability.
        found = np.full((len(asked), len(labels)), -np.inf)
        found[:, logistic.classes_] = logistic.predict_log_proba(features(asked))
        return list(found)

    return scores


def _tagger(examples: Sequence[TagExample]) -> Predict:
    """Tags each character by the n-grams around it, at their places."""
    hasher = FeatureHasher(2**20, input_type="string", alternate_sign=False)

    def of(example: TagExample, place: int) -> list[str]:
        padded = [*"\0" * AROUND, *example.units, *"\0" * AROUND]
        around = padded[place : place + 2 * AROUND + 1]
        return [
            f"{start}:{''.join(around[start : start + size])}"
            for size in range(1, AROUND + 1)
            for start in range(len(around) - size + 1)
        ]

    def places(example: TagExample) -> list[int]:
        return [place for place, unit in enumerate(example.units) if unit != " "]

    rows = hasher.transform(of(each, place) for each in examples for place in places(each))
    tags = [each.tags[place] for each in examples for place in places(each)]
    model = SGDClassifier(loss="log_loss", alpha=1e-6, max_iter=10, random_state=0, n_jobs=-1).fit(rows, tags)

    def predict(asked: Sequence[Example]) -> Sequence[PredictedTags]:
        found = []
        for example in cast(Sequence[TagExample], asked):
            said = model.predict(hasher.transform(of(example, place) for place in places(example)))
            units = (OUTSIDE, *map(str, said), OUTSIDE)
            found.append(PredictedTags(units, units))
        return found

    return predict
