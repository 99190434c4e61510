"""Which classes are taken for which, and the errors of which a model is most sure."""

import numpy as np

from pretrain.evaluate.leaderboard.errors import confusion, worst_errors
from pretrain.evaluate.tasks.examples import Entity, RelationExample, TextExample


def of_classes(*probabilities: list[list[float]]) -> list[dict[str, np.ndarray]]:
    labels = np.array([0, 0, 1])
    return [{"preds": np.argmax(each, 1), "probs": np.array(each), "labels": labels} for each in probabilities]


EXAMPLES = [TextExample(name, f"글 {name}", f"말 {name}", "x") for name in "abc"]
SEEDS = of_classes([[0.4, 0.6], [0.9, 0.1], [0.8, 0.2]], [[0.2, 0.8], [0.7, 0.3], [0.9, 0.1]])


def test_a_confusion_matrix_has_gold_rows_and_is_the_mean_over_seeds() -> None:
    one_right = of_classes([[0.9, 0.1], [0.9, 0.1], [0.8, 0.2]])
    assert confusion(SEEDS, "xy") == [[1.0, 1.0], [1.0, 0.0]]
    assert confusion([SEEDS[0], one_right[0]], "xy") == [[1.5, 0.5], [1.0, 0.0]]


def test_the_worst_errors_are_those_of_the_most_probable_wrong_class() -> None:
    first, second = worst_errors(SEEDS, EXAMPLES, "xy")
    assert (first["name"], first["texts"], first["gold"], first["predicted"]) == ("c", ["글 c", "말 c"], "y", "x")
    assert np.isclose(first["probability"], 0.85)
    assert (second["name"], second["predicted"]) == ("a", "y")


def test_the_worst_errors_of_scores_are_the_farthest() -> None:
    gold = np.array([1.0, 2.0, 3.0])
    seeds = [{"preds": np.array([1.0, 4.0, 2.5]), "labels": gold}, {"preds": np.array([1.0, 5.0, 2.5]), "labels": gold}]
    sentence = RelationExample("r", "문장", Entity(0, 1, "PER"), Entity(1, 2, "ORG"), "x")
    found = worst_errors(seeds, [EXAMPLES[0], sentence, EXAMPLES[2]], ())
    assert [(error["name"], error["distance"]) for error in found] == [("r", 2.5), ("c", 0.5)]
    assert found[0]["texts"] == ["문장"]
