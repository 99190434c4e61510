import numpy as np
import pytest

from benchmarks.context_free_detection import Tokens, auc, frequency_scores


@pytest.mark.parametrize(("rare", "expected"), [(0.25, 0.5), (0.1, 0.65)])
def test_the_baseline_knows_how_often_a_token_is_a_replacement_and_nothing_else(rare: float, expected: float) -> None:
    """Replacements are drawn from four tokens alike; of the originals each of the last two has the share `rare`."""
    random = np.random.default_rng(0)

    def drawn(count: int) -> Tokens:
        replaced = random.random(count) < 0.2
        originals = random.choice(4, count, p=[0.5 - rare, 0.5 - rare, rare, rare])
        return Tokens(np.where(replaced, random.integers(0, 4, count), originals), replaced, np.zeros(count))

    scores, seen = frequency_scores(drawn(100_000), 6), drawn(100_000)
    assert auc(scores[seen.ids], seen.replaced) == pytest.approx(expected, abs=0.01)
    assert scores[5] == 0, "of a token that was never seen nothing is known"
